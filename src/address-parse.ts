/** Addresses from text, as packed bytes; the way back is in `address-text.ts`. */
import { isIPv6 } from 'node:net';

/** An address: four or sixteen bytes. */
export interface ParsedAddress {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
}

/**
 * The four bytes of a dotted quad as a signed integer, the first one highest; undefined for any other text. As Node's `isIPv4`, which
 * allows no leading zeros. Each pipe that is opened asks several times, so nothing is allocated.
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

/** The address that a text is, in any of its forms but without a zone (`%eth0`); undefined when it is none. */
export function parseAddress(text: string): ParsedAddress | undefined {
  const bits = ipv4Bits(text);
  if (bits !== undefined) return { family: 4, bytes: Uint8Array.of(bits >> 24, bits >> 16, bits >> 8, bits) };
  // Node's check lets zones pass.
  if (isIPv6(text) && !text.includes('%')) return { family: 6, bytes: ipv6Bytes(text) };
  return undefined;
}

/** The bytes of a text that is known to be an IPv6 address. */
function ipv6Bytes(text: string): Uint8Array {
  const [head = '', tail] = text.split('::');
  const left = groups(head);
  const right = groups(tail ?? '');
  const all = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

function groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

/** The address with all bits after the first `prefix` ones cleared. */
export function networkOf(bytes: Uint8Array, prefix: number): Uint8Array {
  return bytes.map((byte, i) => byte & ~(0xff >> Math.min(8, Math.max(0, prefix - i * 8))));
}
