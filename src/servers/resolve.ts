/** STUN servers for asking what addresses leave as, resolved once for each family. */
import { chooseServers, type ResolvedServer, type ServerTarget } from '../native/binding.ts';
import { DNS_TIMEOUT_MS } from '../defaults.ts';
import { RoutePoolError, unwrap, withStackOf } from '../errors/errors.ts';
import type { Family } from '../address/family.ts';
import { inTime } from './with-timeout.ts';
import { isIP } from '../address/is-ip.ts';
import type { CheckedLoadOptions } from './options.ts';
import { dnsLookup } from '../node-modules.ts';
import type { LookupFunction } from '../options/check.ts';
import { resolveServer } from '../validate/validate.ts';

/** Servers with their addresses, of one family or of both. */
export interface Resolution {
  readonly servers: ResolvedServer[];
  readonly isPublic: boolean;
  /** Why names of public servers were left out. */
  readonly unresolved: string | undefined;
}

/**
 * Resolves the servers for the families. A name that resolves for one family alone is asked over that; one that resolves for
 * none is an error if the user named it, and left out of the public ones.
 */
export async function resolveAll(options: CheckedLoadOptions, families: readonly Family[], origin: { readonly stack?: string }): Promise<Resolution> {
  const choice = unwrap(chooseServers(options.servers ?? []), resolveAll);
  const isPublic = choice.origin === 'public';
  const lookup = options.lookup ?? dnsLookup;
  const { signal, timeoutMs = DNS_TIMEOUT_MS } = options;
  const results = await resolveEach(choice.servers, families, lookup, timeoutMs, signal, origin);
  const failed = results.find((result) => result instanceof Error);
  if (failed instanceof Error && !isPublic && families.length > 0) throw withStackOf(failed, origin);
  return { servers: results.flatMap((result) => (result instanceof Error ? [] : result)), isPublic, unresolved: failed instanceof Error ? failed.message : undefined };
}

/**
 * Resolves the servers for the families; a name that does not resolve is no error but something that was found out.
 *
 * @throws AbortError
 */
export async function resolveThoseThatDo(
  servers: readonly ServerTarget[],
  families: readonly Family[],
  options: { readonly lookup?: LookupFunction | undefined; readonly signal?: AbortSignal | undefined },
  origin: { readonly stack?: string },
): Promise<{ servers: ResolvedServer[]; unresolved: string[] }> {
  const results = await resolveEach(servers, families, options.lookup ?? dnsLookup, DNS_TIMEOUT_MS, options.signal, origin);
  return {
    servers: results.flatMap((result) => (result instanceof Error ? [] : result)),
    unresolved: servers.flatMap((server, i) => (results[i] instanceof Error ? [server.host] : [])),
  };
}

function resolveEach(
  servers: readonly ServerTarget[],
  families: readonly Family[],
  lookup: LookupFunction,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  origin: { readonly stack?: string },
): Promise<(ResolvedServer[] | Error)[]> {
  const late = (server: ServerTarget) => () => {
    const message = `The server name '${server.host}' was not resolved within ${timeoutMs} ms. Check the resolver, or name the server by its address.`;
    return new RoutePoolError('ERR_ROUTEPOOL_RESOLVE', message, { option: 'server' });
  };
  return Promise.all(servers.map((server) => inTime<ResolvedServer[] | Error>(resolveOne(server, families, lookup), timeoutMs, late(server), signal, origin)));
}

async function resolveOne(server: ServerTarget, families: readonly Family[], lookup: NonNullable<CheckedLoadOptions['lookup']>): Promise<ResolvedServer[] | Error> {
  const literal = isIP(server.host);
  const wanted = literal === 0 ? families : families.filter((family) => family === literal);
  const results = await Promise.allSettled(wanted.map((family) => resolveServer(server, family, lookup)));
  const found = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = results.find((result) => result.status === 'rejected');
  if (found.length > 0 || failed === undefined) return found;
  return failed.reason instanceof Error ? failed.reason : new RoutePoolError('ERR_ROUTEPOOL_RESOLVE', String(failed.reason));
}
