/** Which routes P2PD 3.1.9 takes. One that it does not take makes its `from_dict` refuse the whole interface. */
import { networkOf, parseAddress } from '../address/parse.ts';
import type { RouteData } from '../routes/data.ts';

/**
 * What Python's `ipaddress` calls private, and zero, which P2PD refuses itself. Python's list differs from version to
 * version: this is what any of them has. Multicast and the shared addresses of RFC 6598 count as public there.
 */
const NOT_PUBLIC: readonly (readonly [network: string, prefix: number, rfc: string])[] = [
  ['0.0.0.0', 8, 'RFC 791'],
  ['10.0.0.0', 8, 'RFC 1918'],
  ['127.0.0.0', 8, 'RFC 1122'],
  ['169.254.0.0', 16, 'RFC 3927'],
  ['172.16.0.0', 12, 'RFC 1918'],
  ['192.0.0.0', 24, 'RFC 6890'],
  ['192.0.2.0', 24, 'RFC 5737'],
  ['192.168.0.0', 16, 'RFC 1918'],
  ['198.18.0.0', 15, 'RFC 2544'],
  ['198.51.100.0', 24, 'RFC 5737'],
  ['203.0.113.0', 24, 'RFC 5737'],
  ['240.0.0.0', 4, 'RFC 1112, RFC 919'],
  ['::', 127, 'RFC 4291'],
  ['::ffff:0:0', 96, 'RFC 4291'],
  ['64:ff9b:1::', 48, 'RFC 8215'],
  ['100::', 64, 'RFC 6666'],
  ['2001::', 23, 'RFC 2928'],
  ['2001:db8::', 32, 'RFC 3849'],
  ['2002::', 16, 'RFC 3056'],
  ['3fff::', 20, 'RFC 9637'],
  ['fc00::', 7, 'RFC 4193'],
  ['fe80::', 10, 'RFC 4291'],
];

/**
 * P2PD counts the first external block with `len()`, which on a 64-bit Python ends at 2^63 - 1: a /65 fits, a /64
 * raises.
 */
const SHORTEST_IPV6_PREFIX = 65;

/**
 * Whether P2PD takes the route: addresses on both sides, and the first external one public and not too large a block.
 */
export function isP2pdRoute(route: RouteData): boolean {
  const [first] = route.extIps;
  if (first === undefined || route.nicIps.length === 0) return false;
  if (route.af === 6 && first.cidr < SHORTEST_IPV6_PREFIX) return false;
  return isPublic(first.ip);
}

/** {@link NOT_PUBLIC}, read when it is first needed. */
let networks: { bytes: Uint8Array; prefix: number }[] | undefined;

function isPublic(ip: string): boolean {
  const bytes = parseAddress(ip)?.bytes;
  if (bytes === undefined) return false;
  networks ??= NOT_PUBLIC.map(([network, prefix]) => ({
    bytes: parseAddress(network)?.bytes ?? new Uint8Array(),
    prefix,
  }));
  return !networks.some(
    (network) =>
      bytes.length === network.bytes.length && Buffer.compare(networkOf(bytes, network.prefix), network.bytes) === 0,
  );
}
