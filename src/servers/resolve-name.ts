/** One question to a resolver, which may be the user's own. */
import type { LookupAddress } from 'node:dns';
import { inspect } from 'node:util';
import type { Family } from '../address/family.ts';
import { isIP } from '../address/is-ip.ts';
import type { LookupFunction } from '../options/check.ts';

/**
 * Asks for all addresses of a name. A resolver that throws, or gives a promise that rejects, is one that has failed,
 * and so is one that does not give a list of addresses. Of several answers the first counts.
 */
export function resolveName(lookup: LookupFunction, host: string, family: Family | 0): Promise<LookupAddress[]> {
  return new Promise((resolve, reject) => {
    // What it throws rejects this promise. An `async` one gives a promise, which nobody else would look at.
    const given: unknown = (lookup as (...args: Parameters<LookupFunction>) => unknown)(
      host,
      { all: true, family },
      (error, found: unknown) => {
        if (error) reject(error);
        else if (isAddressList(found)) resolve(found);
        else
          reject(
            new TypeError(
              `\`lookup\` was asked for { all: true } and gave ${shown(found)} in place of a list like [{ address, family }]`,
            ),
          );
      },
    );
    if (!isThenable(given)) return;
    given.then((value) => {
      // Without a value it may still call back.
      if (value !== undefined)
        reject(
          new TypeError(
            `\`lookup\` gave a promise of ${shown(value)}: it must call its third argument back, as dns.lookup does, and dns.promises.lookup does not`,
          ),
        );
    }, reject);
  });
}

/** What a custom lookup gives is checked: one that knows only the form for a single address is an easy mistake. */
function isAddressList(found: unknown): found is LookupAddress[] {
  return (
    Array.isArray(found) &&
    found.every(
      (each: Partial<LookupAddress> | null) => typeof each?.address === 'string' && isIP(each.address) === each.family,
    )
  );
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

function shown(value: unknown): string {
  return inspect(value, { depth: 1, breakLength: Infinity });
}
