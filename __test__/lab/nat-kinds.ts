/** Real NATs, as nftables rules for the router between a client and a server. */

/** The client inside, its router's address there, and the address that the router shows outside. */
export const INSIDE = { 4: '10.99.1.2', 6: 'fd00:99::2' } as const;
export const OUTSIDE = { 4: '1.3.3.7', 6: '2001:db8:77::7' } as const;
/** A client that is not translated has this address. */
export const PUBLIC = { 4: '1.3.4.2', 6: '2001:db8:4::2' } as const;
/** The network that the prefix translation (RFC 6296) shows outside for fd00:99::/64. */
export const TRANSLATED_PREFIX = '2001:db8:99::';

/** A NAT of the lab. */
export interface NatKind {
  /** What it stands for among real routers. */
  readonly what: string;
  readonly family: 4 | 6;
  /** Whether the client has an address of the outside itself. */
  readonly public?: boolean;
  /** Rules of the router; the table is `ip` or `ip6`. */
  readonly rules: string;
  /** Rules of a second router between the first and the server. */
  readonly carrier?: string;
}

/** `g0` looks to the client, `g1` to the server. */
const chain = (name: string, type: string, hook: string, priority: string, rules: string) =>
  `chain ${name} { type ${type} hook ${hook} priority ${priority}; policy accept; ${rules} }\n`;
const post = (rules: string) => chain('post', 'nat', 'postrouting', 'srcnat', rules);
const pre = (rules: string) => chain('pre', 'nat', 'prerouting', 'dstnat', rules);
const forward = (rules: string) => chain('through', 'filter', 'forward', 'filter', rules);
/**
 * What comes unasked to the router's own address is dropped there. If it were answered or only taken in, its connection
 * entry would hold the port, and the client's next request would be given another one: the NAT would look symmetric.
 */
const input = chain('own', 'filter', 'input', 'filter', 'iifname "g1" meta l4proto { tcp, udp } drop;');
const table = (rules: string, family: 4 | 6 = 4) => `table ${family === 4 ? 'ip' : 'ip6'} lab { ${rules} }\n`;

const SNAT = `oifname "g1" snat to ${OUTSIDE[4]};`;
const OPEN_IN = `iifname "g1" ip daddr ${OUTSIDE[4]} dnat to ${INSIDE[4]};`;

/**
 * Whom each mapped port has sent to: the filter then knows addresses (RFC 4787, section 5: address-dependent
 * filtering).
 */
const LEARNED = 'set sent { type inet_service . ipv4_addr; flags dynamic,timeout; timeout 1h; size 65535; }\n';
const BY_ADDRESS = forward(
  'iifname "g0" meta l4proto udp update @sent { udp sport . ip daddr } accept; iifname "g1" meta l4proto udp udp dport . ip saddr @sent accept; iifname "g1" meta l4proto udp drop;',
);

/** Ports two apart. A map, since the number that `numgen` makes is taken as a port with its bytes exchanged. */
const STEPS = Array.from({ length: 2_000 }, (_, i) => `${i} : ${40_000 + 2 * i}`).join(', ');
/** The step of `symmetricStep`. */
export const STEP = 2;

export const NAT_KINDS = {
  open: { what: 'no NAT, no filter', family: 4, public: true, rules: '' },
  firewall: {
    what: 'a stateful filter without NAT',
    family: 4,
    public: true,
    rules: table(forward('iifname "g1" ct state established,related accept; iifname "g1" drop;')),
  },
  fullCone: { what: 'one-to-one NAT (DMZ host, cloud address)', family: 4, rules: table(post(SNAT) + pre(OPEN_IN)) },
  hairpin: {
    what: 'one-to-one NAT that lets hosts inside reach each other by their external addresses',
    family: 4,
    rules: table(
      post(`${SNAT} oifname "g0" ip saddr ${INSIDE[4]} snat to ${OUTSIDE[4]};`) +
        pre(`ip daddr ${OUTSIDE[4]} dnat to ${INSIDE[4]};`),
    ),
  },
  addressRestricted: {
    what: 'NAT that lets in whom the port has sent to',
    family: 4,
    rules: table(LEARNED + post(SNAT) + pre(OPEN_IN) + BY_ADDRESS),
  },
  portRestricted: {
    what: 'home router (Linux masquerade)',
    family: 4,
    rules: table(post('oifname "g1" masquerade;') + input),
  },
  symmetricRandom: {
    what: 'a port at random for each destination (masquerade fully-random, BSD firewalls)',
    family: 4,
    rules: table(post('oifname "g1" masquerade fully-random;') + input),
  },
  symmetricStep: {
    what: 'the next port for each destination',
    family: 4,
    rules: table(
      post(
        `oifname "g1" meta l4proto udp snat to ${OUTSIDE[4]} : numgen inc mod 2000 map { ${STEPS} }; oifname "g1" snat to ${OUTSIDE[4]};`,
      ) + input,
    ),
  },
  addressDependent: {
    what: 'a port for each destination address',
    family: 4,
    rules: table(
      post(
        `oifname "g1" meta l4proto udp snat to ${OUTSIDE[4]} : jhash ip daddr . udp sport mod 20000 seed 0x7 offset 30000; oifname "g1" snat to ${OUTSIDE[4]};`,
      ) + input,
    ),
  },
  arbitraryPool: {
    what: 'an external address at random for each connection',
    family: 4,
    rules: table(post('oifname "g1" snat to numgen inc mod 2 map { 0 : 1.3.3.7, 1 : 1.3.3.8 };') + input),
  },
  blocked: { what: 'UDP is dropped', family: 4, rules: table(post(SNAT) + input + forward('meta l4proto udp drop;')) },
  doubleNat: {
    what: 'home router behind a carrier NAT (100.64.0.0/10)',
    family: 4,
    rules: table(post('oifname "g1" masquerade;') + input),
    carrier: table(post('oifname "g1" masquerade;') + input),
  },
  carrierRandom: {
    what: 'home router behind a carrier NAT with random ports',
    family: 4,
    rules: table(post('oifname "g1" masquerade;') + input),
    carrier: table(post('oifname "g1" masquerade fully-random;') + input),
  },
  open6: { what: 'IPv6 without NAT or filter', family: 6, public: true, rules: '' },
  firewall6: {
    what: 'IPv6 behind a stateful filter (RFC 6092)',
    family: 6,
    public: true,
    rules: table(forward('iifname "g1" ct state established,related accept; iifname "g1" drop;'), 6),
  },
  nptv6: {
    what: 'IPv6 prefix translation (RFC 6296)',
    family: 6,
    rules: table(
      post(
        `oifname "g1" ip6 saddr fd00:99::/64 snat ip6 prefix to ip6 saddr map { fd00:99::/64 : ${TRANSLATED_PREFIX}/64 };`,
      ) +
        pre(
          `iifname "g1" ip6 daddr ${TRANSLATED_PREFIX}/64 dnat ip6 prefix to ip6 daddr map { ${TRANSLATED_PREFIX}/64 : fd00:99::/64 };`,
        ),
      6,
    ),
  },
  nat66: {
    what: 'IPv6 behind masquerade',
    family: 6,
    rules: table(post(`oifname "g1" meta l4proto { tcp, udp } snat to ${OUTSIDE[6]};`) + input, 6),
  },
} as const satisfies Record<string, NatKind>;

export type NatKindName = keyof typeof NAT_KINDS;
