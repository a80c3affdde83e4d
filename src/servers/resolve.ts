/**
 * The one place where names of STUN servers are resolved: each within a time limit, until an abort, and with one error.
 */
import { isIP } from '../address/is-ip.ts';
import type { Family } from '../address/family.ts';
import { DNS_TIMEOUT_MS } from '../defaults.ts';
import { withStackOf, type CallSite } from '../errors/call-site.ts';
import { RoutePoolError } from '../errors/errors.ts';
import { chooseServers, type PlanFacts, type ResolvedServer, type ServerTarget } from '../native/binding.ts';
import { unwrap } from '../native/failure.ts';
import { dnsLookup } from '../node-modules.ts';
import type { LookupFunction } from '../options/check.ts';
import { resolveName } from './resolve-name.ts';
import type { CheckedLoadOptions } from './options.ts';
import { withTimeout } from './with-timeout.ts';

/** How names are resolved. */
export interface ResolveOptions {
  /** `dns.lookup` by default. */
  readonly lookup?: LookupFunction | undefined;
  /** How long one name may take; {@link DNS_TIMEOUT_MS} by default. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Whether the process stays alive meanwhile; true by default. */
  readonly holds?: boolean | undefined;
}

/** Servers with their addresses, of one family or of both. */
export interface Resolution {
  readonly servers: ResolvedServer[];
  readonly isPublic: boolean;
  /** Why names of public servers were left out. */
  readonly unresolved: string | undefined;
}

/**
 * Resolves the servers that a user named, or the public ones, for the families. A name that resolves for one family
 * alone is asked over that; one that resolves for none is an error if the user named it, and left out of the public
 * ones.
 *
 * @throws RoutePoolError `ERR_ROUTEPOOL_SERVER`, `ERR_ROUTEPOOL_RESOLVE`; AbortError
 */
export async function resolveAll(
  options: CheckedLoadOptions,
  families: readonly Family[],
  origin: CallSite,
): Promise<Resolution> {
  const choice = unwrap(chooseServers(options.servers ?? []), resolveAll);
  const isPublic = choice.origin === 'public';
  const results = await resolveEach(choice.servers, families, options, origin);
  const failed = results.find((result) => result instanceof Error);
  if (failed instanceof Error && !isPublic && families.length > 0) throw withStackOf(failed, origin);
  const servers = results.flatMap((result) => (result instanceof Error ? [] : result));
  return {
    servers: servers.filter(({ address }) => isOneOf(families, address)),
    isPublic,
    unresolved: failed instanceof Error ? failed.message : undefined,
  };
}

/**
 * Resolves the servers of a sweep, which has one family. Of the public ones one is enough; what the user named must be
 * there. An address of the other family is given as it is: the sweep refuses it by name.
 *
 * @throws RoutePoolError `ERR_ROUTEPOOL_RESOLVE`; AbortError
 */
export async function resolveForSweep(
  sweep: Pick<PlanFacts, 'servers' | 'serverOrigin' | 'family'>,
  options: ResolveOptions,
  origin: CallSite,
): Promise<ResolvedServer[]> {
  const results = await resolveEach(sweep.servers, [sweep.family === 6 ? 6 : 4], options, origin);
  const servers = results.flatMap((result) => (result instanceof Error ? [] : result));
  const failed = results.find((result) => result instanceof Error);
  if (failed instanceof Error && (sweep.serverOrigin !== 'public' || servers.length === 0))
    throw withStackOf(failed, origin);
  return servers;
}

/**
 * Resolves the servers for the families; a name that does not resolve is no error but something that was found out.
 *
 * @throws AbortError
 */
export async function resolveAvailable(
  servers: readonly ServerTarget[],
  families: readonly Family[],
  options: ResolveOptions,
  origin: CallSite,
): Promise<{ servers: ResolvedServer[]; unresolved: string[] }> {
  const results = await resolveEach(servers, families, options, origin);
  return {
    servers: results
      .flatMap((result) => (result instanceof Error ? [] : result))
      .filter(({ address }) => isOneOf(families, address)),
    unresolved: servers.flatMap((server, i) => (results[i] instanceof Error ? [server.host] : [])),
  };
}

/** All servers at the same time; for each its addresses, or why it has none. */
function resolveEach(
  servers: readonly ServerTarget[],
  families: readonly Family[],
  options: ResolveOptions,
  origin: CallSite,
): Promise<(ResolvedServer[] | Error)[]> {
  const { timeoutMs = DNS_TIMEOUT_MS, signal, holds } = options;
  return Promise.all(
    servers.map((server) => {
      const late = () =>
        resolveError(
          `The server name '${server.host}' was not resolved within ${timeoutMs} ms. Check the resolver, or name the server by its address.`,
        );
      return withTimeout<ResolvedServer[] | Error>(
        resolveOne(server, families, options.lookup ?? dnsLookup),
        { timeoutMs, signal, holds },
        late,
        origin,
      );
    }),
  );
}

/** The addresses of a server, one for each family that it has. */
async function resolveOne(
  server: ServerTarget,
  families: readonly Family[],
  lookup: LookupFunction,
): Promise<ResolvedServer[] | Error> {
  if (isIP(server.host) !== 0) return [{ name: server.text, address: server.host, port: server.port }];
  const results = await Promise.all(families.map((family) => resolveFor(server, family, lookup)));
  const failed = results.find((result) => result instanceof Error);
  const found = results.flatMap((result) => (result instanceof Error ? [] : [result]));
  return found.length > 0 || failed === undefined ? found : failed;
}

async function resolveFor(
  server: ServerTarget,
  family: Family,
  lookup: LookupFunction,
): Promise<ResolvedServer | RoutePoolError> {
  try {
    const addresses = await resolveName(lookup, server.host, family);
    const address = addresses.find((found) => found.family === family)?.address;
    if (address !== undefined) return { name: server.text, address, port: server.port };
    return resolveError(`The server '${server.text}' has no IPv${family} address: name a server that has one.`);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `The server name '${server.host}' could not be resolved to an IPv${family} address (${reason}). Check the name and the resolver, or name the server by its address.`;
    return resolveError(message, { cause });
  }
}

function resolveError(message: string, extra: { cause?: unknown } = {}): RoutePoolError {
  return new RoutePoolError('ERR_ROUTEPOOL_RESOLVE', message, { option: 'servers', ...extra });
}

function isOneOf(families: readonly Family[], address: string): boolean {
  return families.includes(isIP(address) === 6 ? 6 : 4);
}
