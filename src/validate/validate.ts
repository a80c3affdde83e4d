/** The main job. */
import { planSweep } from '../native/binding.ts';
import { callSite } from '../errors/call-site.ts';
import { abortError, RoutePoolError } from '../errors/errors.ts';
import { unwrap } from '../native/failure.ts';
import { asCaller } from '../options/check.ts';
import { RoutePool } from '../routes/route-pool.ts';
import { resolveForSweep } from '../servers/resolve.ts';
import { checkValidateOptions, type ValidateOptions } from './options.ts';
import { ValidationRun } from './run.ts';

/**
 * Proves for each source address of one or more blocks that it leaves this machine as itself: a STUN server is asked
 * from each, and the reply must come back to it.
 *
 * Returns at once a run that can be iterated for verdicts, or awaited for its summary. All that is wrong with the input
 * is thrown before anything is sent; what the network did to one address is a verdict; a server that does not resolve
 * or never answers rejects the loop and the summary.
 *
 * Linux: one socket for all sources, blocks held by a local route included. Elsewhere: one socket per source. An abort
 * of `options.signal` rejects the loop and the summary with an AbortError; {@link ValidationRun.stop} keeps what was
 * found.
 *
 * @param blocks CIDR (`10.0.0.0/16`, `fd00::/112`), range (`10.0.0.5-10.0.1.9`) or address, of one family; one or a
 *   list. Or a pool: those of its addresses that are bound as themselves; {@link ValidationRun.pool} is then the proven
 *   part of it, with its routes
 * @param options see {@link ValidateOptions}
 * @throws RoutePoolError `ERR_ROUTEPOOL_BLOCK`, `ERR_ROUTEPOOL_NOT_LOCAL` (with the command that adds the block),
 *   `ERR_ROUTEPOOL_SERVER`, `ERR_ROUTEPOOL_OPTION`, `ERR_ROUTEPOOL_STATE`, `ERR_ROUTEPOOL_NO_ROUTE` for a pool whose
 *   every address is behind a NAT: then there is nothing to prove; AbortError if the signal is aborted already
 *
 * @example
 * for await (const verdict of validate('127.16.0.0/16')) {
 *   if (verdict.status !== 'ok') console.log(verdict.ip, verdict.status);
 * }
 */
export function validate(blocks: string | readonly string[] | RoutePool, options: ValidateOptions = {}): ValidationRun {
  const pool = blocks instanceof RoutePool ? blocks : undefined;
  const native = checkValidateOptions(
    pool === undefined ? blocks : asCaller(validate, () => RoutePool.blocksOf(pool)),
    options,
    validate,
  );
  const { signal, lookup } = options;
  if (signal?.aborted) throw abortError(signal);
  const plan = unwrap(planSweep(native), validate);
  const facts = plan.facts();
  if (!facts) throw new RoutePoolError('ERR_ROUTEPOOL_INTERNAL', 'a new plan has no facts');
  const origin = callSite(validate);
  // The run itself keeps the process alive while somebody waits for it.
  return new ValidationRun(plan, () => resolveForSweep(facts, { lookup, signal, holds: false }, origin), {
    signal,
    pool,
    origin,
  });
}
