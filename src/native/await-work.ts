/** Waits for a promise of the addon. */
import { Cancel, type Failure } from './binding.ts';
import { withStackOf, type CallSite } from '../errors/call-site.ts';
import { abortError } from '../errors/errors.ts';
import { isFailure, toError } from './failure.ts';
import { holdProcess } from './process-hold.ts';

/** How work of the addon is waited for. */
export interface AwaitOptions {
  /** An abort cancels the work and rejects at once. */
  readonly signal?: AbortSignal | undefined;
  /** Ends the work too; what it has found until then is its result. */
  readonly stop?: AbortSignal | undefined;
  /** The call that began it, whose stack errors get. */
  readonly origin: CallSite;
  /** Whether the process is kept alive meanwhile; it is unless this is false. */
  readonly holds?: boolean;
}

/** Starts work of the addon, whose promise is never rejected, and waits for its result. */
export function awaitWork<T>(start: (cancel: Cancel) => Promise<T | Failure>, options: AwaitOptions): Promise<T> {
  const { signal, stop, origin, holds = true } = options;
  return new Promise<T>((resolve, reject) => {
    if (signal?.aborted) return reject(withStackOf(abortError(signal), origin));
    const cancel = new Cancel();
    const hold = holdProcess();
    if (!holds) hold.unref();
    const end = () => {
      clearInterval(hold);
      signal?.removeEventListener('abort', onAbort);
      stop?.removeEventListener('abort', onStop);
    };
    const onStop = () => cancel.cancel();
    const onAbort = () => {
      end();
      cancel.cancel();
      if (signal) reject(withStackOf(abortError(signal), origin));
    };
    const settle = (result: T | Failure) => {
      end();
      if (isFailure(result)) reject(withStackOf(toError(result), origin));
      else resolve(result);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    stop?.addEventListener('abort', onStop, { once: true });
    if (stop?.aborted) onStop();
    start(cancel).then(settle, (error: unknown) => {
      end();
      reject(error);
    });
  });
}
