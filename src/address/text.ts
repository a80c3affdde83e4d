/** Addresses as text, from packed bytes. Called once for each verdict that somebody looks at, so it is kept fast. */
import type { AddressRange } from './range.ts';

/** Dotted decimal form of the four bytes at `at`. */
export function ipv4Text(bytes: Uint8Array, at: number): string {
  return `${bytes[at] ?? 0}.${bytes[at + 1] ?? 0}.${bytes[at + 2] ?? 0}.${bytes[at + 3] ?? 0}`;
}

/** Canonical form (RFC 5952) of the sixteen bytes at `at`. */
export function ipv6Text(bytes: Uint8Array, at: number): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[at + i] ?? 0) << 8) | (bytes[at + i + 1] ?? 0));
  const zeros = longestZeros(groups);
  const hex = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  if (zeros.length < 2) return hex(0, 8);
  return `${hex(0, zeros.start)}::${hex(zeros.start + zeros.length, 8)}`;
}

/** All eight groups of the sixteen bytes at `at` with all their digits: P2PD prints IPv6 addresses so. */
export function ipv6LongText(bytes: Uint8Array, at: number): string {
  const groups: string[] = [];
  for (let i = at; i < at + 16; i += 2)
    groups.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16).padStart(4, '0'));
  return groups.join(':');
}

/** The first of the longest runs of zero groups: the one that RFC 5952, section 4.2.3, shortens. */
function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let i = 0; i <= groups.length; i++) {
    if (groups[i] === 0) continue;
    if (i - start > best.length) best = { start, length: i - start };
    start = i + 1;
  }
  return best;
}

/** The address at `at`: sixteen bytes for IPv6, the first four of them for IPv4. */
export function addressText(bytes: Uint8Array, at: number, ipv6: boolean): string {
  return ipv6 ? ipv6Text(bytes, at) : ipv4Text(bytes, at);
}

/** A prefix as text; of a single address only the address. */
export function rangeText({ ip, cidr }: AddressRange): string {
  return cidr === (ip.includes(':') ? 128 : 32) ? ip : `${ip}/${cidr}`;
}
