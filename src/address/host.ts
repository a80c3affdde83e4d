/** Addresses and ports as text, the way people read them. */
import { ipv4Text, ipv6Text } from './text.ts';
import { parseAddress } from './parse.ts';
import { ipv4Bits } from './is-ip.ts';

/** `192.0.2.1:80`, `example.net:80`, `[2001:db8::1]:80`. */
export function endpointText(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * An address in its canonical form (RFC 5952); an IPv4-mapped IPv6 one as IPv4; anything else as it is. A zone is kept.
 */
export function canonicalAddress(text: string): string {
  if (ipv4Bits(text) !== undefined) return text;
  const [address = '', zone] = text.split('%', 2);
  const parsed = parseAddress(address);
  if (parsed === undefined) return text;
  const { family, bytes } = parsed;
  if (family === 4) return ipv4Text(bytes, 0);
  if (isMapped(bytes)) return ipv4Text(bytes, 12);
  return ipv6Text(bytes, 0) + (zone === undefined ? '' : `%${zone}`);
}

/** 4 or 6 for an address, 0 for anything else; an IPv4-mapped address counts as IPv4. */
export function familyOf(text: string): 0 | 4 | 6 {
  if (ipv4Bits(text) !== undefined) return 4;
  const parsed = parseAddress(text.split('%', 1)[0] ?? '');
  if (parsed === undefined) return 0;
  return parsed.family === 6 && !isMapped(parsed.bytes) ? 6 : 4;
}

/** `::ffff:0:0/96` (RFC 4291, section 2.5.5.2). */
function isMapped(bytes: Uint8Array): boolean {
  return bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((byte) => byte === 0);
}
