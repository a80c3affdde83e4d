/** Waits for a job on a native thread. */
import type { Failure } from './binding.ts';
import { withStackOf, type CallSite } from '../errors/call-site.ts';
import { abortError } from '../errors/errors.ts';
import { isFailure, toError } from './failure.ts';
import { holdProcess } from './process-hold.ts';

/** A job of the addon: `result` is null until it has woken us. */
export interface NativeJob<T> {
  result(): T | Failure | null;
  stop(): void;
}

/**
 * Starts a job and waits for its result; the process is kept alive meanwhile, unless `holds` is false. An abort stops
 * the job and rejects at once. Errors get the stack of `origin`, the call that began it. `stop` ends the job too, and
 * what it has found until then is its result.
 */
export function awaitJob<T>(
  start: (wake: () => void) => NativeJob<T> | Failure,
  signal: AbortSignal | undefined,
  origin: CallSite,
  holds = true,
  stop?: AbortSignal,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    if (signal?.aborted) return reject(withStackOf(abortError(signal), origin));
    const hold = holdProcess();
    if (!holds) hold.unref();
    const end = () => {
      clearInterval(hold);
      signal?.removeEventListener('abort', onAbort);
      stop?.removeEventListener('abort', onStop);
    };
    const fail = (failure: Failure) => reject(withStackOf(toError(failure), origin));
    const job = start(() => {
      const result = isFailure(job) ? null : job.result();
      if (result === null) return;
      end();
      if (isFailure(result)) fail(result);
      else resolve(result);
    });
    const onAbort = () => {
      end();
      if (!isFailure(job)) job.stop();
      if (signal) reject(withStackOf(abortError(signal), origin));
    };
    const onStop = () => {
      if (!isFailure(job)) job.stop();
    };
    if (isFailure(job)) {
      end();
      fail(job);
    } else {
      signal?.addEventListener('abort', onAbort, { once: true });
      stop?.addEventListener('abort', onStop, { once: true });
      if (stop?.aborted) onStop();
    }
  });
}
