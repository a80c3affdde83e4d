/** The main job. */
import { askLookup } from '../servers/lookup.ts';
import { planSweep, type PlanFacts, type ResolvedServer } from '../native/binding.ts';
import { abortError, RoutePoolError, unwrap } from '../errors/errors.ts';
import { isIP } from '../address/is-ip.ts';
import { dnsLookup } from '../node-modules.ts';
import { checkOptions, type LookupFunction, type ValidateOptions } from '../options/check.ts';
import { ValidationRun } from './run.ts';

/**
 * Proves for each source address of one or more blocks that it leaves this machine as itself: a STUN server is asked from
 * each, and the reply must come back to it.
 *
 * Returns at once a run that can be iterated for verdicts, or awaited for its summary. All that is wrong with the input is
 * thrown before anything is sent; what the network did to one address is a verdict; a server that does not resolve or
 * never answers rejects the loop and the summary.
 *
 * Linux: one socket for all sources, blocks held by a local route included. Elsewhere: one socket per source. An abort of
 * `options.signal` rejects the loop and the summary with an AbortError; {@link ValidationRun.stop} keeps what was found.
 *
 * @param blocks CIDR (`10.0.0.0/16`, `fd00::/112`), range (`10.0.0.5-10.0.1.9`) or address, of one family; one or a list
 * @param options see {@link ValidateOptions}
 * @throws RoutePoolError `ERR_ROUTEPOOL_BLOCK`, `ERR_ROUTEPOOL_NOT_LOCAL` (with the command that adds the block),
 *   `ERR_ROUTEPOOL_SERVER`, `ERR_ROUTEPOOL_OPTION`, `ERR_ROUTEPOOL_STATE`; AbortError if the signal is aborted already
 *
 * @example
 * for await (const verdict of validate('127.16.0.0/16')) {
 *   if (verdict.status !== 'ok') console.log(verdict.ip, verdict.status);
 * }
 */
export function validate(blocks: string | readonly string[], options: ValidateOptions = {}): ValidationRun {
  const native = checkOptions(blocks, options, validate);
  const { signal, lookup = dnsLookup } = options;
  if (signal?.aborted) throw abortError(signal);
  const plan = unwrap(planSweep(native), validate);
  const facts = plan.facts();
  if (!facts) throw new RoutePoolError('ERR_ROUTEPOOL_INTERNAL', 'a new plan has no facts');
  const origin: { stack?: string } = {};
  Error.captureStackTrace(origin, validate);
  return new ValidationRun(plan, () => resolveServers(facts, lookup), signal, origin);
}

/** Resolves each server once, all at the same time, for the family of the blocks. */
async function resolveServers(facts: PlanFacts, lookup: LookupFunction): Promise<ResolvedServer[]> {
  const family = facts.family === 6 ? 6 : 4;
  const results = await Promise.allSettled(facts.servers.map((server) => resolveServer(server, family, lookup)));
  const resolved = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = results.find((result) => result.status === 'rejected');
  // Of the public servers one is enough; what the user named must be there.
  if (failed && (facts.serverOrigin !== 'public' || resolved.length === 0)) throw failed.reason;
  return resolved;
}

export async function resolveServer(server: PlanFacts['servers'][number], family: 4 | 6, lookup: LookupFunction): Promise<ResolvedServer> {
  // Nothing to look up. An address of the other family is refused by name when the sweep begins.
  if (isIP(server.host) !== 0) return { name: server.text, address: server.host, port: server.port };
  const addresses = await askLookup(lookup, server.host, family).catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `The server name '${server.host}' could not be resolved to an IPv${family} address (${reason}). Check the name and the resolver, or name the server by its address.`;
    throw new RoutePoolError('ERR_ROUTEPOOL_RESOLVE', message, { option: 'server', cause });
  });
  const address = addresses.find((found) => found.family === family)?.address;
  if (address === undefined) {
    const message = `The server '${server.text}' has no IPv${family} address, but the blocks are IPv${family}: name a server that has one.`;
    throw new RoutePoolError('ERR_ROUTEPOOL_RESOLVE', message, { option: 'server' });
  }
  return { name: server.text, address, port: server.port };
}
