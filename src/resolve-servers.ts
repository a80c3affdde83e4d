/** STUN servers for asking what addresses leave as, resolved once for each family. */
import { lookup as dnsLookup } from 'node:dns';
import { isIP } from 'node:net';
import { chooseServers, type ResolvedServer, type ServerTarget } from './binding.ts';
import { RoutePoolError, unwrap, withStackOf } from './errors.ts';
import type { Family } from './families.ts';
import type { CheckedLoadOptions } from './load-options.ts';
import type { LookupFunction } from './options.ts';
import { resolveServer } from './validate.ts';

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
  const results = await Promise.all(choice.servers.map((server) => resolveOne(server, families, lookup)));
  const failed = results.find((result) => result instanceof Error);
  if (failed instanceof Error && !isPublic && families.length > 0) throw withStackOf(failed, origin);
  return { servers: results.flatMap((result) => (result instanceof Error ? [] : result)), isPublic, unresolved: failed instanceof Error ? failed.message : undefined };
}

/** Resolves the servers for the families; a name that does not resolve is no error but something that was found out. */
export async function resolveThoseThatDo(
  servers: readonly ServerTarget[],
  families: readonly Family[],
  lookup: LookupFunction = dnsLookup,
): Promise<{ servers: ResolvedServer[]; unresolved: string[] }> {
  const results = await Promise.all(servers.map((server) => resolveOne(server, families, lookup)));
  return {
    servers: results.flatMap((result) => (result instanceof Error ? [] : result)),
    unresolved: servers.flatMap((server, i) => (results[i] instanceof Error ? [server.host] : [])),
  };
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
