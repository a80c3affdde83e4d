/** Waits for what cannot be cancelled, such as the lookup of a name: not for ever, and not after an abort. */
import { abortError, withStackOf } from '../errors/errors.ts';

/**
 * What `work` gives, or `late` gives if it takes longer than `timeoutMs`; rejects at once when the signal aborts.
 *
 * @param origin the call whose stack an AbortError gets
 */
export function inTime<T>(work: Promise<T>, timeoutMs: number, late: () => T, signal: AbortSignal | undefined, origin: { readonly stack?: string }): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    const timer = setTimeout(() => {
      end();
      resolve(late());
    }, timeoutMs);
    const onAbort = () => {
      end();
      if (signal) reject(withStackOf(abortError(signal), origin));
    };
    work.finally(end).then(resolve, reject);
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
  });
}
