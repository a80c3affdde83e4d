/** Waits for what cannot be cancelled, such as the lookup of a name: not for ever, and not after an abort. */
import { withStackOf, type CallSite } from '../errors/call-site.ts';
import { abortError } from '../errors/errors.ts';

/** How long it is waited. */
export interface WaitLimits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Whether the process stays alive meanwhile; true by default. */
  readonly holds?: boolean | undefined;
}

/**
 * What `work` gives, or what `late` gives or throws if it takes longer than the time limit; rejects at once when the
 * signal aborts.
 *
 * @param origin the call whose stack an AbortError gets
 */
export function withTimeout<T>(
  work: Promise<T>,
  { timeoutMs, signal, holds = true }: WaitLimits,
  late: () => T,
  origin: CallSite,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    const timer = setTimeout(() => {
      end();
      try {
        resolve(late());
      } catch (error) {
        reject(error);
      }
    }, timeoutMs);
    if (!holds) timer.unref();
    const onAbort = () => {
      end();
      if (signal) reject(withStackOf(abortError(signal), origin));
    };
    work.finally(end).then(resolve, reject);
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
  });
}
