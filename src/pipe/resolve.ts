/** Names of destinations, resolved for the families that a route has. */
import type { LookupAddress } from 'node:dns';
import { constants } from 'node:os';
import { resolveName } from '../servers/resolve-name.ts';
import { withTimeout } from '../servers/with-timeout.ts';
import { DNS_TIMEOUT_MS } from '../defaults.ts';
import { withStackOf, type CallSite } from '../errors/call-site.ts';
import { abortError, RoutePoolError } from '../errors/errors.ts';
import type { Family } from '../address/family.ts';
import { dnsLookup } from '../node-modules.ts';
import type { LookupFunction } from '../options/check.ts';
import type { ParsedDestination } from './destination.ts';
import { canonicalAddress, endpointText, familyOf } from '../address/host.ts';

/** How a name is resolved. */
export interface ResolveOptions {
  /** `dns.lookup` by default. */
  readonly lookup?: LookupFunction | undefined;
  /** When a name is given up, in milliseconds. */
  readonly dnsTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An address to connect to. */
export interface ResolvedAddress {
  /** With the interface of a link-local address, where one was given: `fe80::1%eth0`. */
  readonly address: string;
  readonly port: number;
  readonly family: Family;
}

/**
 * The addresses of a destination that are of one of `families`, in the order of the resolver (RFC 6724), each once. An
 * address is not looked up. `origin` is the call whose stack errors get.
 *
 * @throws what the resolver says (`getaddrinfo ENOTFOUND`), `getaddrinfo ETIMEDOUT`; RoutePoolError
 *   `ERR_ROUTEPOOL_RESOLVE` if there is no address of these families; AbortError
 */
export async function resolveDestination(
  dest: ParsedDestination,
  families: readonly Family[],
  options: ResolveOptions,
  origin: CallSite,
): Promise<ResolvedAddress[]> {
  const { signal } = options;
  if (signal?.aborted) throw withStackOf(abortError(signal), origin);
  if (dest.family !== 0) {
    if (families.includes(dest.family)) {
      return [
        { address: dest.host + (dest.zone === undefined ? '' : `%${dest.zone}`), port: dest.port, family: dest.family },
      ];
    }
    throw withStackOf(
      noAddress(`${endpointText(dest.host, dest.port)} is an IPv${dest.family} address`, families),
      origin,
    );
  }
  const found = await ask(dest.host, families, options, origin).catch((error: unknown) => {
    throw withStackOf(
      error instanceof Error
        ? error
        : new RoutePoolError('ERR_ROUTEPOOL_RESOLVE', `'${dest.host}' does not resolve: ${String(error)}`, {
            option: 'dest',
            cause: error,
          }),
      origin,
    );
  });
  const seen = new Set<string>();
  const usable = found.flatMap((entry): ResolvedAddress[] => {
    const address = canonicalAddress(entry.address);
    const family = familyOf(address);
    if (family === 0 || !families.includes(family) || seen.has(address)) return [];
    seen.add(address);
    return [{ address, port: dest.port, family }];
  });
  if (found.length === 0)
    throw withStackOf(
      new RoutePoolError('ERR_ROUTEPOOL_RESOLVE', `the resolver gave no address for '${dest.host}'`, {
        option: 'dest',
      }),
      origin,
    );
  if (usable.length === 0)
    throw withStackOf(noAddress(`'${dest.host}' has no address of that family`, families), origin);
  return usable;
}

function noAddress(what: string, families: readonly Family[]): RoutePoolError {
  const has = families.length === 0 ? 'no address to leave from' : `only IPv${families.join(' and IPv')}`;
  return new RoutePoolError(
    'ERR_ROUTEPOOL_RESOLVE',
    `${what}, and the route has ${has}: name another destination, or take a route of the other family`,
    { option: 'dest' },
  );
}

/** One question to the resolver, which may be slow, silent, or not what it should be. */
function ask(
  host: string,
  families: readonly Family[],
  options: ResolveOptions,
  origin: CallSite,
): Promise<LookupAddress[]> {
  const { lookup = dnsLookup, dnsTimeoutMs = DNS_TIMEOUT_MS, signal } = options;
  const late = (): never => {
    throw timedOut(host);
  };
  return withTimeout(
    resolveName(lookup, host, families.length === 1 ? (families[0] ?? 0) : 0),
    { timeoutMs: dnsTimeoutMs, signal },
    late,
    origin,
  );
}

function timedOut(host: string): Error {
  const error = new Error(`getaddrinfo ETIMEDOUT ${host}`);
  return Object.assign(error, {
    errno: -constants.errno.ETIMEDOUT,
    code: 'ETIMEDOUT',
    syscall: 'getaddrinfo',
    hostname: host,
  });
}
