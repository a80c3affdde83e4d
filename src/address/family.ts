/** Address families, as P2PD names them. */

/** IPv4. */
export const IP4 = 4;

/** IPv6. */
export const IP6 = 6;

/** 4 or 6. */
export type Family = typeof IP4 | typeof IP6;

/** Both, IPv4 first. */
export const FAMILIES: readonly Family[] = [IP4, IP6];
