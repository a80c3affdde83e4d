/**
 * The classifier against real NATs: routers made of namespaces and nftables rules, coturn and our server beyond them.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { NAT_KINDS, STEP, type NatKindName } from '../lab/nat-kinds.ts';
import { NatLab } from '../lab/nat-lab.ts';
import { whyNoNamespaces } from '../lab/namespaces.ts';

const no = whyNoNamespaces('nft', 'ss');
const noCoturn = no ?? whyNoNamespaces('turnserver', 'turnutils_natdiscovery');
const noStun = noCoturn ?? whyNoNamespaces('stun');
if (no !== undefined) console.warn(`real NATs: SKIPPED, ${no}`);
else if (noCoturn !== undefined) console.warn(`real NATs with coturn: SKIPPED, ${noCoturn}`);
else if (noStun !== undefined) console.warn(`Debian's stun client: SKIPPED, ${noStun}`);

/** What an expert with a packet capture says of each: mapping, filtering, allocation, P2PD's type and delta. */
const EXPECTED: Record<
  NatKindName,
  [mapping: string, filtering: string, allocation: string, type: number, delta: number]
> = {
  open: ['none', 'endpoint-independent', 'not-applicable', 1, 1],
  firewall: ['none', 'address-and-port-dependent', 'not-applicable', 2, 1],
  fullCone: ['endpoint-independent', 'endpoint-independent', 'equal', 3, 2],
  hairpin: ['endpoint-independent', 'endpoint-independent', 'equal', 3, 2],
  addressRestricted: ['endpoint-independent', 'address-dependent', 'equal', 4, 2],
  portRestricted: ['endpoint-independent', 'address-and-port-dependent', 'equal', 5, 2],
  symmetricRandom: ['address-and-port-dependent', 'address-and-port-dependent', 'random', 6, 6],
  symmetricStep: ['address-and-port-dependent', 'address-and-port-dependent', 'independent', 6, 4],
  addressDependent: ['address-dependent', 'address-and-port-dependent', 'random', 6, 6],
  // Another address for each connection is another mapping, though the port stays: whoever looks at ports alone sees a
  // cone.
  arbitraryPool: ['address-and-port-dependent', 'address-and-port-dependent', 'equal', 6, 2],
  blocked: ['unknown', 'unknown', 'unknown', 7, 6],
  doubleNat: ['endpoint-independent', 'address-and-port-dependent', 'equal', 5, 2],
  carrierRandom: ['address-and-port-dependent', 'address-and-port-dependent', 'random', 6, 6],
  open6: ['none', 'endpoint-independent', 'not-applicable', 1, 1],
  firewall6: ['none', 'address-and-port-dependent', 'not-applicable', 2, 1],
  nptv6: ['endpoint-independent', 'endpoint-independent', 'equal', 3, 2],
  nat66: ['endpoint-independent', 'address-and-port-dependent', 'equal', 5, 2],
};

/** In capitals and with spaces, as the other tools write it. */
const words = (value: string) => value.replaceAll('-', ' ').toLowerCase();

describe.skipIf(no !== undefined)('real NATs', { timeout: 120_000 }, () => {
  let lab: NatLab;
  afterEach(() => lab.close());

  const kinds = Object.keys(NAT_KINDS) as NatKindName[];
  const servers = (['coturn', 'ours'] as const).filter((server) => server === 'ours' || noCoturn === undefined);

  it.each(servers.flatMap((server) => kinds.map((kind) => ({ kind, server }))))(
    'are told by what they do: $kind, asked at $server',
    async ({ kind, server }) => {
      lab = await NatLab.create(kind);
      await (server === 'coturn' ? lab.startCoturn() : lab.startOurs());
      // One silent server may be dead; two that are silent are not.
      const found = lab.load(kind === 'blocked' ? { servers: lab.servers.slice(0, 2) } : {});
      expect(found.error).toBeUndefined();
      const [family] = found.report.families;
      const { mapping, filtering, allocation, connectivity } = family!;
      expect(
        [mapping.value, filtering.value, allocation.value, found.type, found.delta.type],
        JSON.stringify(family, null, 1),
      ).toEqual(EXPECTED[kind]);
      expect(found.assumed).toBe(false);
      expect(found.dict).toMatchObject({ nat: { type: found.type, delta: found.delta } });
      if (kind === 'blocked') {
        expect(connectivity.value).toMatch(/^(udp-blocked|no-reply)$/);
        return;
      }
      expect(family!.externals).toContain(lab.external);
      if (kind === 'symmetricStep') expect(found.delta.value).toBe(STEP);
      if (kind === 'arbitraryPool')
        expect([family!.pooling.value, family!.externals.toSorted()]).toEqual(['arbitrary', ['1.3.3.7', '1.3.3.8']]);
      else if (mapping.value !== 'none') expect(family!.pooling.value).toBe('paired');
    },
  );

  // Each silence costs it three seconds: one of each kind is enough.
  it
    .skipIf(noCoturn !== undefined)
    .each<NatKindName>([
      'open',
      'fullCone',
      'addressRestricted',
      'portRestricted',
      'symmetricRandom',
      'addressDependent',
      'nptv6',
    ])('are told as turnutils_natdiscovery tells them: %s', async (kind) => {
    lab = await NatLab.create(kind);
    await lab.startCoturn();
    const theirs = lab.client.run('turnutils_natdiscovery', '-m', '-f', lab.servers[0] ?? '').toLowerCase();
    const [mapping, filtering] = EXPECTED[kind];
    // It knows no third answer: without a NAT it says that the mapping is endpoint-independent.
    expect(theirs).toContain(`nat with ${words(mapping === 'none' ? 'endpoint-independent' : mapping)} mapping!`);
    expect(theirs).toContain(`nat with ${words(filtering)} filtering!`);
  });

  it.skipIf(noStun !== undefined).each<[NatKindName, RegExp]>([
    ['open', /Primary: Open/],
    ['firewall', /Primary: Firewall/],
    ['fullCone', /Independent Mapping, Independent Filter, preserves ports, no hairpin/],
    ['hairpin', /Independent Mapping, Independent Filter, preserves ports, will hairpin/],
    ['addressRestricted', /Independent Mapping, Address Dependent Filter, preserves ports/],
    ['portRestricted', /Independent Mapping, Port Dependent Filter, preserves ports/],
    ['symmetricRandom', /Dependent Mapping, random port/],
    ['blocked', /Blocked or could not reach STUN server/],
  ])("are told as Debian's stun client tells them: %s", async (kind, said) => {
    lab = await NatLab.create(kind);
    await lab.startCoturn();
    expect(lab.client.try('stun', lab.servers[0] ?? '').stdout).toMatch(said);
  });

  it('with servers listed in either order, and mirrored', async () => {
    lab = await NatLab.create('addressRestricted');
    await lab.startOurs();
    const [first = '', second = ''] = lab.servers;
    for (const order of [[first], [second], [first, second], [second, first], [`${second}:3479`, `${first}:3479`]]) {
      const found = lab.load({ servers: order });
      expect([found.type, found.report.families[0]?.filtering.value], order.join(' ')).toEqual([
        4,
        'address-dependent',
      ]);
    }
  });

  it('with servers that only answer: the mapping is told by comparing them, and the filter is not guessed', async () => {
    lab = await NatLab.create('symmetricRandom');
    await lab.startPlain(...lab.servers);
    const symmetric = lab.load({ servers: lab.servers });
    expect(symmetric.report.families[0]?.servers.map(({ canTest }) => canTest)).toEqual([false, false, false]);
    expect([symmetric.type, symmetric.rfc3489, symmetric.report.families[0]?.filtering.value]).toEqual([
      6,
      'symmetric',
      'unknown',
    ]);
    lab.close();
    lab = await NatLab.create('portRestricted');
    await lab.startPlain(...lab.servers);
    const cone = lab.load({ servers: lab.servers });
    const [family] = cone.report.families;
    expect([cone.type, cone.assumed, family?.mapping.value, family?.filtering.value, family?.filtering.reason]).toEqual(
      [5, true, 'endpoint-independent', 'unknown', 'cannot-test'],
    );
    expect(cone.explained).toMatch(/whom it lets in could not be found out/);
  });

  it.each([10, 30])('never as something else when %i in a hundred packets are lost each way', async (percent) => {
    for (const kind of ['fullCone', 'addressRestricted', 'portRestricted', 'symmetricRandom'] as const) {
      lab = await NatLab.create(kind);
      lab.lose(percent);
      await lab.startOurs();
      const { mapping, filtering } = lab.load({ tcp: false }).report.families[0]!;
      expect([EXPECTED[kind][0], 'unknown'], kind).toContain(mapping.value);
      expect([EXPECTED[kind][1], 'unknown'], kind).toContain(filtering.value);
      lab.close();
    }
  });

  it('with the time that an idle mapping is kept', async () => {
    lab = await NatLab.create('portRestricted');
    await lab.startOurs();
    lab.router.run(
      'sh',
      '-c',
      'for t in udp_timeout udp_timeout_stream; do echo 3 > /proc/sys/net/netfilter/nf_conntrack_$t; done',
    );
    const found = lab.load({ lifetime: true, lifetimeMaxMs: 10_000, tcp: false });
    const { lifetime } = found.report.families[0]!;
    expect(lifetime.value, JSON.stringify(lifetime)).toBe('measured');
    // The kernel's timers are exact; a second is left for its collection of what has expired.
    expect(lifetime.aliveMs).toBeLessThanOrEqual(4_000);
    expect(lifetime.deadMs).toBeGreaterThanOrEqual(3_000);
    expect(found.violations.map(({ requirement }) => requirement)).toContain('REQ-5');
  });

  it('with hairpinning, when asked', async () => {
    lab = await NatLab.create('hairpin');
    await lab.startOurs();
    expect(lab.load({ hairpin: true }).report.families[0]?.hairpin.value).toBe('yes');
    expect(lab.load().report.families[0]?.hairpin.value).toBe('not-asked');
    lab.close();
    lab = await NatLab.create('portRestricted');
    await lab.startOurs();
    const without = lab.load({ hairpin: true });
    expect([
      without.report.families[0]?.hairpin.value,
      without.violations.map(({ requirement }) => requirement),
    ]).toEqual(['no', ['REQ-8', 'REQ-9']]);
  });

  it('and told apart from what is no NAT: a captive portal, UDP that is blocked, no route', async () => {
    lab = await NatLab.create('blocked');
    await lab.startOurs();
    const portal = `http://${lab.servers[2]}/generate_204`;
    const node = (status: number) => [
      process.execPath,
      '-e',
      `require('http').createServer((request, response) => { const echo = request.headers['x-routepool-challenge']; response.writeHead(${status}, { location: 'http://login.example/', ...(echo && ${status} === 204 ? { 'x-routepool-response': 'response ' + echo } : {}) }).end(); }).listen(80, '${lab.servers[2]}', () => console.log('up'))`,
    ];
    await lab.server.start(node(302), /up/);
    const captive = lab.load({ portal });
    expect([captive.report.families[0]?.connectivity.value, captive.explained.split('\n')[0]]).toEqual([
      'captive-portal',
      expect.stringMatching(/captive portal/),
    ]);
    const blocked = lab.load({ portal: false, servers: lab.servers.slice(0, 2) });
    expect(blocked.report.families[0]?.connectivity.value).toMatch(/udp-blocked|no-reply/);
    // Without a route Linux looks for every address on the link that a socket is tied to: sending succeeds, into
    // nothing.
    lab.client.run('ip', 'route', 'del', 'default');
    const lost = lab.load();
    expect([lost.report.families[0]?.connectivity.value, lost.type, lost.assumed]).toEqual(['no-route', 5, true]);
  });
});
