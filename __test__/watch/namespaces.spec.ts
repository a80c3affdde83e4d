/** What a watch tells of real interfaces, in network namespaces. */
import { afterEach, describe, expect, it } from 'vitest';
import { Namespace, whyNoNamespaces } from '../lab/namespaces.ts';
import { RouteLab, SERVERS } from '../lab/route-lab.ts';
import { inShort, Watching } from '../lab/watching.ts';

const why = whyNoNamespaces('nft');
if (why !== undefined) console.warn(`watching in namespaces: SKIPPED, ${why}`);

const noDad = [
  'sh',
  '-c',
  'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad',
];

describe.skipIf(why !== undefined)('interfaces', () => {
  let space: Namespace;
  afterEach(() => space.close());

  /** A namespace with one end of a cable, `c0`, whose other end is `p0`, both down; IPv6 only where it is asked for. */
  async function cable(): Promise<Namespace> {
    space = await Namespace.create();
    space.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6');
    space.run(...noDad);
    space.run('ip', 'link', 'add', 'c0', 'type', 'veth', 'peer', 'name', 'p0');
    return space;
  }

  it.each([
    ['netlink', {}],
    ['polling', { pollMs: 20 }],
  ] as const)('are told step by step (%s)', async (method, options) => {
    await cable();
    const watching = await Watching.start(space, options);
    const ip = (...args: string[]) => space.run('ip', ...args);
    let from = 0;
    const step = async (run: () => void, ...want: string[]) => {
      run();
      const told = await watching.until(want.join(', '), (changes) => changes.length >= want.length, from);
      // In the order of the interfaces' numbers, or as they were seen.
      expect(told.map(inShort).toSorted()).toEqual(want.toSorted());
      from = watching.changes.length;
    };
    await step(() => ip('addr', 'add', '10.0.0.1/24', 'dev', 'c0'), 'c0 +10.0.0.1/24');
    await step(() => ip('link', 'set', 'p0', 'up'));
    await step(() => ip('link', 'set', 'c0', 'up'), 'c0 up', 'p0 up');
    await step(() => ip('route', 'add', 'default', 'via', '10.0.0.7'), 'IPv4 none > 10.0.0.7');
    await step(() => ip('route', 'replace', 'default', 'via', '10.0.0.8'), 'IPv4 10.0.0.7 > 10.0.0.8');
    await step(() => ip('addr', 'add', '10.0.0.2/24', 'dev', 'c0'), 'c0 +10.0.0.2/24');
    await step(() => ip('route', 'add', 'local', '8.8.0.0/16', 'dev', 'lo'), 'c0 +[8.8.0.0/16]');
    await step(() => ip('addr', 'del', '10.0.0.2/24', 'dev', 'c0'), 'c0 -10.0.0.2/24');
    await step(() => ip('route', 'del', 'local', '8.8.0.0/16', 'dev', 'lo'), 'c0 -[8.8.0.0/16]');
    // The cable is pulled out at its other end: c0 is still switched on.
    await step(() => ip('link', 'set', 'p0', 'down'), 'c0 down', 'p0 down');
    await step(() => ip('link', 'set', 'p0', 'up'), 'c0 up', 'p0 up');
    await step(() => ip('link', 'set', 'p0', 'name', 'q0'), 'p0 > q0');
    await step(() => ip('link', 'del', 'c0'), 'q0 removed', 'c0 -10.0.0.1/24', 'c0 removed');
    await step(() => undefined, 'IPv4 10.0.0.8 > none');
    await step(() => ip('link', 'add', 'c1', 'type', 'veth', 'peer', 'name', 'p1'), 'p1 added', 'c1 added');
    const counters = await watching.counters();
    expect([counters.method, counters.disconnects, counters.failures]).toEqual([method, 0, 0]);
  });

  it('tell of IPv6: what comes with a link, and the default route', async () => {
    space = await Namespace.create();
    space.run(...noDad);
    space.run('ip', 'link', 'add', 'c0', 'type', 'veth', 'peer', 'name', 'p0');
    space.run('ip', 'link', 'set', 'p0', 'up');
    const watching = await Watching.start(space);
    space.run('ip', 'link', 'set', 'c0', 'up');
    space.run('ip', '-6', 'addr', 'add', '2001:db8::7/64', 'dev', 'c0');
    space.run('ip', '-6', 'route', 'add', 'default', 'via', '2001:db8::1');
    const told = await watching.until('the default route', (changes) =>
      changes.some(({ type }) => type === 'default-changed'),
    );
    const texts = told.map(inShort);
    expect(texts).toEqual(expect.arrayContaining(['c0 up', 'c0 +2001:db8::7/64', 'IPv6 none > 2001:db8::1']));
    expect(texts.filter((text) => text.startsWith('c0 +fe80::'))).toHaveLength(1);
  });

  it('say nothing of an address that is only renewed', async () => {
    await cable();
    space.run('ip', 'addr', 'add', '10.0.0.1/24', 'dev', 'c0', 'valid_lft', '1000', 'preferred_lft', '500');
    const watching = await Watching.start(space);
    for (let i = 0; i < 5; i++)
      space.run(
        'ip',
        'addr',
        'change',
        '10.0.0.1/24',
        'dev',
        'c0',
        'valid_lft',
        String(2000 + i),
        'preferred_lft',
        '500',
      );
    const counters = await watching.untilCounters(({ repeated }) => repeated >= 5);
    expect([counters.scans, counters.events, watching.changes]).toEqual([1, 0, []]);
  });

  const many = Array.from({ length: 5_000 }, (_, i) => `10.7.${i >> 8}.${i & 255}`);

  it('are told whole of a burst of 5,000 addresses, added and removed', async () => {
    await cable();
    const watching = await Watching.start(space);
    space.batch(many.map((ip) => `addr add ${ip}/32 dev c0`));
    const added = await watching.until('5,000 addresses', (changes) => changes.length >= 5_000);
    expect(new Set(added.map(inShort))).toEqual(new Set(many.map((ip) => `c0 +${ip}/32`)));
    expect(added).toHaveLength(5_000);
    space.run('ip', 'addr', 'flush', 'dev', 'c0');
    const removed = await watching.until('their end', (changes) => changes.length >= 5_000, 5_000);
    expect(new Set(removed.map(inShort))).toEqual(new Set(many.map((ip) => `c0 -${ip}/32`)));
    expect(watching.changes).toHaveLength(10_000);
  });

  it('are told whole when the kernel had more to tell than its buffer holds', async () => {
    await cable();
    const watching = await Watching.start(space);
    // A stopped process reads nothing.
    watching.signal('SIGSTOP');
    space.batch(many.map((ip) => `addr add ${ip}/32 dev c0`));
    space.batch(many.slice(0, 100).map((ip) => `addr del ${ip}/32 dev c0`));
    watching.signal('SIGCONT');
    const told = await watching.until('4,900 addresses', (changes) => changes.length >= 4_900);
    expect(new Set(told.map(inShort))).toEqual(new Set(many.slice(100).map((ip) => `c0 +${ip}/32`)));
    const { overflows } = await watching.counters();
    expect(overflows).toBeGreaterThan(0);
    // Being stopped is not sleep.
    expect(told.filter(({ type }) => type === 'resumed')).toEqual([]);
    const from = watching.changes.length;
    space.run('ip', 'addr', 'add', '10.9.9.9/32', 'dev', 'c0');
    expect((await watching.until('one more', (changes) => changes.length > 0, from)).map(inShort)).toEqual([
      'c0 +10.9.9.9/32',
    ]);
  });
});

describe.skipIf(why !== undefined)('external addresses', { timeout: 90_000 }, () => {
  let lab: RouteLab;
  afterEach(() => lab.close());
  const snat = (rules: string) =>
    `flush ruleset; table ip nat { chain post { type nat hook postrouting priority 100; policy accept; ${rules} } }`;
  const servers = SERVERS.slice(0, 2);

  it("are told when the NAT's address changes, and the route stays the same", async () => {
    lab = await RouteLab.create({ families: [4] });
    lab.gateway.filter(snat('ip saddr 10.99.1.0/24 snat to 1.3.3.7;'));
    lab.client.run('ip', 'addr', 'add', '10.99.1.3/24', 'dev', 'c0');
    await lab.startServers(servers);
    const watching = await Watching.start(lab.client, { external: { servers: servers, intervalMs: 100 } });
    await watching.untilCounters(({ externalChecks }) => externalChecks >= 2);
    expect(watching.changes).toEqual([]);
    lab.gateway.filter(snat('ip saddr 10.99.1.0/24 snat to 1.3.3.8;'));
    const both = await watching.until('another address', (changes) => changes.length > 0);
    expect(both.map(inShort)).toEqual(['10.99.1.2/32+10.99.1.3/32: 1.3.3.7 > 1.3.3.8 (agreed)']);
    expect(both[0]?.text).toBe('[10.99.1.2, 10.99.1.3] -> [1.3.3.8]');
    lab.gateway.filter(snat('ip saddr 10.99.1.2 snat to 1.3.3.8; ip saddr 10.99.1.3 snat to 1.3.3.9;'));
    const one = await watching.until('one of them', (changes) => changes.length > 0, 1);
    expect(one.map(inShort)).toEqual(['10.99.1.3/32: 1.3.3.8 > 1.3.3.9 (agreed)']);
  });

  it('do not change by silence', async () => {
    lab = await RouteLab.create({ families: [4] });
    lab.gateway.filter(snat('ip saddr 10.99.1.0/24 snat to 1.3.3.7;'));
    await lab.startServers(servers);
    const watching = await Watching.start(lab.client, {
      external: { servers: servers, intervalMs: 100, timeoutMs: 200 },
    });
    await watching.untilCounters(({ externalChecks }) => externalChecks >= 1);
    lab.gateway.run('ip', 'link', 'set', 'g1', 'down');
    const { externalChecks } = await watching.counters();
    await watching.untilCounters((counters) => counters.externalChecks >= externalChecks + 3);
    expect(watching.changes).toEqual([]);
  });

  it('are asked for after a change alone, where no interval is given', async () => {
    lab = await RouteLab.create({ families: [4] });
    lab.client.connect('c1', ['10.88.1.2/24'], lab.gateway, 'g2', ['10.88.1.1/24']);
    lab.gateway.filter(snat('oifname "g1" ip saddr 10.99.1.0/24 snat to 1.3.3.7;'));
    await lab.startServers(servers);
    const watching = await Watching.start(lab.client, { external: { servers: servers } });
    await watching.untilCounters(({ externalChecks }) => externalChecks === 1);
    lab.gateway.filter(snat('oifname "g1" ip saddr 10.99.1.0/24 snat to 1.3.3.8;'));
    // Nothing tells of that; an address that comes does.
    lab.client.run('ip', 'addr', 'add', '10.99.1.3/24', 'dev', 'c0');
    const told = await watching.until('both', (changes) => changes.length >= 3);
    expect(told.map(inShort)).toEqual([
      'c0 +10.99.1.3/24',
      '10.99.1.2/32: 1.3.3.7 > 1.3.3.8 (agreed)',
      '10.99.1.3/32: undefined > 1.3.3.8 (agreed)',
    ]);
    // A routing rule changes no address and no default route, but perhaps what is seen outside.
    const { externalChecks } = await watching.counters();
    lab.client.run('ip', 'rule', 'add', 'from', '10.99.1.3', 'table', '88');
    await watching.untilCounters((counters) => counters.externalChecks > externalChecks);
    expect(watching.changes).toHaveLength(3);
  });
});
