/** A validation under way. */
import { addAbortListener, EventEmitter } from 'node:events';
import { misuse, abortError, RoutePoolError } from '../errors/errors.ts';
import type { Failure, NativePlan, NativeSummary, NativeSweep, ResolvedServer } from '../native/binding.ts';
import { BATCH_RECORDS, PROGRESS_MS, RECORD_BYTES } from '../defaults.ts';
import { withStackOf, type CallSite } from '../errors/call-site.ts';
import { isFailure, toError } from '../native/failure.ts';
import { RoutePool } from '../routes/route-pool.ts';
import { probeChannel } from '../diagnostics.ts';
import { serialIterator } from '../native/serial-iterator.ts';
import { weakly } from '../native/weakly.ts';
import { toSummary, type ValidationSummary } from './summary.ts';
import { type Verdict, verdictAt } from './verdict.ts';
import { VerdictBatch } from './verdict-batch.ts';

/** Figures of a run under way. */
export interface ValidationProgress {
  /** Sources with a verdict. */
  readonly done: number;
  /** All sources. */
  readonly total: number;
  /** Of those done, `ok`. */
  readonly ok: number;
  /** Of those done, not `ok`. */
  readonly notOk: number;
  /** Probes a second, over the last second or so. */
  readonly ratePerSecond: number;
  /** Since the start. */
  readonly elapsedMs: number;
  /** Time left of this pass, if it can be estimated. */
  readonly etaMs: number | undefined;
  /** How many times silent sources have been asked. */
  readonly pass: number;
  /** Whether the network is lost and waited for. */
  readonly paused: boolean;
  /** What is being done. */
  readonly phase: 'resolving' | 'preflight' | 'pass' | 'waiting' | 'done';
}

/** What a run belongs to. @internal */
export interface RunContext {
  readonly signal: AbortSignal | undefined;
  readonly pool: RoutePool | undefined;
  readonly origin: CallSite;
}

const NOTHING = Buffer.alloc(0);

/**
 * Runs that somebody waits for. Thread, timer and signal hold a run weakly, so that one that is dropped half-way is
 * collected, which stops its thread; but a promise that somebody awaits must hold it.
 */
const awaited = new Set<ValidationRun>();

/** An interval that does not keep the process alive, and ends with the run. */
function weakInterval(call: () => boolean): NodeJS.Timeout {
  const timer = setInterval(() => {
    if (!call()) clearInterval(timer);
  }, PROGRESS_MS).unref();
  return timer;
}

/**
 * A validation under way: iterate it for a verdict for each source, or await {@link ValidationRun.summary}.
 *
 * The sweep runs on a thread of its own. It keeps the process alive only while somebody waits for it, and it waits for
 * a slow loop: at most some 16,000 verdicts are held. Leaving the loop stops it.
 */
export class ValidationRun
  extends EventEmitter<{ progress: [ValidationProgress] }>
  implements AsyncIterable<Verdict>, AsyncDisposable
{
  readonly #started: Promise<NativeSweep>;
  readonly #signal: AbortSignal | undefined;
  /** What is validated, if that is a pool. */
  readonly #of: RoutePool | undefined;
  readonly #sources: number;
  readonly #origin: CallSite;
  #native: NativeSweep | undefined;
  #stopped = false;
  #leave: () => void = () => undefined;
  /** Resolves when the run is stopped or aborted. */
  readonly #left = new Promise<undefined>((resolve) => (this.#leave = () => resolve(undefined)));
  #settled = false;
  /** Whether the loop has been given all verdicts. */
  #drained = false;
  #summary: ValidationSummary | undefined;
  #consumer: 'none' | 'loop' | 'discarded' = 'none';
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #holds = 0;
  #listener: Disposable | undefined;
  readonly #slab = Buffer.allocUnsafeSlow(BATCH_RECORDS * RECORD_BYTES);

  static readonly #abort = (run: ValidationRun): void => run.#onAbort();
  static readonly #look = (run: ValidationRun): void => run.#tick();
  static readonly #onWake = (run: ValidationRun): void => run.#wake();

  /** @internal */
  constructor(plan: NativePlan, resolve: () => Promise<ResolvedServer[]>, { signal, pool, origin }: RunContext) {
    super();
    this.#of = pool;
    const self = { ref: new WeakRef(this) };
    this.#signal = signal;
    this.#origin = origin;
    this.#sources = plan.facts()?.sources ?? 0;
    if (signal) this.#listener = addAbortListener(signal, weakly(self, ValidationRun.#abort));
    if (probeChannel.hasSubscribers) probeChannel.publish({ event: 'start', kind: 'validate', subject: this });
    this.#started = this.#start(plan, resolve).finally(() => plan.discard());
    // Whoever iterates or awaits gets the error; nobody doing so is no unhandled rejection.
    this.#started.catch(() => this.#finish());
    this.#timer = weakInterval(weakly(self, ValidationRun.#look));
  }

  async #start(plan: NativePlan, resolve: () => Promise<ResolvedServer[]>): Promise<NativeSweep> {
    const resolved = resolve().catch((error: unknown) => {
      throw error instanceof Error ? withStackOf(error, this.#origin) : error;
    });
    // A lookup cannot be cancelled, and may never return.
    const servers = await Promise.race([resolved, this.#left]);
    this.#throwIfAborted();
    const wake = weakly({ ref: new WeakRef(this) }, ValidationRun.#onWake);
    const sweep = servers === undefined ? plan.startStopped(wake) : plan.start(servers, wake);
    if (isFailure(sweep)) throw withStackOf(toError(sweep), this.#origin);
    this.#native = sweep;
    if (this.#stopped) sweep.stop();
    return sweep;
  }

  /**
   * Each verdict as it is found, in the order of the answers. Leaving the loop stops the run. A slow loop slows the
   * sweep down.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_MISUSE` for a second loop, or one after the summary; what
   *   {@link ValidationRun.summary} rejects with
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Verdict> {
    this.#take();
    let bytes: Uint8Array = NOTHING;
    let at = 0;
    const take = (): IteratorResult<Verdict, undefined> => {
      const value = verdictAt(bytes, at);
      at += RECORD_BYTES;
      return { value, done: false };
    };
    // Nearly always a verdict is at hand and no call waits: then one promise is all it costs.
    const atHand = () => (at < bytes.length && !this.#signal?.aborted ? take() : undefined);
    const next = async (): Promise<IteratorResult<Verdict, undefined>> => {
      if (at >= bytes.length || this.#signal?.aborted) {
        const more = await this.#pull();
        if (more === undefined) return { value: undefined, done: true };
        bytes = more;
        at = 0;
      }
      return take();
    };
    const leave = () => {
      bytes = NOTHING;
      this.stop();
    };
    return serialIterator(next, leave, atHand);
  }

  /**
   * The verdicts in packed batches of at most 1,024, for programs that count millions. Leaving the loop stops the run.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_MISUSE` for a second loop; what {@link ValidationRun.summary} rejects with
   */
  batches(): AsyncIterableIterator<VerdictBatch> {
    this.#take();
    const next = async (): Promise<IteratorResult<VerdictBatch, undefined>> => {
      const bytes = await this.#pull();
      return bytes === undefined ? { value: undefined, done: true } : { value: new VerdictBatch(bytes), done: false };
    };
    return serialIterator(next, () => this.stop());
  }

  /**
   * What was found, once the run is over. Without a loop over the run the single verdicts are counted and not kept;
   * with one, this waits until the loop has seen them.
   *
   * @throws RoutePoolError when nothing could be found out: `ERR_ROUTEPOOL_SERVER_SILENT`,
   *   `ERR_ROUTEPOOL_SERVER_REFUSED`, `ERR_ROUTEPOOL_UNREACHABLE`, `ERR_ROUTEPOOL_RESOLVE`; `ERR_ROUTEPOOL_STATE` if
   *   the state cannot be written; AbortError, unless the run had ended before
   */
  async summary(): Promise<ValidationSummary> {
    const result = await this.#result();
    return (this.#summary ??= toSummary(result));
  }

  /**
   * The proven sources, once the run is over: each leaves as itself. Of a pool it is the part that was proven. Waits
   * and fails as {@link ValidationRun.summary}.
   */
  async pool(): Promise<RoutePool> {
    await this.#result();
    const pool = this.#native?.pool();
    if (!pool) throw new RoutePoolError('ERR_ROUTEPOOL_INTERNAL', 'the run is over and has no pool');
    const proven = RoutePool.ofProven(pool);
    return this.#of === undefined ? proven : this.#of.intersection(proven);
  }

  /**
   * Ends the run with what it has found so far: loops end, and the summary says `stopped`. A run whose server names are
   * still being looked up has found nothing, and its summary says so; the lookup is not waited for. Idempotent.
   */
  stop(): void {
    this.#stopped = true;
    this.#leave();
    this.#native?.stop();
  }

  /** Stops the run and waits until its thread has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    // What went wrong is for those who iterate or await the summary.
    const native = await this.#started.catch(() => undefined);
    // An aborted run is finished for its readers before its thread has ended.
    const hold = setInterval(() => this.#wake(), PROGRESS_MS);
    for (;;) {
      native?.drain(NOTHING);
      if (native === undefined || native.result() !== null) break;
      await this.#sleep();
    }
    clearInterval(hold);
    this.#finish();
  }

  #take(): void {
    if (this.#consumer !== 'none') {
      const why =
        this.#consumer === 'loop'
          ? 'this run is iterated already: one run feeds one loop'
          : 'the summary was awaited before the loop began, so the verdicts were not kept: begin the loop first';
      throw misuse(why);
    }
    this.#consumer = 'loop';
  }

  /** The next records, undefined at the end. */
  async #pull(): Promise<Uint8Array | undefined> {
    return this.#held(async (native) => {
      // A reader that is slower than the sweep always finds records: it must not keep timers and signals from their
      // turn.
      await new Promise((resolve) => void setImmediate(resolve));
      for (;;) {
        if (!this.#drained) this.#throwIfAborted();
        // Looked for before the records are: those of a finished run are all there.
        const result = native.result();
        const length = native.drain(this.#slab);
        if (length > 0) return Uint8Array.prototype.slice.call(this.#slab, 0, length);
        if (result !== null) {
          this.#drained = true;
          this.#settle(result);
          return undefined;
        }
        await this.#sleep();
      }
    });
  }

  async #result(): Promise<NativeSummary> {
    return this.#held(async (native) => {
      for (;;) {
        if (!this.#settled) this.#throwIfAborted();
        if (this.#consumer === 'none') {
          this.#consumer = 'discarded';
          native.discard();
        }
        // Takes nothing, but has the thread wake us again.
        native.drain(NOTHING);
        const result = native.result();
        if (result !== null) return this.#settle(result);
        await this.#sleep();
      }
    });
  }

  /** The run has ended with this, and somebody has been told: an abort that comes later changes nothing. */
  #settle(result: NativeSummary | Failure): NativeSummary {
    this.#settled = true;
    this.#finish();
    if (isFailure(result)) throw withStackOf(toError(result), this.#origin);
    return result;
  }

  /** Runs `task` and keeps the process alive meanwhile. */
  async #held<T>(task: (native: NativeSweep) => Promise<T>): Promise<T> {
    if (this.#holds++ === 0) {
      awaited.add(this);
      this.#timer?.ref();
    }
    try {
      return await task(this.#native ?? (await this.#started));
    } finally {
      if (--this.#holds === 0) {
        awaited.delete(this);
        this.#timer?.unref();
      }
    }
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #tick(): void {
    if (this.listenerCount('progress') > 0) this.emit('progress', this.#progress());
    // A wake-up that came while nobody listened must not be waited for.
    this.#wake();
  }

  #progress(): ValidationProgress {
    const now = this.#native?.progress();
    const done = now?.decided ?? 0;
    return {
      done,
      total: now?.sources ?? this.#sources,
      ok: now?.ok ?? 0,
      notOk: done - (now?.ok ?? 0),
      ratePerSecond: now?.ratePerSecond ?? 0,
      elapsedMs: now?.elapsedMs ?? 0,
      etaMs: now?.etaMs,
      pass: now?.pass ?? 0,
      paused: now?.paused ?? false,
      phase: (now?.phase as ValidationProgress['phase'] | undefined) ?? 'resolving',
    };
  }

  #onAbort(): void {
    this.stop();
    this.#wake();
  }

  #throwIfAborted(): void {
    if (this.#signal?.aborted) {
      this.#finish();
      throw withStackOf(abortError(this.#signal), this.#origin);
    }
  }

  /** The run is over: one last progress event, no timer, no listener on the caller's signal. */
  #finish(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#listener?.[Symbol.dispose]();
    this.#listener = undefined;
    if (this.#native && this.listenerCount('progress') > 0) this.emit('progress', this.#progress());
    if (probeChannel.hasSubscribers)
      probeChannel.publish({ event: 'end', kind: 'validate', subject: this, result: this.#progress() });
    this.#wake();
  }
}
