/** Where a pipe leads to, in all the forms that people have it in. */
import { inspect } from 'node:util';
import { domainToASCII } from 'node:url';
import type { SocketAddress } from 'node:net';
import type { BoundRoute } from '../routes/bound-route.ts';
import { isBoundRoute } from './local-side.ts';
import { RoutePoolError } from '../errors/errors.ts';
import { STUN_PORT } from '../defaults.ts';
import { ipv4Bits } from '../address/is-ip.ts';
import { net } from '../node-modules.ts';
import { canonicalAddress, familyOf } from '../address/host.ts';

/**
 * Where a pipe leads to: `[host, port]`, `'host:port'`, `'[v6]:port'`, `{ host, port }`, what `server.address()` of
 * Node gives, a URL (`tcp://host:port`, `udp://host:port`, `stun:host`, as text or `URL`), a `net.SocketAddress`, or a
 * bound route of this machine (then its local address and port).
 */
export type Destination =
  | string
  | readonly [host: string, port: number]
  | { readonly host: string; readonly port: number }
  | { readonly address: string; readonly port: number; readonly family?: string | number }
  | URL
  | SocketAddress
  | BoundRoute;

/** A destination that was read. */
export interface ParsedDestination {
  /** A name, or an address in its canonical form. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
  /** 4 or 6 for an address, 0 for a name. An IPv4-mapped address is an IPv4 one. */
  readonly family: 0 | 4 | 6;
  /** The interface of a link-local address, where it was given (`fe80::1%eth0`). */
  readonly zone: string | undefined;
}

/** What is spoken to it. */
export type Protocol = 'tcp' | 'udp';

/** What each scheme goes over, and its port where none is given. `stun:` goes over both (RFC 7064). */
const SCHEMES: Readonly<Record<string, { protocol?: Protocol; port?: number }>> = {
  tcp: { protocol: 'tcp' },
  udp: { protocol: 'udp' },
  stun: { port: STUN_PORT },
};

/** Longest name that DNS can ask for, in characters of its text form (RFC 1035, section 2.3.4). */
const MAX_NAME = 253;

/**
 * Reads a destination.
 *
 * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` for `dest`, with what is wrong with it
 */
export function parseDestination(dest: unknown, protocol: Protocol): ParsedDestination {
  if (typeof dest === 'string') return parseText(dest, protocol);
  if (dest instanceof URL) return parseText(dest.href, protocol);
  if (isBoundRoute(dest)) {
    if (dest.port === 0)
      noDestination(
        dest,
        'this route is bound to port 0, which the system replaces when a socket is made: bind it with a `port`, or name the port that the server listens at',
      );
    return fromParts(dest.address, dest.port, dest);
  }
  if (Array.isArray(dest)) {
    if (dest.length !== 2) noDestination(dest, 'expected two items, host and port');
    return fromParts(dest[0], dest[1], dest);
  }
  if (dest instanceof net().SocketAddress) return fromParts(dest.address, dest.port, dest);
  if (typeof dest === 'object' && dest !== null) return fromObject(dest);
  return noDestination(
    dest,
    "expected something like 'example.net:80', ['example.net', 80] or { host: 'example.net', port: 80 }",
  );
}

function fromObject(dest: object): ParsedDestination {
  const known = ['host', 'address', 'port', 'family'];
  const strange = Object.keys(dest).find((name) => !known.includes(name));
  if (strange !== undefined)
    noDestination(dest, `expected an object with \`host\` and \`port\`, and \`${strange}\` is neither`);
  const { host, address, port } = dest as { host?: unknown; address?: unknown; port?: unknown };
  if (host !== undefined && address !== undefined) noDestination(dest, 'expected either `host` or `address`, not both');
  return fromParts(host ?? address, port, dest);
}

function parseText(text: string, protocol: Protocol): ParsedDestination {
  if (text.trim() !== text || text === '')
    noDestination(text, "expected text like 'example.net:80' without spaces around it");
  const scheme = /^([a-z][a-z0-9+.-]*):(?!\d+$)(\/\/)?/i.exec(text);
  // `localhost:80` is no URL: what follows the colon is a number.
  const known = scheme?.[1] === undefined ? undefined : SCHEMES[scheme[1].toLowerCase()];
  if (scheme === null) return fromHostPort(text, text);
  const [, name = '', slashes] = scheme;
  if (known === undefined) {
    if (slashes === '//')
      noDestination(
        text,
        `a pipe knows \`tcp://\`, \`udp://\` and \`stun:\`; for '${name}://' name host and port, and see \`stream()\` and \`agent()\``,
      );
    // Not a scheme: an address without brackets, or a port that is no number. Both are told by the reader of host and
    // port.
    return fromHostPort(text, text);
  }
  const isStun = name.toLowerCase() === 'stun';
  let rest = text.slice(name.length + 1);
  if (isStun && rest.startsWith('//'))
    noDestination(text, `a stun: URI has no slashes (RFC 7064): write stun:${rest.slice(2)}`);
  if (!isStun && !rest.startsWith('//'))
    noDestination(text, `expected two slashes after \`${name}:\`: write ${name}://${rest}`);
  if (!isStun) rest = rest.slice(2).replace(/\/$/, '');
  const beyond = /[/?#@]/.exec(rest);
  if (beyond !== null) noDestination(text, `expected a host and a port, and nothing with '${beyond[0]}'`);
  if (known.protocol !== undefined && known.protocol !== protocol)
    noDestination(
      text,
      `this is a ${known.protocol.toUpperCase()} destination, and the pipe is ${protocol.toUpperCase()}`,
    );
  return fromHostPort(rest, text, known.port);
}

/** `host:port` and `[v6]:port`; the port may be missing where there is a default. */
function fromHostPort(text: string, whole: string, defaultPort?: number): ParsedDestination {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  if (bracketed === null && text.startsWith('['))
    noDestination(whole, 'expected `[address]:port`, and the bracket is not closed, or is followed by something else');
  if (bracketed !== null) {
    const [, inner = '', port] = bracketed;
    // In a URI the percent sign before a zone is itself written as %25 (RFC 6874).
    const address = inner.replace(/%25/, '%');
    if (familyOf(address) === 0 || !address.includes(':'))
      noDestination(whole, `'${inner}' in brackets is no IPv6 address`);
    return fromParts(address, portOf(port, whole, defaultPort), whole);
  }
  const colon = text.indexOf(':');
  if (colon !== text.lastIndexOf(':')) {
    const hint = familyOf(text) === 0 ? '' : ', which leaves open where the address ends';
    noDestination(whole, `more than one colon${hint}: write an IPv6 address in brackets, like [2001:db8::1]:80`);
  }
  const host = colon < 0 ? text : text.slice(0, colon);
  return fromParts(host, portOf(colon < 0 ? undefined : text.slice(colon + 1), whole, defaultPort), whole);
}

function portOf(text: string | undefined, whole: string, defaultPort: number | undefined): number {
  if (text === undefined) return defaultPort ?? noDestination(whole, 'the port is missing: write host:port');
  // Digits only: Number() would also read '0x50', '8e1' and ''.
  return /^\d{1,5}$/.test(text)
    ? Number(text)
    : noDestination(whole, `expected a port from 1 to 65535 but received '${text}'`);
}

function fromParts(host: unknown, port: unknown, whole: unknown): ParsedDestination {
  if (typeof host !== 'string') noDestination(whole, `expected text for the host but received ${shown(host)}`);
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535) {
    noDestination(whole, `expected an integer from 1 to 65535 for the port but received ${shown(port)}`);
  }
  if (ipv4Bits(host) !== undefined) return { host, port, family: 4, zone: undefined };
  const family = familyOf(host);
  if (family !== 0) {
    const [address = '', zone] = canonicalAddress(host).split('%', 2);
    if (zone === '' || (zone !== undefined && /[^\w.@-]/.test(zone)))
      noDestination(whole, `'${zone}' after the percent sign is no interface`);
    return { host: address, port, family, zone };
  }
  return { host: checkName(host, whole), port, family, zone: undefined };
}

/** A name in the form that is looked up; checks that it can be one. */
function checkName(host: string, whole: unknown): string {
  if (host === '') noDestination(whole, 'the host is missing');
  if (host.includes(':')) noDestination(whole, `'${host}' is neither an IPv6 address nor a name`);
  // `10.1` and `1.2.3.4.5`: resolvers would make an address of some of these (inet_aton), never the one that was meant.
  if (/(^|\.)(\d+|0x[\da-f]*)\.?$/i.test(host))
    noDestination(whole, `'${host}' looks like an IPv4 address and is none`);
  // Only other scripts need a conversion, which would also read past a slash as a URL does.
  const name = /^[\w.-]+$/.test(host)
    ? host.toLowerCase()
    : /[\s\p{Cc}!-,/:-@[-^`{-~]/u.test(host)
      ? ''
      : domainToASCII(host);
  const labels = name.replace(/\.$/, '').split('.');
  if (name.length > MAX_NAME + 1 || !labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))) {
    noDestination(whole, `'${host}' is neither an address nor a name that can be looked up`);
  }
  return name;
}

function noDestination(dest: unknown, why: string): never {
  throw new RoutePoolError('ERR_ROUTEPOOL_OPTION', `${shown(dest)} is no destination: ${why}`, { option: 'dest' });
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : inspect(value, { depth: 1, breakLength: Infinity });
}
