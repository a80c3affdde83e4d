/** Interfaces made up for tests: by hand, and at random from a seed. */
import ipaddr from 'ipaddr.js';
import type { InterfaceData } from '../../src/interface/dict.ts';
import type { RouteData } from '../../src/routes/data.ts';
import type { NatData } from '../../src/nat/data.ts';
import type { AddressRange } from '../../src/address/range.ts';

/** The dict as P2PD's documentation has it: written on Windows, where AF_INET6 is 23. */
export const DOCUMENTED = {
  name: 'Intel(R) Wi-Fi 6 AX200 160MHz',
  nat: {
    type: 5,
    nat_info: 'restrict port',
    delta: { type: 6, value: 0 },
    delta_info: 'random delta (local port == rand port)',
  },
  rp: {
    '2': [
      {
        af: 2,
        nic_ips: [{ ip: '192.168.21.21', cidr: 32, af: 2 }],
        ext_ips: [{ ip: '1.3.3.7', cidr: 32, af: 2 }],
      },
    ],
    '23': [],
  },
};

/** A range as text, `8.8.0.0/16`; without a prefix a single address. */
export function range(text: string): AddressRange {
  const [ip = '', cidr] = text.split('/');
  return { ip, cidr: cidr === undefined ? (ip.includes(':') ? 128 : 32) : Number(cidr) };
}

/** A route from texts: addresses of the interface, external ones, link-local ones. The first tells the family. */
export function route(nic: string[], ext: string[], linkLocal: string[] = []): RouteData {
  const af = [...nic, ...ext, ...linkLocal].some((text) => text.includes(':')) ? 6 : 4;
  return { af, nicIps: nic.map(range), extIps: ext.map(range), linkLocalIps: linkLocal.map(range) };
}

/** An interface with these routes, and what else is told. */
export function nic(routes: RouteData[], rest: Partial<InterfaceData> = {}): InterfaceData {
  return {
    name: 'eth0',
    index: 1,
    id: 'eth0',
    nicNumber: 0,
    mac: '9e:c6:00:11:22:33',
    isDefault: { 4: true, 6: false },
    nat: { type: 5, delta: { type: 2, value: 0 } },
    routes: { 4: routes.filter(({ af }) => af === 4), 6: routes.filter(({ af }) => af === 6) },
    ...rest,
  };
}

/** Numbers below 1 that follow from the seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A random interface. Half of its IPv6 groups are zero, so that shortening has something to do. */
export function randomNic(random: () => number): InterfaceData {
  const below = (limit: number) => Math.floor(random() * limit);
  const many = <T>(least: number, most: number, make: () => T): T[] =>
    Array.from({ length: least + below(most - least + 1) }, make);
  const block = (family: 4 | 6): AddressRange => {
    const size = family === 4 ? 4 : 16;
    const cidr = random() < 0.5 ? size * 8 : below(size * 8 + 1);
    const zeros = family === 6 ? many(0, 8, () => below(8)) : [];
    const bytes = Array.from({ length: size }, (_, i) => (zeros.includes(i >> 1) ? 0 : below(256)));
    const network = bytes.map((byte, i) => byte & ~(0xff >> Math.min(8, Math.max(0, cidr - i * 8))));
    const address = ipaddr.fromByteArray(network);
    return { ip: address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString(), cidr };
  };
  const routes = (family: 4 | 6) =>
    many(0, 4, (): RouteData => {
      const extIps = many(0, 2, () => block(family));
      const nicIps = many(extIps.length > 0 ? 1 : 0, 3, () => block(family));
      return { af: family, nicIps, extIps, linkLocalIps: many(0, 2, () => block(family)) };
    });
  const hex = () => below(256).toString(16).padStart(2, '0');
  const nicNumber = below(100);
  return {
    name: ['eth0', 'Intel(R) Wi-Fi 6 AX200 160MHz', '__proto__', 'Øre ✓'][below(4)] ?? '',
    index: below(2 ** 32),
    id: ['eth0', String(nicNumber), '{4D36E972-E325}'][below(3)] ?? '',
    nicNumber,
    mac: random() < 0.2 ? null : Array.from({ length: random() < 0.1 ? 20 : 6 }, hex).join(':'),
    isDefault: { 4: random() < 0.5, 6: random() < 0.5 },
    nat: { type: 1 + below(7), delta: { type: 1 + below(6), value: below(65_536) } } as NatData,
    routes: { 4: routes(4), 6: routes(6) },
  };
}
