/** The dict of an interface: P2PD's form of it, written in two dialects and read in both. */
import type { AddressRange } from '../address/range.ts';
import { AF_INET, AF_INET6_ANYWHERE, familyNumber } from '../address/af-numbers.ts';
import { networkOf, parseAddress } from '../address/parse.ts';
import { addressText, ipv6LongText } from '../address/text.ts';
import { own, readInteger, readObject, wrongField, type Fields } from '../options/fields.ts';
import { RoutePoolError } from '../errors/errors.ts';
import type { NatData } from '../nat/data.ts';
import type { RouteData } from '../routes/data.ts';
import { readNatData } from '../nat/dict.ts';
import { DELTA_INFO, NAT_INFO } from '../nat/p2pd-types.ts';
import { isP2pdRoute } from './p2pd-route.ts';

/** What the dict of an interface holds. */
export interface InterfaceData {
  readonly name: string;
  /** P2PD's `netiface_index`: position among the machine's interfaces. */
  readonly index: number;
  readonly id: string;
  /** P2PD's `nic_no`: the interface's number on Windows, 0 elsewhere. */
  readonly nicNumber: number;
  /** Lower case with colons, as Node has it. */
  readonly mac: string | null;
  readonly isDefault: { readonly 4: boolean; readonly 6: boolean };
  readonly nat: NatData;
  readonly routes: { readonly 4: readonly RouteData[]; readonly 6: readonly RouteData[] };
}

/**
 * `documentation`: the short form of P2PD's documentation. `complete`: every field, for saving. `p2pd-3.1`: every
 * field, and only the routes that P2PD 3.1.9 takes.
 */
export type Dialect = 'documentation' | 'complete' | 'p2pd-3.1';

/** All of them. */
export const DIALECTS: readonly Dialect[] = ['documentation', 'complete', 'p2pd-3.1'];

/**
 * Writes the dict. With `p2pd-3.1`, routes that P2PD refuses are left out, since it would refuse the interface with
 * them: those without external addresses, with a first external address that is not public, or an IPv6 block larger
 * than a /65.
 *
 * @param options `platform` is the one whose integer for AF_INET6 is written; this machine's by default
 */
export function writeDict(
  data: InterfaceData,
  options: { dialect?: Dialect; platform?: NodeJS.Platform } = {},
): object {
  const { dialect = 'documentation', platform = process.platform } = options;
  const full = dialect !== 'documentation';
  const af6 = familyNumber(6, platform);
  const routes = (family: 4 | 6) =>
    (dialect === 'p2pd-3.1' ? data.routes[family].filter(isP2pdRoute) : data.routes[family]).map((route) =>
      writeRoute(route, familyNumber(family, platform), full),
    );
  const { type, delta } = data.nat;
  const nat = {
    type,
    nat_info: NAT_INFO[type],
    delta: { type: delta.type, value: delta.value },
    delta_info: DELTA_INFO[delta.type],
  };
  const rp = { [AF_INET]: routes(4), [af6]: routes(6) };
  if (!full) return { name: data.name, nat, rp };
  return {
    netiface_index: data.index,
    name: data.name,
    nic_no: data.nicNumber,
    // On Windows P2PD's id is the number itself.
    id: platform === 'win32' && data.id === String(data.nicNumber) ? data.nicNumber : data.id,
    mac: data.mac?.toLowerCase().replaceAll(':', '-') ?? null,
    is_default: { [AF_INET]: data.isDefault[4], [af6]: data.isDefault[6] },
    nat,
    rp,
  };
}

function writeRoute(route: RouteData, af: number, full: boolean): object {
  const ranges = (list: readonly AddressRange[]) =>
    list.map(({ ip, cidr }) => ({ ip: full ? longText(ip) : ip, cidr, af }));
  const short = { af, nic_ips: ranges(route.nicIps), ext_ips: ranges(route.extIps) };
  return full ? { ...short, link_local_ips: ranges(route.linkLocalIps) } : short;
}

function longText(ip: string): string {
  const address = parseAddress(ip);
  return address?.family === 6 ? ipv6LongText(address.bytes, 0) : ip;
}

/**
 * Reads a dict of either dialect, written on any system, also after JSON made its keys strings. Fields that the short
 * form lacks get P2PD's defaults; fields that are not known are ignored.
 *
 * @throws RoutePoolError `ERR_ROUTEPOOL_DICT` with the path of the field at fault, what was expected and what was
 *   received
 */
export function readDict(value: unknown): InterfaceData {
  try {
    return readInterface(value);
  } catch (error) {
    if (error instanceof RoutePoolError) Error.captureStackTrace(error, readDict);
    throw error;
  }
}

/** The most entries of a list. */
const MAX_ENTRIES = 1_000_000;
const MAX_UINT32 = 2 ** 32 - 1;
/** Six bytes for Ethernet and wireless, up to the twenty of InfiniBand (RFC 4391); P2PD writes dashes. */
const MAC = /^[\da-f]{2}(?:[:-][\da-f]{2}){5,19}$/i;

function readInterface(value: unknown): InterfaceData {
  const dict = readObject(value, '');
  const name = readName(dict);
  return {
    name,
    // P2PD prints None for these three until an interface is started.
    index: readInteger(own(dict, 'netiface_index') ?? 0, 'netiface_index', 0, MAX_UINT32),
    id: readId(own(dict, 'id') ?? name),
    nicNumber: readInteger(own(dict, 'nic_no') ?? 0, 'nic_no', 0, MAX_UINT32),
    mac: readMac(own(dict, 'mac', null)),
    isDefault: readIsDefault(own(dict, 'is_default', {})),
    nat: readNatData(own(dict, 'nat', {}), 'nat'),
    routes: readRoutes(own(dict, 'rp')),
  };
}

function readName(dict: Fields): string {
  const name = own(dict, 'name');
  return typeof name === 'string' && name !== '' ? name : wrongField('name', 'the name of an interface', name);
}

function readId(id: unknown): string {
  if (typeof id === 'number') return String(readInteger(id, 'id', 0, MAX_UINT32));
  return typeof id === 'string' && id !== '' ? id : wrongField('id', 'a text or a number', id);
}

function readMac(mac: unknown): string | null {
  if (mac === null) return null;
  const right = typeof mac === 'string' && MAC.test(mac);
  return right
    ? mac.toLowerCase().replaceAll('-', ':')
    : wrongField('mac', "a hardware address like '9e-c6-00-11-22-33' or null", mac);
}

function readIsDefault(value: unknown): InterfaceData['isDefault'] {
  const fields = readObject(value, 'is_default');
  const read = (family: 4 | 6) => {
    const key = familyKey(fields, family, 'is_default');
    const found = key === undefined ? false : own(fields, key);
    return typeof found === 'boolean' ? found : wrongField(`is_default.${key}`, 'true or false', found);
  };
  return { 4: read(4), 6: read(6) };
}

function readRoutes(value: unknown): InterfaceData['routes'] {
  const fields = readObject(value, 'rp');
  const read = (key: string | undefined, family: 4 | 6) =>
    key === undefined ? [] : readList(own(fields, key), `rp.${key}`, (route, path) => readRoute(route, path, family));
  const key4 = familyKey(fields, 4, 'rp');
  const key6 = familyKey(fields, 6, 'rp');
  // With neither, the routes are under keys that mean nothing here: to ignore those would lose them without a word.
  if (key4 === undefined && key6 === undefined)
    wrongField('rp', `routes under ${AF_INET} or ${AF_INET6_ANYWHERE.join(', ')}`, value);
  return { 4: read(key4, 4), 6: read(key6, 6) };
}

function readRoute(value: unknown, path: string, family: 4 | 6): RouteData {
  const route = readObject(value, path);
  readFamily(own(route, 'af'), `${path}.af`, family);
  const ranges = (key: string, fallback?: readonly unknown[]) =>
    readList(own(route, key, fallback), `${path}.${key}`, (range, at) => readRange(range, at, family));
  const nicIps = ranges('nic_ips');
  const extIps = ranges('ext_ips');
  if (nicIps.length === 0 && extIps.length > 0)
    wrongField(`${path}.nic_ips`, 'at least one address (there are external ones)', []);
  return { af: family, nicIps, extIps, linkLocalIps: ranges('link_local_ips', []) };
}

function readRange(value: unknown, path: string, family: 4 | 6): AddressRange {
  const range = readObject(value, path);
  const ip = own(range, 'ip');
  const address = typeof ip === 'string' ? parseAddress(ip) : undefined;
  if (address === undefined) return wrongField(`${path}.ip`, 'an IP address', ip);
  if (address.family !== family) return wrongField(`${path}.ip`, `an IPv${family} address`, ip);
  const cidr = readInteger(own(range, 'cidr'), `${path}.cidr`, 0, family === 4 ? 32 : 128);
  const af = own(range, 'af');
  if (af !== undefined) readFamily(af, `${path}.af`, family);
  const text = addressText(address.bytes, 0, family === 6);
  const network = addressText(networkOf(address.bytes, cidr), 0, family === 6);
  if (text !== network) wrongField(`${path}.ip`, `the first address of a /${cidr}, such as ${network},`, ip);
  return { ip: text, cidr };
}

function readFamily(af: unknown, path: string, family: 4 | 6): void {
  const numbers = family === 4 ? [AF_INET] : AF_INET6_ANYWHERE;
  if (!numbers.some((number) => number === af))
    wrongField(path, `the integer of AF_INET${family === 4 ? '' : '6'} (${numbers.join(', ')})`, af);
}

/** The key that a family has; undefined when there is none. */
function familyKey(fields: Fields, family: 4 | 6, path: string): string | undefined {
  const numbers = family === 4 ? [AF_INET] : AF_INET6_ANYWHERE;
  const keys = numbers.map(String).filter((key) => own(fields, key) !== undefined);
  return keys.length > 1 ? wrongField(path, 'one key for IPv6', keys) : keys[0];
}

function readList<T>(value: unknown, path: string, read: (entry: unknown, path: string) => T): T[] {
  if (!Array.isArray(value)) return wrongField(path, 'a list', value);
  const list: readonly unknown[] = value;
  if (list.length > MAX_ENTRIES) return wrongField(path, `at most ${MAX_ENTRIES} entries`, list.length);
  return Array.from({ length: list.length }, (_, i) => read(list[i], `${path}[${i}]`));
}
