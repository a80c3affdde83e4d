/**
 * Routes of interfaces behind real gateways: each network is made of namespaces, and what is loaded must be what it
 * does.
 */
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { Interface, IP4, IP6 } from '../../src/index.ts';
import { whyNoNamespaces } from '../lab/namespaces.ts';
import { RouteLab, SERVERS, SERVERS6 } from '../lab/route-lab.ts';

const why = whyNoNamespaces('nft');
if (why !== undefined) console.warn(`routes behind gateways: SKIPPED, ${why}`);

const snat = (rules: string) =>
  `table ip nat { chain post { type nat hook postrouting priority 100; policy accept; ${rules} } }`;

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
    const found = lab.load({ servers: SERVERS.slice(0, 2) });
    const sides = found.routes[4].map((route) =>
      route.split(' -> ').map((side) => side.slice(1, -1).split(', ').toSorted()),
    );
    expect(sides).toEqual([
      [['192.168.0.20', '193.168.0.0/16', '7.7.7.7'], ['1.3.3.7']],
      [['8.8.0.0/16'], ['8.8.0.0/16']],
    ]);
    expect([found.certainty[4], found.assumed[4]]).toEqual([
      ['agreed', 'agreed'],
      [true, true],
    ]);
    const restored = Interface.fromDict(found.dict);
    expect(restored.rp[IP4].length).toBe(65_537);
    expect([restored.rp[IP4].at(0)?.ext(), restored.rp[IP4].at(301)?.ext(), restored.rp[IP4].at(301)?.nic()]).toEqual([
      '1.3.3.7',
      '8.8.1.44',
      '8.8.1.44',
    ]);
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
    const found = lab.load({ servers: SERVERS6.slice(0, 2).map((ip) => `[${ip}]:3478`) });
    expect(found.routes[6]).toEqual([
      `[${linkLocal}] -> [2020:deed:beef::]`,
      `[${linkLocal}] -> [2020:deed:deed::/64]`,
    ]);
    expect(found.routes[4]).toEqual([]);
    expect(found.noRouteReason[4]).toMatch(/has no IPv4 address/);
    expect(Interface.fromDict(found.dict).rp[IP6].size).toBe(2n ** 64n + 1n);
  });

  it('gives each private address its own external one where the network does (1:1 NAT)', async () => {
    lab = await RouteLab.create({ families: [4] });
    for (const n of [3, 4]) lab.hold(`10.99.2.${n}/32`);
    lab.gateway.filter(snat('snat to ip saddr map { 10.99.1.2 : 1.3.3.2, 10.99.2.3 : 1.3.3.3, 10.99.2.4 : 1.3.3.4 };'));
    await twoServers();
    const found = lab.load({ servers: SERVERS.slice(0, 2) });
    expect(found.routes[4]).toEqual([
      '[10.99.1.2] -> [1.3.3.2]',
      '[10.99.2.3] -> [1.3.3.3]',
      '[10.99.2.4] -> [1.3.3.4]',
    ]);
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
      expect(lab.load({ servers: SERVERS.slice(0, 2) }).routes[4]).toEqual(['[10.99.1.2] -> [1.3.3.9]']);
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
    expect(lab.load({ servers: SERVERS.slice(0, 2) }).routes[4]).toEqual(['[10.99.1.2] -> [1.3.3.2]']);
    const second = lab.load({ which: '10.88.1.2', servers: SERVERS.slice(0, 2) });
    expect([second.name, second.routes[4]]).toEqual(['c1', ['[10.88.1.2] -> [1.3.3.8]']]);
  });

  it('is not misled by one dead server of three, and does not wait for it', async () => {
    lab = await RouteLab.create({ families: [4] });
    // Dropped, so that nothing tells it from a slow one.
    lab.gateway.filter(
      `table ip dead { chain forward { type filter hook forward priority 0; policy accept; ip daddr ${SERVERS[0]} drop; } }`,
    );
    await lab.startServers(SERVERS);
    const found = lab.load();
    expect([found.routes[4], found.certainty[4]]).toEqual([['[10.99.1.2] -> [10.99.1.2]'], ['agreed']]);
    // A silent server is asked for the fourth time after 3.5 seconds: nobody waited for that.
    const [dead, ...others] = found.observations[0]?.answers ?? [];
    expect([dead?.server, dead?.external, (dead?.attempts ?? 4) < 4]).toEqual([SERVERS[0], undefined, true]);
    expect(others.map(({ server, external }) => [server, external])).toEqual(
      SERVERS.slice(1).map((server) => [server, '10.99.1.2']),
    );
  });

  it('is not misled by one lying server of three, and keeps its word as evidence', async () => {
    lab = await RouteLab.create({ families: [4] });
    await lab.startServers(SERVERS.slice(1));
    await lab.startLiar(SERVERS[0], '6.6.6.6');
    const found = lab.load();
    expect([found.routes[4], found.certainty[4]]).toEqual([['[10.99.1.2] -> [10.99.1.2]'], ['agreed']]);
    // The liar's word is kept if it came before the other two agreed; it must never count.
    const words = found.observations[0]?.answers.flatMap(({ server, external }) =>
      external === undefined ? [] : [`${server} ${external}`],
    );
    expect(words?.filter((word) => word !== `${SERVERS[0]} 6.6.6.6`)).toEqual(
      SERVERS.slice(1).map((server) => `${server} 10.99.1.2`),
    );
  });

  it('is outvoted also where the liar answers first', async () => {
    lab = await RouteLab.create({ families: [4] });
    // The honest ones are a second away at first, so that the liar's word is alone for a while.
    lab.gateway.filter(`table ip late { chain forward { type filter hook forward priority 0; policy accept;
      ip saddr { ${SERVERS[1]}, ${SERVERS[2]} } limit rate over 1/minute burst 1 packets accept; ip saddr { ${SERVERS[1]}, ${SERVERS[2]} } drop; } }`);
    await lab.startServers(SERVERS.slice(1));
    await lab.startLiar(SERVERS[0], '6.6.6.6');
    const found = lab.load();
    expect([found.routes[4], found.certainty[4]]).toEqual([['[10.99.1.2] -> [10.99.1.2]'], ['agreed']]);
    expect(found.observations[0]?.answers[0]).toMatchObject({ server: SERVERS[0], external: '6.6.6.6' });
  });

  it('does not choose between two servers that disagree', async () => {
    lab = await RouteLab.create({ families: [4] });
    await lab.startServers([SERVERS[1]]);
    await lab.startLiar(SERVERS[0], '6.6.6.6');
    const found = lab.load({ servers: SERVERS.slice(0, 2) });
    expect([found.routes[4], found.certainty[4]]).toEqual([['[10.99.1.2] -> []'], ['unsure']]);
    expect(found.noRouteReason[4]).toMatch(/contradict each other/);
    expect(found.observations[0]?.answers.map((answer) => answer.external).toSorted()).toEqual([
      '10.99.1.2',
      '6.6.6.6',
    ]);
  });

  it('says single-server where one was named', async () => {
    lab = await RouteLab.create({ families: [4] });
    await lab.startServers([SERVERS[0]]);
    expect(lab.load({ servers: [SERVERS[0]] }).certainty[4]).toEqual(['single-server']);
  });

  it('changes nothing when one packet in five is lost', async () => {
    lab = await RouteLab.create({ families: [4] });
    for (let n = 1; n <= 40; n++) lab.hold(`198.18.0.${n}/32`);
    lab.gateway.filter(
      'table ip loss { chain forward { type filter hook forward priority 0; policy accept; numgen random mod 10 0 drop; } }',
    );
    await lab.startServers(SERVERS);
    const found = lab.load();
    expect(found.certainty[4].filter((certainty) => certainty === 'agreed')).toHaveLength(41);
    expect(found.observations.some((seen) => seen.answers.some((answer) => answer.attempts > 1))).toBe(true);
  });

  it('loads a machine that has IPv6 alone', async () => {
    lab = await RouteLab.create({ families: [6] });
    lab.hold('2020:deed:deed::/64');
    await lab.startServers(SERVERS6.slice(0, 2));
    // The default interface, as `Interface.load()` without arguments finds it.
    const found = lab.load({ which: undefined, servers: SERVERS6.slice(0, 2).map((ip) => `[${ip}]:3478`) });
    const linkLocal = /inet6 (fe80\S+)\/64/.exec(lab.client.run('ip', '-6', 'addr', 'show', 'dev', 'c0'))?.[1];
    expect([found.name, found.routes[6]]).toEqual([
      'c0',
      [`[${linkLocal}] -> [fd00:99::2]`, `[${linkLocal}] -> [2020:deed:deed::/64]`],
    ]);
    expect([found.certainty[6], found.assumed[6], found.routes[4]]).toEqual([['agreed', 'agreed'], [false, true], []]);
    expect(found.noRouteReason).toMatchObject({ 4: expect.stringMatching(/has no IPv4 address/) as string });
    expect(Interface.fromDict(found.dict).supported()).toEqual([IP6]);
  });

  it('never chooses an address that is deprecated, or not yet known to be unique', async () => {
    lab = await RouteLab.create({ families: [6] });
    await lab.startServers(SERVERS6.slice(0, 2));
    lab.client.run('ip', '-6', 'addr', 'add', 'fd00:99::dead/64', 'dev', 'c0', 'preferred_lft', '0');
    // Asks for doubles a hundred times, so that it is tentative for a hundred seconds.
    lab.client.run(
      'sh',
      '-c',
      'cd /proc/sys/net/ipv6/conf && for i in all c0; do echo 1 > $i/accept_dad; done && echo 100 > c0/dad_transmits',
    );
    lab.client.run('ip', '-6', 'addr', 'add', 'fd00:99::7e57/64', 'dev', 'c0');
    const shown = lab.client.run(
      process.execPath,
      fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url)),
      'interfaces',
      'c0',
      '--offline',
      '--json',
    );
    const [facts] = JSON.parse(shown) as { addresses: { ip: string; deprecated: boolean; tentative: boolean }[] }[];
    const flags = facts?.addresses
      .filter(({ ip }) => ip.startsWith('fd00'))
      .map(({ ip, deprecated, tentative }) => `${ip} ${deprecated} ${tentative}`);
    expect(flags?.toSorted()).toEqual([
      'fd00:99::2 false false',
      'fd00:99::7e57 false true',
      'fd00:99::dead true false',
    ]);
    const found = lab.load({ servers: SERVERS6.slice(0, 2).map((ip) => `[${ip}]:3478`) });
    expect(found.observations.map(({ ip }) => ip)).toEqual(['fd00:99::2']);
  });

  it('ties sockets to the interface: bound ones leave by it against the routing table', async () => {
    lab = await RouteLab.create({ families: [4] });
    // Two links, and no rule that leads the second one's address anywhere but to the first.
    lab.client.connect('c1', ['10.88.1.2/24'], lab.gateway, 'g2', ['10.88.1.1/24']);
    lab.client.run('ip', 'route', 'add', 'default', 'via', '10.88.1.1', 'metric', '500');
    lab.gateway.filter(snat('iifname "g0" snat to 1.3.3.1; iifname "g2" snat to 1.3.3.2;'));
    await twoServers();
    const found = lab.load({ which: 'c1', servers: SERVERS.slice(0, 2) });
    expect(found.routes[4]).toEqual(['[10.88.1.2] -> [1.3.3.2]']);
    // The same address without its interface leaves by the first link.
    const untied = lab.client.run(
      process.execPath,
      '--input-type=module',
      '-e',
      `
      import { validate } from 'routepool';
      for await (const { ip, status, external } of validate('10.88.1.2', { servers: ['${SERVERS[0]}', '${SERVERS[1]}'] })) console.log(ip, status, external);`,
    );
    expect(untied).toBe('10.88.1.2 mapped 1.3.3.1\n');
  });

  it('loads several at once, also where one is not there', async () => {
    lab = await RouteLab.create({ families: [4] });
    lab.client.connect('c1', ['10.88.1.2/24'], lab.gateway, 'g2', ['10.88.1.1/24']);
    lab.client.run('ip', 'route', 'add', 'default', 'via', '10.88.1.1', 'metric', '500');
    await twoServers();
    const text = lab.client.run(
      process.execPath,
      '--input-type=module',
      '-e',
      `
      import { loadInterfaces } from 'routepool';
      const servers = ${JSON.stringify(SERVERS.slice(0, 2))};
      const { loaded, failed } = await loadInterfaces(['c1', 'gone0', 'c0'], { servers });
      const all = await loadInterfaces(undefined, { servers });
      console.log(JSON.stringify([loaded.map((nic) => nic.name + ' ' + nic.route().ext()), failed.map(({ name, error }) => [name, error.code]), all.loaded.map((nic) => nic.name)]));`,
    );
    expect(JSON.parse(text)).toEqual([
      ['c1 10.88.1.2', 'c0 10.99.1.2'],
      [['gone0', 'ERR_ROUTEPOOL_NO_INTERFACE']],
      ['c0', 'c1'],
    ]);
  });

  it('loads a machine that has loopback alone, and one whose servers have no name', async () => {
    lab = await RouteLab.create({ families: [4] });
    const alone = await lab.client.beside();
    try {
      const load =
        "import { Interface } from 'routepool'; const nic = await Interface.load(); try { nic.route(); } catch (e) { console.log(nic.name, e.code, e.message); }";
      expect(alone.run(process.execPath, '--input-type=module', '-e', load)).toMatch(
        /^lo ERR_ROUTEPOOL_NO_ROUTE lo has no IPv4 route: lo has no IPv4 address that could leave/,
      );
      expect(alone.run(process.execPath, fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url)))).toMatch(
        /No interface of this machine is up/,
      );
    } finally {
      alone.close();
    }
    // The public servers are asked for by name, and no resolver can be reached.
    lab.client.run('ip', 'route', 'del', 'default');
    const found = lab.load({ servers: undefined, timeoutMs: 300 });
    expect([found.routes[4], found.certainty[4]]).toEqual([['[10.99.1.2] -> []'], ['unverified']]);
    expect(found.noRouteReason[4]).toMatch(/could not be resolved|was not resolved/);
  });

  it('pairs each number with the source that leaves as it, also in a /64', async () => {
    lab = await RouteLab.create({ families: [6] });
    lab.hold('2020:deed:deed::/64');
    await lab.startServers(SERVERS6.slice(0, 1));
    const seen = lab.pairs('2020:deed:deed::/64', 1_000, `[${SERVERS6[0]}]:3478`);
    expect(seen).toHaveLength(1_000);
    for (const { said, external } of seen) expect(external).toBe(said);
    expect(new Set(seen.map(({ said }) => said)).size).toBe(1_000);
  });

  it('loads without any network, and says why there is no route', async () => {
    lab = await RouteLab.create({ families: [4, 6] });
    const found = lab.load({ servers: [...SERVERS.slice(0, 1), `[${SERVERS6[0]}]:3478`], timeoutMs: 300 });
    expect([found.certainty[4], found.certainty[6]]).toEqual([['unverified'], ['unverified']]);
    expect([found.routes[4], found.routes[6]]).toEqual([['[10.99.1.2] -> []'], ['[fd00:99::2] -> []']]);
    expect(found.noRouteReason[4]).toMatch(/no STUN server answered over IPv4/);
    lab.client.run('ip', 'link', 'set', 'c0', 'down');
    expect(lab.load({ servers: SERVERS.slice(0, 1), timeoutMs: 300 }).noRouteReason[4]).toMatch(
      /refused to send over IPv4 from c0|no STUN server answered/,
    );
  });
});
