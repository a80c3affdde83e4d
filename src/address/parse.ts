/** Addresses from text, as packed bytes; the way back is in `address-text.ts`. */
import { ipv4Bits, isIPv6 } from './is-ip.ts';

/** An address: four or sixteen bytes. */
export interface ParsedAddress {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
}

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
