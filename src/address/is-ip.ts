/** Whether a text is an address. Names and IPv4 addresses need no module of Node for that. */
import { net } from '../node-modules.ts';

/**
 * The four bytes of a dotted quad as a signed integer, the first one highest; undefined for any other text. As Node's
 * `isIPv4`, which allows no leading zeros. Each pipe that is opened asks several times, so nothing is allocated.
 */
export function ipv4Bits(text: string): number | undefined {
  const { length } = text;
  if (length < 7 || length > 15) return undefined;
  let bits = 0;
  let byte = -1;
  let dots = 0;
  for (let i = 0; i < length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit >= 0 && digit <= 9) {
      if (byte === 0) return undefined;
      byte = byte < 0 ? digit : byte * 10 + digit;
      if (byte > 255) return undefined;
    } else {
      if (digit !== DOT || byte < 0 || ++dots > 3) return undefined;
      bits = (bits << 8) | byte;
      byte = -1;
    }
  }
  return dots === 3 && byte >= 0 ? (bits << 8) | byte : undefined;
}

/** A dot, counted from the digit 0. */
const DOT = 46 - 48;

/** As `net.isIPv4`. */
export function isIPv4(text: string): boolean {
  return ipv4Bits(text) !== undefined;
}

/** As `net.isIPv6`; its pattern takes a millisecond to compile. */
export function isIPv6(text: string): boolean {
  return text.includes(':') && net().isIPv6(text);
}

/** As `net.isIP`: 4, 6, or 0 for what is no address. */
export function isIP(text: string): 0 | 4 | 6 {
  if (isIPv4(text)) return 4;
  return isIPv6(text) ? 6 : 0;
}
