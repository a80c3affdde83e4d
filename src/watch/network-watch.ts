/** A watch over the interfaces of this machine. */
import { addAbortListener, EventEmitter } from 'node:events';
import { abortError, misuse } from '../errors/errors.ts';
import { startWatch, type NativeWatch } from '../native/binding.ts';
import { WATCH_BATCH } from '../defaults.ts';
import { withStackOf, type CallSite } from '../errors/call-site.ts';
import { toError, unwrap } from '../native/failure.ts';
import { holdProcess } from '../native/process-hold.ts';
import { serialIterator } from '../native/serial-iterator.ts';
import { weakly, type WeakSelf } from '../native/weakly.ts';
import { ExternalCheck } from './external-check.ts';
import { CHANGE_TYPES, toChange, type NetworkChange } from './change.ts';
import type { CheckedExternalOptions, CheckedWatchOptions } from './options.ts';

/** What a watch has done so far. */
export interface WatchCounters {
  /** How it learns of changes now: `netlink`, or by `polling`. */
  readonly method: 'netlink' | 'polling';
  /** Looks at all interfaces. */
  readonly scans: number;
  /** Messages of the system that could mean a change. */
  readonly events: number;
  /** Messages of the system that said what was known. */
  readonly repeated: number;
  /** Times that the system had more to tell than its buffer holds; a look made up for each. */
  readonly overflows: number;
  /** Times that the connection to the system was lost; polling bridges the time until it is back. */
  readonly disconnects: number;
  /** Looks that failed, and were tried again. */
  readonly failures: number;
  /** Looks whose changes were merged into those of later ones, since nobody had fetched the earlier ones. */
  readonly coalesced: number;
  /** Checks of external addresses that are over; the first one is what the others are compared with. */
  readonly externalChecks: number;
  /** Interfaces that could not be checked. */
  readonly externalFailures: number;
  /** Why, the last time. */
  readonly externalError: Error | undefined;
}

type ChangeEvents = { [Type in NetworkChange['type']]: [Extract<NetworkChange, { type: Type }>] };

/** The events of a watch. */
export interface WatchEvents extends ChangeEvents {
  /** Any change. */
  change: [NetworkChange];
  /** The watch has ended by itself, which is a defect. */
  error: [Error];
  /** It has ended; nothing comes after. */
  close: [];
}

const CHANGE_EVENTS = ['change', ...CHANGE_TYPES] as const;

/**
 * Watches that somebody iterates or listens to: they must not be collected. One that nobody uses may be, which ends its
 * thread.
 */
const used = new Set<NetworkWatch>();

/**
 * A watch under way: iterate it, or listen to its events.
 *
 * It keeps the process alive while somebody iterates it or listens to changes, unless {@link NetworkWatch.unref} was
 * called. A slow loop misses nothing that lasts: what happens meanwhile is told as one difference, so memory stays
 * bounded. Leaving the loop closes the watch.
 */
export class NetworkWatch extends EventEmitter<WatchEvents> implements AsyncIterable<NetworkChange>, AsyncDisposable {
  readonly #native: NativeWatch;
  readonly #hold: NodeJS.Timeout = holdProcess().unref();
  readonly #origin: CallSite;
  readonly #external: ExternalCheck | undefined;
  readonly #signal: AbortSignal | undefined;
  #abortListener: Disposable | undefined;
  #isHolding = true;
  #listens = false;
  #hasLoop = false;
  #closed = false;
  #error: Error | undefined;
  /** Changes that a loop has not taken. */
  #pending: NetworkChange[] = [];
  /** Wakes the loop that waits. */
  #wake: (() => void) | undefined;

  static readonly #onWake = (watch: NetworkWatch): void => watch.#pump();
  static readonly #abort = (watch: NetworkWatch): void => watch.#onAbort();
  static readonly #told = (watch: NetworkWatch, changes: readonly NetworkChange[]): void => watch.#tell(changes);
  static readonly #keepsUp = (watch: NetworkWatch): boolean => watch.#pending.length === 0;

  private constructor(
    native: NativeWatch,
    options: CheckedWatchOptions,
    origin: CallSite,
    self: WeakSelf<NetworkWatch>,
  ) {
    super();
    this.#native = native;
    this.#origin = origin;
    this.#signal = options.signal;
    const weak = new WeakRef(this);
    self.ref = weak;
    const user: ExternalUser = { weak, native, tell: NetworkWatch.#told, keepsUp: NetworkWatch.#keepsUp };
    this.#external = options.external && externalCheck(user, options.external, origin);
    if (options.signal?.aborted) this.#onAbort();
    else if (options.signal) this.#abortListener = addAbortListener(options.signal, weakly(self, NetworkWatch.#abort));
    this.#countListeners();
  }

  /** @internal */
  static start(options: CheckedWatchOptions, origin: CallSite, caller: (...args: never[]) => unknown): NetworkWatch {
    const self: WeakSelf<NetworkWatch> = { ref: undefined };
    const native = unwrap(startWatch(options.pollMs, weakly(self, NetworkWatch.#onWake)), caller);
    return new NetworkWatch(native, options, origin, self);
  }

  /** Whether it has ended. */
  get closed(): boolean {
    return this.#closed;
  }

  /** What it has done so far. */
  counters(): WatchCounters {
    const external = this.#external;
    return {
      ...this.#native.counters(),
      method: this.#native.counters().method as WatchCounters['method'],
      externalChecks: external?.checks ?? 0,
      externalFailures: external?.failures ?? 0,
      externalError: external?.lastError,
    };
  }

  /**
   * Each change. Only one loop can run over a watch, and leaving it closes the watch. Listeners hear of changes at the
   * pace of the loop.
   *
   * @throws AbortError after an abort; RoutePoolError `ERR_ROUTEPOOL_MISUSE` for a second loop
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<NetworkChange> {
    if (this.#hasLoop) throw misuse('this watch is iterated already: one watch feeds one loop');
    this.#hasLoop = true;
    return serialIterator(
      () => this.#next(),
      () => this.close(),
    );
  }

  /** Keeps the process alive while somebody iterates or listens, as it does from the start. */
  ref(): this {
    this.#isHolding = true;
    this.#settle();
    return this;
  }

  /** Lets the process exit whoever waits. */
  unref(): this {
    this.#isHolding = false;
    this.#settle();
    return this;
  }

  /** Ends it: a loop ends, `close` is emitted. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending = [];
    this.#native.stop();
    this.#external?.close();
    this.#abortListener?.[Symbol.dispose]();
    this.#abortListener = undefined;
    clearInterval(this.#hold);
    this.#settle();
    this.#wakeLoop();
    process.nextTick(() => this.emit('close'));
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** As of any EventEmitter; what nobody listens to any more lets the process exit. */
  override removeAllListeners(event?: keyof WatchEvents): this {
    if (event === undefined) {
      super.removeAllListeners();
      this.#countListeners();
    } else {
      super.removeAllListeners(event);
    }
    this.#settle();
    return this;
  }

  async #next(): Promise<IteratorResult<NetworkChange, undefined>> {
    for (;;) {
      if (this.#error) throw this.#error;
      const value = this.#pending.shift();
      if (value !== undefined) {
        if (this.#pending.length === 0) this.#external?.resume();
        return { value, done: false };
      }
      if (this.#closed) return { value: undefined, done: true };
      const woken = new Promise<void>((resolve) => (this.#wake = resolve));
      this.#settle();
      this.#pump();
      await woken;
    }
  }

  #wakeLoop(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    this.#settle();
    wake?.();
  }

  /** Fetches changes if somebody wants them; what is not fetched is merged where it waits. */
  #pump(): void {
    if (this.#closed || this.#pending.length > 0 || (this.#wake === undefined && !this.#listens)) return;
    const failed = this.#native.failed();
    if (failed) return this.#fail(withStackOf(toError(failed), this.#origin));
    const { changes, paths } = this.#native.drain(WATCH_BATCH);
    if (paths || changes.length > 0) this.#external?.request();
    this.#tell(changes.flatMap((found) => toChange(found) ?? []));
    // The thread wakes us again only when nothing was left. A burst must not keep timers and sockets from their turn.
    if (changes.length > 0) setImmediate(() => this.#pump());
  }

  #tell(changes: readonly NetworkChange[]): void {
    for (const change of changes) {
      if (this.#closed) return;
      if (this.#hasLoop) this.#pending.push(change);
      this.#emit('change', change);
      this.#emit(change.type, change);
    }
    if (this.#pending.length > 0) this.#wakeLoop();
  }

  /** An exception of a listener must not cost others their changes: it is thrown, but where nothing waits for it. */
  #emit(event: 'change' | NetworkChange['type'], change: NetworkChange): void {
    try {
      this.emit(event, ...([change] as never));
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }

  #fail(error: Error): void {
    this.#error = error;
    const hasLoop = this.#hasLoop;
    void this.close();
    // As Node's own emitters: an error that nobody looks for is not to be overlooked.
    if (!hasLoop || this.listenerCount('error') > 0) this.emit('error', error);
  }

  #onAbort(): void {
    if (this.#signal) this.#error = withStackOf(abortError(this.#signal), this.#origin);
    void this.close();
  }

  #countListeners(): void {
    // `newListener` comes before the listener is there.
    const later = (event: string | symbol) => {
      if ((CHANGE_EVENTS as readonly (string | symbol)[]).includes(event)) queueMicrotask(() => this.#settle());
    };
    const internal = this as unknown as EventEmitter;
    internal.on('newListener', later);
    internal.on('removeListener', later);
  }

  /** Draws the consequences of who waits: holds the process, keeps from being collected, asks servers. */
  #settle(): void {
    this.#listens = !this.#closed && CHANGE_EVENTS.some((event) => this.listenerCount(event) > 0);
    const isUsed = !this.#closed && (this.#listens || this.#wake !== undefined);
    if (isUsed) used.add(this);
    else used.delete(this);
    if (isUsed && this.#isHolding) this.#hold.ref();
    else this.#hold.unref();
    // A loop that works on a change uses the watch too.
    this.#external?.use(isUsed || (!this.#closed && this.#hasLoop));
    if (this.#listens) this.#pump();
  }
}

/** What a check needs of its watch, which it must not hold. */
interface ExternalUser {
  readonly weak: WeakRef<NetworkWatch>;
  readonly native: NativeWatch;
  readonly tell: (watch: NetworkWatch, changes: readonly NetworkChange[]) => void;
  readonly keepsUp: (watch: NetworkWatch) => boolean;
}

function externalCheck(
  { weak, native, tell, keepsUp }: ExternalUser,
  options: CheckedExternalOptions,
  origin: CallSite,
): ExternalCheck {
  return new ExternalCheck(options, origin, {
    compare: (load) => native.externals(load),
    keepsUp: () => {
      const watch = weak.deref();
      return watch === undefined ? undefined : keepsUp(watch);
    },
    tell: (changes) => {
      const watch = weak.deref();
      if (watch !== undefined) tell(watch, changes);
    },
  });
}
