/** Node's own tests for addresses, loaded by the first of them. */
import { net } from './node-modules.ts';

/** As `net.isIPv4`. */
export function isIPv4(text: string): boolean {
  return net().isIPv4(text);
}

/** As `net.isIPv6`. The pattern behind it takes a millisecond to compile, which names and IPv4 addresses need not wait for. */
export function isIPv6(text: string): boolean {
  return text.includes(':') && net().isIPv6(text);
}

/** As `net.isIP`: 4, 6, or 0 for what is no address. */
export function isIP(text: string): 0 | 4 | 6 {
  if (isIPv4(text)) return 4;
  return isIPv6(text) ? 6 : 0;
}
