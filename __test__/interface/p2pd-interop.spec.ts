/** Against P2PD itself: its from_dict takes the full dict that we write, and we read what it prints. */
import { beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { familyNumber } from '../../src/address/af-numbers.ts';
import { readDict, writeDict, type InterfaceData } from '../../src/interface/dict.ts';
import type { RouteData } from '../../src/routes/data.ts';
import { isP2pdRoute } from '../../src/interface/p2pd-route.ts';
import { DOCUMENTED, nic, randomNic, range, route, seeded } from '../helpers/interface-data.ts';
import { askP2pd, MAKING_MS, whyNoP2pd } from '../lab/p2pd.ts';

let no: string | undefined;
beforeAll(async () => {
  no = await whyNoP2pd();
  if (no) console.warn(`SKIPPED: all tests against P2PD, because ${no}`);
}, 3 * MAKING_MS);

function needsP2pd(context: TestContext): void {
  if (no) context.skip(no);
}

const write = (data: InterfaceData): object => writeDict(data, { dialect: 'p2pd-3.1' });
const v4 = route(['192.168.0.20'], ['1.3.3.7']);
const v6 = route(['fd00::5'], ['2020:deed:beef::20'], ['fe80::1']);

/** P2PD takes each, prints the same dict, evaluates its repr to an equal one; and we read what it prints. */
async function expectTaken(interfaces: readonly InterfaceData[]): Promise<void> {
  const dicts = interfaces.map(write);
  const { answers, calls } = await askP2pd(dicts);
  expect(calls).toEqual([]);
  expect(answers).toEqual(
    dicts.map((dict) => ({ printed: JSON.parse(JSON.stringify(dict)) as unknown, evaluated: true })),
  );
  const held = ({ routes, ...rest }: InterfaceData) => ({
    ...rest,
    routes: { 4: routes[4].filter(isP2pdRoute), 6: routes[6].filter(isP2pdRoute) },
  });
  expect(answers.map(({ printed }) => readDict(printed))).toEqual(interfaces.map(held));
}

describe('P2PD takes our dict, prints the same one, and we read that', () => {
  it.for<[name: string, data: InterfaceData]>([
    ['an interface without routes', nic([])],
    ['IPv4 alone', nic([v4])],
    [
      'IPv6 with link-local addresses',
      nic([route(['fd00::5'], ['2020:deed:beef::20'], ['fe80::1', 'fe80::9acb:c90e:7bf6:a093'])]),
    ],
    [
      'IPv6 with the first and the last address',
      nic([route(['::'], ['2a00::', '2a00:ffff:ffff:ffff:ffff:ffff:ffff:ffff'])]),
    ],
    ['a /16 block', nic([route(['8.8.0.0/16'], ['8.8.0.0/16'])])],
    ['IPv6 blocks: any within, a /65 outside', nic([route(['2020:deed:deed::/48', '::/0'], ['2020:deed:deed::/65'])])],
    [
      'several routes',
      nic([
        route(['192.168.0.20', '193.168.0.0/16', '7.7.7.7'], ['1.3.3.7']),
        route(['8.8.0.0/16'], ['8.8.0.0/16', '10.0.0.1']),
        v4,
        v6,
        v6,
      ]),
    ],
    ['no hardware address', nic([v4], { mac: null })],
    [
      'a name with spaces and quotes',
      nic([v4], { name: `Intel(R) "Wi-Fi" 6 'AX200'`, id: '{4D36E972}', index: 7, nicNumber: 12 }),
    ],
    ['default for IPv6 alone', nic([v4, v6], { isDefault: { 4: false, 6: true } })],
  ])('%s', async ([, data], context) => {
    needsP2pd(context);
    await expectTaken([data]);
  });

  it('every NAT type with every delta type, texts included', async (context) => {
    needsP2pd(context);
    const steps = [1, 2, 3, 4, 5, 6] as const;
    const all = ([1, 2, 3, 4, 5, 6, 7] as const).flatMap((type) =>
      steps.map((delta) =>
        nic([v4], { nat: { type, delta: { type: delta, value: delta === 4 || delta === 5 ? 2 : 0 } } }),
      ),
    );
    await expectTaken(all);
  });

  it('a mapped IPv4 address, which Python prints with dots since 3.13', async (context) => {
    needsP2pd(context);
    const data = nic([route(['::ffff:808:808'], ['2020::1'])]);
    const { answers } = await askP2pd([write(data)]);
    expect(answers.map(({ printed }) => readDict(printed))).toEqual([data]);
  });

  it('500 random interfaces', async (context) => {
    needsP2pd(context);
    const random = seeded(2);
    await expectTaken(Array.from({ length: 500 }, () => randomNic(random)));
  });

  it('an address at each border of what is public: those that it refuses are left out', async (context) => {
    needsP2pd(context);
    const borders = `
      0.255.255.255 1.0.0.0 9.255.255.255 11.0.0.0 100.64.0.1 126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0
      172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0 192.88.99.1 192.167.255.255 192.169.0.0 198.17.255.255
      198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 224.0.0.1 239.255.255.255 240.0.0.0 255.255.255.255
      ::1 ::2 64:ff9b::808:808 64:ff9b:1::1 100::1 100:0:0:1:: 2001::1 2001:200:: 2001:db7:ffff:: 2001:db9:: 2002::1
      2003:: 3ffe:: 3fff::1 3fff:1000:: fbff:: fe00:: fe7f:: fec0:: ff02::1
      10.255.255.255 127.255.255.255 169.254.255.255 172.31.255.255 192.0.0.0 192.0.0.171 192.0.2.255 192.168.255.255
      198.19.255.255 198.51.100.255 203.0.113.255 64:ff9b:1:ffff:: 100::ffff:ffff:ffff:ffff 2001:1ff:ffff:: 2001:db8:ffff::
      2002:ffff:: 3fff:fff:ffff:: fdff:ffff:: febf:ffff::`;
    const data = nic(
      borders
        .trim()
        .split(/\s+/)
        .map((ip) => route([ip], [ip])),
    );
    expect(data.routes[4].filter(isP2pdRoute)).toHaveLength(24);
    expect(data.routes[6].filter(isP2pdRoute)).toHaveLength(14);
    await expectTaken([data]);
  });
});

describe('what P2PD refuses, so that the full dict is without it', () => {
  const refused = (given: RouteData): object => {
    const af = familyNumber(given.af, process.platform);
    const ranges = (list: RouteData['nicIps']) => list.map(({ ip, cidr }) => ({ ip, cidr, af }));
    const plain = { af, nic_ips: ranges(given.nicIps), ext_ips: ranges(given.extIps), link_local_ips: [] };
    const dict = write(nic([])) as { rp: object };
    return { ...dict, rp: { ...dict.rp, [af]: [plain] } };
  };

  it.for<[name: string, given: RouteData, why: string]>([
    ['no external address', { ...v4, extIps: [] }, 'AssertionError()'],
    ['no address of the interface', { ...v4, nicIps: [] }, 'AssertionError()'],
    ['a private external address', { ...v4, extIps: [range('10.0.0.1')] }, 'AssertionError()'],
    ['all of IPv4', { ...v4, extIps: [range('0.0.0.0/0')] }, 'AssertionError()'],
    ['a unique local external address', { ...v6, extIps: [range('fd00::1')] }, 'AssertionError()'],
    [
      'an IPv6 /64, as its own documentation has',
      { ...v6, extIps: [range('2020:deed:deed::/64')] },
      'OverflowError("cannot fit \'int\' into an index-sized integer")',
    ],
  ])('%s', async ([, given, why], context) => {
    needsP2pd(context);
    const { answers, calls } = await askP2pd([refused(given)]);
    expect([answers, calls]).toEqual([[{ refused: why }], []]);
    expect(isP2pdRoute(given)).toBe(false);
  });
});

describe("the documentation's short form", () => {
  it('is refused by P2PD itself, and taken once we have read it and written it in full', async (context) => {
    needsP2pd(context);
    const { answers } = await askP2pd([DOCUMENTED]);
    expect(answers).toEqual([{ refused: "KeyError('netiface_index')" }]);
    await expectTaken([readDict(DOCUMENTED)]);
  });
});
