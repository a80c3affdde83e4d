/**
 * The dict of an interface: what is written in each dialect, what is read, and what is refused by the path of its
 * field.
 */
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { RoutePoolError } from '../../src/errors/errors.ts';
import { readDict, writeDict, type Dialect, type InterfaceData } from '../../src/interface/dict.ts';
import { isP2pdRoute } from '../../src/interface/p2pd-route.ts';
import { DOCUMENTED, nic, randomNic, route, seeded } from '../helpers/interface-data.ts';

/** As P2PD 3.1.9 printed it behind a port-restricted NAT on Linux. */
const MEASURED = {
  netiface_index: 1,
  name: 'c0',
  nic_no: 0,
  id: 'c0',
  mac: '9e-c6-00-11-22-33',
  is_default: { 2: true, 10: false },
  nat: {
    type: 5,
    nat_info: 'restrict port',
    delta: { type: 2, value: 0 },
    delta_info: 'equal delta (local port == mapped port)',
  },
  rp: {
    2: [
      {
        af: 2,
        nic_ips: [{ ip: '192.168.21.21', cidr: 32, af: 2 }],
        ext_ips: [{ ip: '1.3.3.7', cidr: 32, af: 2 }],
        link_local_ips: [],
      },
    ],
    10: [],
  },
};

const ROUTES = [
  route(['192.168.0.20', '193.168.0.0/16', '7.7.7.7'], ['1.3.3.7']),
  route(['8.8.0.0/16'], ['8.8.0.0/16']),
  route(['fd00::5'], ['2020:deed:beef::20'], ['fe80::1', 'fe80::2']),
];

const asJson = (value: object): unknown => JSON.parse(JSON.stringify(value));

function failure(value: unknown): RoutePoolError {
  try {
    readDict(value);
  } catch (error) {
    expect(error).toBeInstanceOf(RoutePoolError);
    return error as RoutePoolError;
  }
  throw new Error('nothing was refused');
}

/** A full dict, as JSON gives it back, with the value at a path replaced; `undefined` takes the field away. */
function changed(path: string, value: unknown): unknown {
  const dict = asJson(writeDict(nic(ROUTES), { dialect: 'p2pd-3.1', platform: 'linux' }));
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  let at = dict as Record<string, unknown>;
  for (const key of keys) at = at[key] as Record<string, unknown>;
  at[last] = value;
  return dict;
}

describe('the example of the documentation', () => {
  const data: InterfaceData = {
    name: 'Intel(R) Wi-Fi 6 AX200 160MHz',
    index: 0,
    id: 'Intel(R) Wi-Fi 6 AX200 160MHz',
    nicNumber: 0,
    mac: null,
    isDefault: { 4: false, 6: false },
    nat: { type: 5, delta: { type: 6, value: 0 } },
    routes: { 4: [route(['192.168.21.21'], ['1.3.3.7'])], 6: [] },
  };

  it('is read, with defaults for what it lacks', () => expect(readDict(DOCUMENTED)).toEqual(data));

  it('is what is written, to the letter', () => {
    expect(JSON.stringify(writeDict(data, { platform: 'win32' }))).toBe(JSON.stringify(DOCUMENTED));
  });
});

describe('the dict that P2PD 3.1.9 prints', () => {
  const data = nic([route(['192.168.21.21'], ['1.3.3.7'])], { name: 'c0', id: 'c0' });

  it('is read', () => expect(readDict(MEASURED)).toEqual(data));

  it('is what is written, to the letter', () => {
    expect(JSON.stringify(writeDict(data, { dialect: 'p2pd-3.1', platform: 'linux' }))).toBe(JSON.stringify(MEASURED));
  });
});

describe('writing', () => {
  it.each<[NodeJS.Platform, number]>([
    ['linux', 10],
    ['android', 10],
    ['win32', 23],
    ['openbsd', 24],
    ['sunos', 26],
    ['freebsd', 28],
    ['darwin', 30],
  ])('on %s AF_INET6 is %i, as key and as value', (platform, af6) => {
    const short = writeDict(nic(ROUTES), { platform });
    expect(short).toHaveProperty(['rp', String(af6), 0, 'af'], af6);
    expect(short).toHaveProperty(['rp', String(af6), 0, 'nic_ips', 0, 'af'], af6);
    expect(writeDict(nic(ROUTES), { platform, dialect: 'p2pd-3.1' })).toHaveProperty('is_default', {
      2: true,
      [af6]: false,
    });
  });

  it('the short form has three fields and canonical addresses, the full one eight and long ones', () => {
    const short = writeDict(nic(ROUTES), { platform: 'linux' });
    const full = writeDict(nic(ROUTES), { platform: 'linux', dialect: 'p2pd-3.1' });
    expect(Object.keys(short)).toEqual(['name', 'nat', 'rp']);
    expect(Object.keys(full)).toEqual(['netiface_index', 'name', 'nic_no', 'id', 'mac', 'is_default', 'nat', 'rp']);
    expect(short).toHaveProperty(['rp', '10', 0], {
      af: 10,
      nic_ips: [{ ip: 'fd00::5', cidr: 128, af: 10 }],
      ext_ips: [{ ip: '2020:deed:beef::20', cidr: 128, af: 10 }],
    });
    expect(full).toHaveProperty(['rp', '10', 0, 'ext_ips', 0, 'ip'], '2020:deed:beef:0000:0000:0000:0000:0020');
    expect(full).toHaveProperty(['rp', '10', 0, 'link_local_ips', 1, 'ip'], 'fe80:0000:0000:0000:0000:0000:0000:0002');
  });

  it('on Windows the id is the number, where it is that', () => {
    const numbered = nic([], { id: '12', nicNumber: 12 });
    expect(writeDict(numbered, { dialect: 'p2pd-3.1', platform: 'win32' })).toHaveProperty('id', 12);
    expect(writeDict(numbered, { dialect: 'p2pd-3.1', platform: 'linux' })).toHaveProperty('id', '12');
    expect(readDict(writeDict(numbered, { dialect: 'p2pd-3.1', platform: 'win32' }))).toEqual(numbered);
  });

  it.each([
    ['no external address', route(['8.8.8.8'], [])],
    ['a private one', route(['10.0.0.1'], ['10.0.0.1'])],
    ['a private one first', route(['10.0.0.1'], ['172.31.255.255', '8.8.8.8'])],
    ['one for documentation', route(['10.0.0.1'], ['203.0.113.9'])],
    ['all of IPv4', route(['0.0.0.0/0'], ['0.0.0.0/0'])],
    ['a unique local one', route(['fd00::1'], ['fd00::1'])],
    ['a link-local one', route(['fe80::1'], ['fe80::1'])],
    ['the unspecified one', route(['fe80::1'], ['::'])],
    ['an IPv6 block whose size Python cannot count', route(['2020:deed:deed::/64'], ['2020:deed:deed::/64'])],
  ])('the full form leaves out a route with %s, which P2PD refuses', (_reason, refused) => {
    const kept = ROUTES.find(({ af }) => af === refused.af) ?? refused;
    const data = nic([refused, kept]);
    expect(readDict(writeDict(data, { dialect: 'p2pd-3.1' })).routes[refused.af]).toEqual([kept]);
    expect(readDict(writeDict(data)).routes[refused.af]).toEqual([refused, { ...kept, linkLocalIps: [] }]);
  });
});

describe('reading', () => {
  it.each([10, 23, 24, 26, 28, 30])('takes %i for AF_INET6, as number and as text', (af6) => {
    const range = { ip: '2020::1', cidr: 128, af: af6 };
    const routes = [{ af: af6, nic_ips: [range], ext_ips: [range] }];
    const expected = { 4: [], 6: [route(['2020::1'], ['2020::1'])] };
    expect(readDict({ name: 'a', rp: { [af6]: routes } }).routes).toEqual(expected);
    expect(readDict({ name: 'a', rp: { 2: [], [String(af6)]: routes }, is_default: { [af6]: true } })).toMatchObject({
      routes: expected,
      isDefault: { 4: false, 6: true },
    });
  });

  it.each([
    ['2020:DEED:BEEF::0000', '2020:deed:beef::'],
    ['2020:deed:beef:0000:0000:0000:0000:0020', '2020:deed:beef::20'],
    ['::ffff:8.8.8.8', '::ffff:808:808'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1::', '1::'],
    ['::', '::'],
  ])('brings %s to the canonical form %s', (ip, canonical) => {
    const dict = { name: 'a', rp: { 10: [{ af: 10, nic_ips: [{ ip, cidr: 128 }], ext_ips: [] }] } };
    expect(readDict(dict).routes[6][0]?.nicIps).toEqual([{ ip: canonical, cidr: 128 }]);
  });

  it.each([
    ['9E-C6-00-11-22-33', '9e:c6:00:11:22:33'],
    ['9e:c6:00:11:22:33', '9e:c6:00:11:22:33'],
    [null, null],
    [undefined, null],
  ])('the mac %o is %o', (mac, expected) => expect(readDict(changed('mac', mac)).mac).toBe(expected));

  it('takes what P2PD prints of an interface that was not started', () => {
    const dict = { netiface_index: null, name: 'eth0', nic_no: null, id: null, mac: null, rp: { 2: [], 10: [] } };
    expect(readDict(dict)).toEqual(
      nic([], {
        index: 0,
        mac: null,
        isDefault: { 4: false, 6: false },
        nat: { type: 5, delta: { type: 6, value: 0 } },
      }),
    );
  });

  it('ignores keys that it does not know, and takes texts of NAT and delta from nobody', () => {
    const dict = {
      ...MEASURED,
      gateways: 5,
      nat: { ...MEASURED.nat, nat_info: 7, delta_info: null, range: [1, 65_535] },
    };
    expect(readDict(dict)).toEqual(readDict(MEASURED));
  });

  it('reads a route without external addresses: one that is not verified', () => {
    const data = nic([route(['8.8.0.0/16'], [])]);
    expect(readDict(writeDict(data)).routes).toEqual(data.routes);
  });

  it('takes fields from the object alone, not from a prototype', () => {
    const polluted: unknown = JSON.parse(
      '{"__proto__": {"mac": "00-00-00-00-00-01", "polluted": true}, "name": "a", "rp": {"2": [], "__proto__": {"10": 5}}}',
    );
    expect(readDict(polluted)).toMatchObject({ name: 'a', mac: null });
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
    expect(failure(Object.create(MEASURED)).message).toContain('at name but received undefined');
    expect(readDict(Object.assign(Object.create(null), MEASURED))).toEqual(readDict(MEASURED));
  });
});

describe('refusing', () => {
  it.each([
    [null, 'null'],
    ['{"name":"eth0"}', `'{"name":"eth0"}'`],
    [[MEASURED], '[ [Object] ]'],
    [5, '5'],
  ])('%o', (value, received) => {
    expect(failure(value).message).toBe(
      `expected an object like { name, nat, rp } as the dict but received ${received}`,
    );
  });

  it.each<[path: string, value: unknown, message: string]>([
    ['name', undefined, 'expected the name of an interface at name but received undefined'],
    ['name', '', "expected the name of an interface at name but received ''"],
    ['netiface_index', -1, 'expected an integer from 0 to 4294967295 at netiface_index but received -1'],
    ['netiface_index', '1', "expected an integer from 0 to 4294967295 at netiface_index but received '1'"],
    ['nic_no', 0.5, 'expected an integer from 0 to 4294967295 at nic_no but received 0.5'],
    ['id', Number.NaN, 'expected an integer from 0 to 4294967295 at id but received NaN'],
    ['id', {}, 'expected a text or a number at id but received {}'],
    [
      'mac',
      '9e-c6-00-11-22',
      "expected a hardware address like '9e-c6-00-11-22-33' or null at mac but received '9e-c6-00-11-22'",
    ],
    ['is_default', true, 'expected an object at is_default but received true'],
    ['is_default.2', 1, 'expected true or false at is_default.2 but received 1'],
    ['is_default.23', true, "expected one key for IPv6 at is_default but received [ '10', '23' ]"],
    ['nat', [], 'expected an object at nat but received []'],
    ['nat.type', 0, 'expected an integer from 1 to 7 at nat.type but received 0'],
    ['nat.type', 8, 'expected an integer from 1 to 7 at nat.type but received 8'],
    ['nat.type', '5', "expected an integer from 1 to 7 at nat.type but received '5'"],
    ['nat.type', 'toString', "expected an integer from 1 to 7 at nat.type but received 'toString'"],
    ['nat.delta', 6, 'expected an object at nat.delta but received 6'],
    ['nat.delta.type', 7, 'expected an integer from 1 to 6 at nat.delta.type but received 7'],
    ['nat.delta.type', 1.5, 'expected an integer from 1 to 6 at nat.delta.type but received 1.5'],
    ['nat.delta.value', 65_536, 'expected an integer from 0 to 65535 at nat.delta.value but received 65536'],
    ['nat.delta.value', 1n, 'expected an integer from 0 to 65535 at nat.delta.value but received 1n'],
    ['rp', undefined, 'expected an object at rp but received undefined'],
    ['rp', { 6: [] }, "expected routes under 2 or 10, 23, 24, 26, 28, 30 at rp but received { '6': [] }"],
    ['rp.30', [], "expected one key for IPv6 at rp but received [ '10', '30' ]"],
    ['rp.2', {}, 'expected a list at rp.2 but received {}'],
    ['rp.2', [null], 'expected an object at rp.2[0] but received null'],
    ['rp.2', Array(2), 'expected an object at rp.2[0] but received undefined'],
    ['rp.10', Array(1_000_001), 'expected at most 1000000 entries at rp.10 but received 1000001'],
    ['rp.2.0.af', undefined, 'expected the integer of AF_INET (2) at rp.2[0].af but received undefined'],
    ['rp.2.0.af', 10, 'expected the integer of AF_INET (2) at rp.2[0].af but received 10'],
    ['rp.10.0.af', 2, 'expected the integer of AF_INET6 (10, 23, 24, 26, 28, 30) at rp.10[0].af but received 2'],
    ['rp.2.0.nic_ips', undefined, 'expected a list at rp.2[0].nic_ips but received undefined'],
    [
      'rp.2.1.nic_ips',
      [],
      'expected at least one address (there are external ones) at rp.2[1].nic_ips but received []',
    ],
    ['rp.2.0.ext_ips', '1.3.3.7', "expected a list at rp.2[0].ext_ips but received '1.3.3.7'"],
    ['rp.2.0.nic_ips.2', '7.7.7.7', "expected an object at rp.2[0].nic_ips[2] but received '7.7.7.7'"],
    ['rp.2.0.nic_ips.1.ip', 'x', "expected an IP address at rp.2[0].nic_ips[1].ip but received 'x'"],
    ['rp.2.0.nic_ips.1.ip', '010.0.0.1', "expected an IP address at rp.2[0].nic_ips[1].ip but received '010.0.0.1'"],
    ['rp.2.0.nic_ips.1.ip', 134_744_072, 'expected an IP address at rp.2[0].nic_ips[1].ip but received 134744072'],
    ['rp.2.0.ext_ips.0.ip', '::1', "expected an IPv4 address at rp.2[0].ext_ips[0].ip but received '::1'"],
    ['rp.10.0.ext_ips.0.ip', '1.3.3.7', "expected an IPv6 address at rp.10[0].ext_ips[0].ip but received '1.3.3.7'"],
    [
      'rp.10.0.link_local_ips.1.ip',
      'fe80::1%eth0',
      "expected an IP address at rp.10[0].link_local_ips[1].ip but received 'fe80::1%eth0'",
    ],
    ['rp.10.0.link_local_ips', null, 'expected a list at rp.10[0].link_local_ips but received null'],
    [
      'rp.2.1.ext_ips.0.ip',
      '8.8.8.0',
      "expected the first address of a /16, such as 8.8.0.0, at rp.2[1].ext_ips[0].ip but received '8.8.8.0'",
    ],
    [
      'rp.10.0.nic_ips.0.cidr',
      127,
      "expected the first address of a /127, such as fd00::4, at rp.10[0].nic_ips[0].ip but received 'fd00:0000:0000:0000:0000:0000:0000:0005'",
    ],
    ['rp.2.0.ext_ips.0.cidr', 33, 'expected an integer from 0 to 32 at rp.2[0].ext_ips[0].cidr but received 33'],
    ['rp.10.0.ext_ips.0.cidr', 129, 'expected an integer from 0 to 128 at rp.10[0].ext_ips[0].cidr but received 129'],
    [
      'rp.2.0.ext_ips.0.cidr',
      undefined,
      'expected an integer from 0 to 32 at rp.2[0].ext_ips[0].cidr but received undefined',
    ],
    ['rp.2.0.ext_ips.0.af', 10, 'expected the integer of AF_INET (2) at rp.2[0].ext_ips[0].af but received 10'],
  ])('%s: %o', (path, value, message) => {
    const error = failure(changed(path, value));
    expect([error.message, error.code, error.option]).toEqual([message, 'ERR_ROUTEPOOL_DICT', 'dict']);
    expect(error.stack?.split('\n')[1]).toContain('dict.spec.ts');
  });

  it('shows no more than the beginning of what is long', () => {
    expect(failure(changed('mac', 'x'.repeat(1_000_000))).message.length).toBeLessThan(300);
  });
});

describe('the way there and back', () => {
  const seed = Number(process.env['DICT_SEED'] ?? 1);
  const random = seeded(seed);
  const cases = Array.from({ length: 1_000 }, () => randomNic(random));
  const short = (data: InterfaceData): InterfaceData => {
    const routes = (family: 4 | 6) => data.routes[family].map((each) => ({ ...each, linkLocalIps: [] }));
    return {
      ...data,
      index: 0,
      id: data.name,
      nicNumber: 0,
      mac: null,
      isDefault: { 4: false, 6: false },
      routes: { 4: routes(4), 6: routes(6) },
    };
  };
  const full = (data: InterfaceData): InterfaceData => ({
    ...data,
    routes: { 4: data.routes[4].filter(isP2pdRoute), 6: data.routes[6].filter(isP2pdRoute) },
  });

  it.each<[Dialect, NodeJS.Platform, (data: InterfaceData) => InterfaceData]>([
    ['documentation', 'linux', short],
    ['documentation', 'win32', short],
    ['p2pd-3.1', 'linux', full],
    ['p2pd-3.1', 'win32', full],
    ['p2pd-3.1', 'darwin', full],
  ])(`%s on %s keeps what it holds (1,000 interfaces, seed ${seed})`, (dialect, platform, kept) => {
    for (const data of cases) {
      const dict = writeDict(data, { dialect, platform });
      expect(readDict(dict)).toEqual(kept(data));
      expect(readDict(asJson(dict))).toEqual(kept(data));
      expect(writeDict(readDict(dict), { dialect, platform })).toEqual(dict);
    }
  });

  it('long addresses are those of another library', () => {
    const long = (ip: string) =>
      ipaddr.IPv6.parse(ip)
        .toNormalizedString()
        .split(':')
        .map((group) => group.padStart(4, '0'))
        .join(':');
    for (const data of cases) {
      const { rp } = writeDict(data, { dialect: 'p2pd-3.1', platform: 'linux' }) as {
        rp: { 10: { nic_ips: { ip: string }[] }[] };
      };
      const written = rp[10].flatMap(({ nic_ips }) => nic_ips.map(({ ip }) => ip));
      const expected = full(data).routes[6].flatMap(({ nicIps }) => nicIps.map(({ ip }) => long(ip)));
      expect(written).toEqual(expected);
    }
  });
});
