/** Loads several interfaces at once. */
import { asError } from '../errors/errors.ts';
import { Interface } from './interface.ts';
import { listInterfaces } from './facts.ts';
import { checkLoadOptions, type LoadOptions } from '../servers/options.ts';
import { asCaller, wrong } from '../options/check.ts';

/** What came of loading several interfaces. */
export interface LoadedInterfaces {
  /** Those that were loaded, in the order of their names. */
  readonly loaded: Interface[];
  /** Those that were not, and why. */
  readonly failed: { readonly name: string; readonly error: Error }[];
}

/**
 * Loads interfaces at the same time. One that fails does not fail the others.
 *
 * An abort of `options.signal` rejects the whole call; what was loaded by then is dropped.
 *
 * @param names by default all that are up, loopback left out
 * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION`; AbortError
 */
export async function loadInterfaces(names?: readonly string[], options: LoadOptions = {}): Promise<LoadedInterfaces> {
  // What is wrong with the options would fail each interface alike: it is the caller's to mend.
  checkLoadOptions(options, loadInterfaces);
  const wanted =
    checkNamesOf(names) ??
    listInterfaces({ details: true })
      .filter((facts) => facts.up && facts.kind !== 'loopback')
      .map((facts) => facts.name);
  const results = await Promise.allSettled(wanted.map((name) => Interface.load(name, options)));
  if (options.signal?.aborted) {
    const aborted = results.find((result) => result.status === 'rejected');
    if (aborted) throw aborted.reason;
  }
  return {
    loaded: results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])),
    failed: results.flatMap((result, i) =>
      result.status === 'rejected'
        ? [
            {
              name: wanted[i] ?? '',
              error: asError(result.reason),
            },
          ]
        : [],
    ),
  };
}

function checkNamesOf(names: unknown): readonly string[] | undefined {
  const right =
    names === undefined ||
    (Array.isArray(names) && [...(names as unknown[])].every((name) => typeof name === 'string'));
  return right
    ? (names as readonly string[] | undefined)
    : asCaller(loadInterfaces, () => wrong('names', 'a list of names of interfaces', names));
}
