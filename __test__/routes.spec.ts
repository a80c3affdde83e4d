/** Routes of interfaces behind real gateways: each network is made of namespaces, and what is loaded must be what it does. */
import { afterEach, describe, expect, it } from 'vitest';
import { Interface, IP4, IP6 } from '../src/index.ts';
import { whyNoNamespaces } from './lab/namespaces.ts';
import { RouteLab, SERVERS, SERVERS6 } from './lab/route-lab.ts';

const why = whyNoNamespaces('nft');
if (why !== undefined) console.warn(`routes behind gateways: SKIPPED, ${why}`);

const snat = (rules: string) => `table ip nat { chain post { type nat hook postrouting priority 100; policy accept; ${rules} } }`;

describe.skipIf(why !== undefined)('routes behind a gateway', { timeout: 60_000 }, () => {
  let lab: RouteLab;
  afterEach(() => lab.close());

  const twoServers = () => lab.startServers(SERVERS.slice(0, 2));

  it("holds the documentation's IPv4 example", async () => {
    lab = await RouteLab.create({ families: [4] });
    for (const prefix of ['192.168.0.20/32', '193.168.0.0/16', '7.7.7.7/32', '8.8.0.0/16']) lab.hold(prefix);
    lab.gateway.filter(snat('ip saddr { 10.99.1.2, 192.168.0.20, 193.168.0.0/16, 7.7.7.7 } snat to 1.3.3.7;'));
    lab.gateway.run('ip', 'addr', 'add', '1.3.3.7/32', 'dev', 'g1');
    await twoServers();
    lab.drop('10.99.1.2/24');
    // Without an address on the link the gateway is reached by its own.
    lab.client.run('ip', 'route', 'replace', '10.99.1.1', 'dev', 'c0');
    lab.client.run('ip', 'route', 'replace', 'default', 'via', '10.99.1.1');
    for (const prefix of ['192.168.0.20/32', '193.168.0.0/16', '7.7.7.7/32', '8.8.0.0/16']) {
      lab.gateway.run('ip', 'route', 'replace', prefix, 'dev', 'g0');
    }
    const found = lab.load({ stunServers: SERVERS.slice(0, 2) });
    const sides = found.routes[4].map((route) => route.split(' -> ').map((side) => side.slice(1, -1).split(', ').toSorted()));
    expect(sides).toEqual([
      [['192.168.0.20', '193.168.0.0/16', '7.7.7.7'], ['1.3.3.7']],
      [['8.8.0.0/16'], ['8.8.0.0/16']],
    ]);
    expect([found.certainty[4], found.assumed[4]]).toEqual([['agreed', 'agreed'], [true, true]]);
    expect(found.elapsedMs).toBeLessThan(2_000);
    const restored = Interface.fromDict(found.dict);
    expect(restored.rp[IP4].length).toBe(65_537);
    expect([restored.rp[IP4].at(0)?.ext(), restored.rp[IP4].at(301)?.ext(), restored.rp[IP4].at(301)?.nic()]).toEqual(['1.3.3.7', '8.8.1.44', '8.8.1.44']);
  });

  it("holds the documentation's IPv6 example", async () => {
    lab = await RouteLab.create({ families: [6] });
    for (const prefix of ['2020:deed:beef::/128', '2020:deed:deed::/64']) lab.hold(prefix);
    await lab.startServers(SERVERS6.slice(0, 2));
    lab.client.run('ip', 'addr', 'del', 'fd00:99::2/64', 'dev', 'c0');
    const linkLocal = /inet6 (fe80\S+)\/64/.exec(lab.client.run('ip', '-6', 'addr', 'show', 'dev', 'c0'))?.[1];
    const gatewayLocal = /inet6 (fe80\S+)\/64/.exec(lab.gateway.run('ip', '-6', 'addr', 'show', 'dev', 'g0'))?.[1];
    lab.client.run('ip', '-6', 'route', 'replace', 'default', 'via', gatewayLocal ?? '', 'dev', 'c0');
    for (const prefix of ['2020:deed:beef::/128', '2020:deed:deed::/64']) {
      lab.gateway.run('ip', '-6', 'route', 'replace', prefix, 'via', linkLocal ?? '', 'dev', 'g0');
    }
    const found = lab.load({ stunServers: SERVERS6.slice(0, 2).map((ip) => `[${ip}]:3478`) });
    expect(found.routes[6]).toEqual([`[${linkLocal}] -> [2020:deed:beef::]`, `[${linkLocal}] -> [2020:deed:deed::/64]`]);
    expect(found.routes[4]).toEqual([]);
    expect(found.whyNone[4]).toMatch(/has no IPv4 address/);
    expect(Interface.fromDict(found.dict).rp[IP6].size).toBe(2n ** 64n + 1n);
  });

  it('gives each private address its own external one where the network does (1:1 NAT)', async () => {
    lab = await RouteLab.create({ families: [4] });
    for (const n of [3, 4]) lab.hold(`10.99.2.${n}/32`);
    lab.gateway.filter(snat('snat to ip saddr map { 10.99.1.2 : 1.3.3.2, 10.99.2.3 : 1.3.3.3, 10.99.2.4 : 1.3.3.4 };'));
    await twoServers();
    const found = lab.load({ stunServers: SERVERS.slice(0, 2) });
    expect(found.routes[4]).toEqual(['[10.99.1.2] -> [1.3.3.2]', '[10.99.2.3] -> [1.3.3.3]', '[10.99.2.4] -> [1.3.3.4]']);
  });

  it('sees through two NATs in a row, with shared addresses between', async () => {
    lab = await RouteLab.create({ families: [4] });
    // One gateway rewrites twice: inside to the shared range, and that to the outside.
    const carrier = await lab.gateway.beside();
    try {
      lab.gateway.connect('k0', ['100.64.0.2/24'], carrier, 'k1', ['100.64.0.1/24']);
      lab.gateway.run('ip', 'link', 'set', 'g1', 'netns', String(carrier.pid));
      carrier.run('ip', 'addr', 'add', '203.0.113.254/24', 'dev', 'g1');
      carrier.run('ip', 'link', 'set', 'g1', 'up');
      carrier.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
      lab.gateway.run('ip', 'route', 'add', 'default', 'via', '100.64.0.1');
      lab.gateway.filter(snat('oifname "k0" masquerade;'));
      carrier.filter(snat('oifname "g1" snat to 1.3.3.9;'));
      carrier.run('ip', 'addr', 'add', '1.3.3.9/32', 'dev', 'g1');
      await twoServers();
      expect(lab.load({ stunServers: SERVERS.slice(0, 2) }).routes[4]).toEqual(['[10.99.1.2] -> [1.3.3.9]']);
    } finally {
      carrier.close();
    }
  });

  it('tells two ways out apart by the source (policy routing)', async () => {
    lab = await RouteLab.create({ families: [4] });
    lab.client.connect('c1', ['10.88.1.2/24'], lab.gateway, 'g2', ['10.88.1.1/24']);
    lab.client.run('ip', 'route', 'add', 'default', 'via', '10.88.1.1', 'table', '88');
    lab.client.run('ip', 'rule', 'add', 'from', '10.88.1.2', 'table', '88');
    lab.gateway.filter(snat('ip saddr 10.99.1.2 snat to 1.3.3.2; ip saddr 10.88.1.2 snat to 1.3.3.8;'));
    await twoServers();
    expect(lab.load({ stunServers: SERVERS.slice(0, 2) }).routes[4]).toEqual(['[10.99.1.2] -> [1.3.3.2]']);
    const second = lab.load({ which: '10.88.1.2', stunServers: SERVERS.slice(0, 2) });
    expect([second.name, second.routes[4]]).toEqual(['c1', ['[10.88.1.2] -> [1.3.3.8]']]);
  });

  it('is not misled by one dead server of three, and takes no longer', async () => {
    lab = await RouteLab.create({ families: [4] });
    await lab.startServers(SERVERS.slice(1));
    const found = lab.load();
    expect([found.routes[4], found.certainty[4]]).toEqual([['[10.99.1.2] -> [10.99.1.2]'], ['agreed']]);
    expect(found.elapsedMs).toBeLessThan(1_000);
  });

  it('is not misled by one lying server of three, and keeps its word as evidence', async () => {
    lab = await RouteLab.create({ families: [4] });
    await lab.startServers(SERVERS.slice(1));
    await lab.startLiar(SERVERS[0], '6.6.6.6');
    const found = lab.load();
    expect([found.routes[4], found.certainty[4]]).toEqual([['[10.99.1.2] -> [10.99.1.2]'], ['agreed']]);
  });

  it('does not choose between two servers that disagree', async () => {
    lab = await RouteLab.create({ families: [4] });
    await lab.startServers([SERVERS[1]]);
    await lab.startLiar(SERVERS[0], '6.6.6.6');
    const found = lab.load({ stunServers: SERVERS.slice(0, 2) });
    expect([found.routes[4], found.certainty[4]]).toEqual([['[10.99.1.2] -> []'], ['unsure']]);
    expect(found.whyNone[4]).toMatch(/contradict each other/);
    expect(found.observations[0]?.answers.map((answer) => answer.external).toSorted()).toEqual(['10.99.1.2', '6.6.6.6']);
  });

  it('says single-server where one was named', async () => {
    lab = await RouteLab.create({ families: [4] });
    await lab.startServers([SERVERS[0]]);
    expect(lab.load({ stunServers: [SERVERS[0]] }).certainty[4]).toEqual(['single-server']);
  });

  it('changes nothing when one packet in five is lost', async () => {
    lab = await RouteLab.create({ families: [4] });
    for (let n = 1; n <= 40; n++) lab.hold(`198.18.0.${n}/32`);
    lab.gateway.filter('table ip loss { chain forward { type filter hook forward priority 0; policy accept; numgen random mod 10 0 drop; } }');
    await lab.startServers(SERVERS);
    const found = lab.load();
    expect(found.certainty[4].filter((certainty) => certainty === 'agreed')).toHaveLength(41);
    expect(found.observations.some((seen) => seen.answers.some((answer) => answer.attempts > 1))).toBe(true);
  });

  it('pairs each number with the source that leaves as it, also in a /64', async () => {
    lab = await RouteLab.create({ families: [6] });
    lab.hold('2020:deed:deed::/64');
    await lab.startServers(SERVERS6.slice(0, 1));
    const seen = lab.pairs('2020:deed:deed::/64', 100, `[${SERVERS6[0]}]:3478`);
    expect(seen).toHaveLength(100);
    for (const { said, external } of seen) expect(external).toBe(said);
    expect(new Set(seen.map(({ said }) => said)).size).toBe(100);
  });

  it('loads without any network, and says why there is no route', async () => {
    lab = await RouteLab.create({ families: [4, 6] });
    const found = lab.load({ stunServers: [...SERVERS.slice(0, 1), `[${SERVERS6[0]}]:3478`], timeoutMs: 300 });
    expect([found.certainty[4], found.certainty[6]]).toEqual([['unverified'], ['unverified']]);
    expect([found.routes[4], found.routes[6]]).toEqual([['[10.99.1.2] -> []'], ['[fd00:99::2] -> []']]);
    expect(found.whyNone[4]).toMatch(/no STUN server answered over IPv4/);
    lab.client.run('ip', 'link', 'set', 'c0', 'down');
    expect(lab.load({ stunServers: SERVERS.slice(0, 1), timeoutMs: 300 }).whyNone[4]).toMatch(/refused to send over IPv4 from c0|no STUN server answered/);
  });
});
