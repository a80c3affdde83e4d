/** Messages that wait for somebody, and somebodies that wait for messages. */
import { asError, abortError } from '../../errors/errors.ts';
import { withStackOf, type CallSite } from '../../errors/call-site.ts';
import { forWaiter } from '../system-errors.ts';

/** What a queue holds. */
export interface Queued {
  readonly data: Uint8Array;
}

/**
 * What happens to a message for which a full queue has no room: it is dropped (`drop-newest`), the oldest ones are
 * (`drop-oldest`), or nothing is dropped and the pipe stops reading until there is room (`wait`).
 */
export type Overflow = 'drop-newest' | 'drop-oldest' | 'wait';

/** How much a queue holds. */
export interface QueueLimits {
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly overflow: Overflow;
}

/** Stops the messages and lets them come again, for a queue among others that may ask for that. */
export interface QueueFlow {
  hold(queue: object): void;
  release(queue: object): void;
}

const NO_FLOW: QueueFlow = { hold: () => undefined, release: () => undefined };

/** How one message is waited for. */
export interface Wait<M> {
  /** Gives up after this many milliseconds; 0 takes only what is there already. Without it there is no limit. */
  readonly timeoutMs?: number | undefined;
  /** Takes only messages for which it is true; the others stay where they are. */
  readonly filter?: ((message: M) => boolean) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Whoever is behind several waits: {@link MessageQueue.cancel} ends them all. */
  readonly owner?: object | undefined;
}

interface Waiter<M> {
  readonly owner: object | undefined;
  readonly wants: ((message: M) => boolean) | undefined;
  readonly settle: (outcome: { value: M | null | undefined } | { error: Error }) => void;
}

/**
 * A bounded queue. A message is handed to the first who waits for one like it, else it is kept. After
 * {@link MessageQueue.end} what is kept can still be taken, then there is `null`.
 */
export class MessageQueue<M extends Queued> {
  #limits: QueueLimits;
  readonly #flow: QueueFlow;
  #items: M[] = [];
  #head = 0;
  #bytes = 0;
  #held = false;
  #waiters: Waiter<M>[] = [];
  #ended = false;
  #error: Error | undefined;
  #onNull: (() => void) | undefined;
  /** Messages that were dropped for want of room. */
  dropped = 0;
  /** Their bytes. */
  droppedBytes = 0;

  /** `flow` is told to stop the messages and to let them come again; only with `overflow: 'wait'`. */
  constructor(limits: QueueLimits, flow: QueueFlow = NO_FLOW) {
    this.#limits = limits;
    this.#flow = flow;
  }

  /** Messages that wait. */
  get length(): number {
    return this.#items.length - this.#head;
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether somebody waits for a message. */
  get isAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** Whether nothing more will come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The messages that wait, oldest first. */
  waiting(): readonly M[] {
    return this.#items.slice(this.#head);
  }

  /** Another way to deal with a lack of room, from now on. */
  setOverflow(overflow: Overflow): void {
    this.#limits = { ...this.#limits, overflow };
    this.#steer();
  }

  /** Calls back once, when the end has been told to somebody. */
  onEndTold(callback: () => void): void {
    this.#onNull = callback;
  }

  /** Takes a message in. */
  push(message: M): void {
    if (this.#ended) return;
    if (this.offer(message)) return;
    const size = message.data.byteLength;
    const { overflow } = this.#limits;
    if (overflow !== 'wait' && !this.#hasRoom(size)) {
      if (overflow === 'drop-newest') return this.#count(message);
      while (this.length > 0 && !this.#hasRoom(size)) this.#count(this.#removeAt(this.#head));
    }
    this.#items.push(message);
    this.#bytes += size;
    this.#steer();
  }

  /** One message fits always: else a large one would never come through. */
  #hasRoom(size: number): boolean {
    const { maxMessages, maxBytes } = this.#limits;
    return this.length === 0 || (this.length < maxMessages && this.#bytes + size <= maxBytes);
  }

  #count(message: M): void {
    this.dropped++;
    this.droppedBytes += message.data.byteLength;
  }

  /**
   * Gives the message to the first who waits for one like it, and does not keep it otherwise; whether somebody took it.
   */
  offer(message: M): boolean {
    if (this.#waiters.length === 0) return false;
    for (const waiter of this.#waiters.slice()) {
      try {
        if (waiter.wants !== undefined && !waiter.wants(message)) continue;
      } catch (error) {
        // It ends that wait, and only that.
        waiter.settle({ error: asError(error) });
        continue;
      }
      waiter.settle({ value: message });
      return true;
    }
    return false;
  }

  /** Holds the flow when full and lets it go when half empty, so that it is not switched for each message. */
  #steer(): void {
    const { maxMessages, maxBytes, overflow } = this.#limits;
    const full = this.length >= maxMessages || this.#bytes >= maxBytes;
    const roomy = this.length <= maxMessages / 2 && this.#bytes <= maxBytes / 2;
    if (!this.#held && full && overflow === 'wait' && !this.#ended) {
      this.#held = true;
      this.#flow.hold(this);
    } else if (this.#held && (roomy || overflow !== 'wait' || this.#ended)) {
      this.#held = false;
      this.#flow.release(this);
    }
  }

  #removeAt(index: number): M {
    const message = this.#items[index] as M;
    this.#bytes -= message.data.byteLength;
    if (index === this.#head) {
      // The place is cleared, so that the message does not live as long as the array; the array is cut now and then.
      this.#items[this.#head++] = undefined as never;
      if (this.#head > 64 && this.#head * 2 > this.#items.length) {
        this.#items = this.#items.slice(this.#head);
        this.#head = 0;
      }
    } else {
      this.#items.splice(index, 1);
    }
    return message;
  }

  /** The oldest message that is wanted, if one waits; a filter that throws is the caller's. */
  take(wants?: (message: M) => boolean): M | undefined {
    let index = this.#head;
    if (wants !== undefined) while (index < this.#items.length && !wants(this.#items[index] as M)) index++;
    if (index >= this.#items.length) return undefined;
    const message = this.#removeAt(index);
    this.#steer();
    return message;
  }

  /** Keeps a message as the oldest one again, whatever the room: it had its place before. */
  putBack(message: M): void {
    if (this.#head > 0) this.#items[--this.#head] = message;
    else this.#items.unshift(message);
    this.#bytes += message.data.byteLength;
    this.#steer();
  }

  /** All that waits. */
  takeAll(): M[] {
    const all = this.#items.slice(this.#head);
    [this.#items, this.#head, this.#bytes] = [[], 0, 0];
    this.#steer();
    return all;
  }

  /**
   * The next message: `undefined` when the time is over, `null` when nothing more will come. Messages are taken in
   * order, and by those who wait in the order in which they came.
   *
   * @throws AbortError; the error that the queue has failed with; what `filter` throws
   */
  async next(wait: Wait<M> = {}, origin?: CallSite): Promise<M | null | undefined> {
    const { timeoutMs, filter, signal } = wait;
    if (signal?.aborted) throw named(abortError(signal), origin);
    const message = this.take(filter);
    if (message !== undefined) return message;
    if (this.#ended) return this.#atEnd();
    if (timeoutMs === 0) return undefined;
    try {
      return await this.#wait(wait, origin);
    } catch (error) {
      throw forWaiter(error);
    }
  }

  #wait({ timeoutMs, filter, signal, owner }: Wait<M>, origin: CallSite | undefined): Promise<M | null | undefined> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const onAbort = () => signal && waiter.settle({ error: named(abortError(signal), origin) });
      const waiter: Waiter<M> = {
        owner,
        wants: filter,
        settle: (outcome) => {
          const index = this.#waiters.indexOf(waiter);
          if (index < 0) return;
          this.#waiters.splice(index, 1);
          clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
          if ('error' in outcome) reject(outcome.error);
          else resolve(outcome.value);
        },
      };
      this.#waiters.push(waiter);
      // The pipe holds the process, not whoever waits for it.
      if (timeoutMs !== undefined && timeoutMs !== Infinity)
        timer = setTimeout(() => waiter.settle({ value: undefined }), timeoutMs).unref();
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  #atEnd(): null {
    if (this.#error !== undefined) throw forWaiter(this.#error);
    const told = this.#onNull;
    this.#onNull = undefined;
    told?.();
    return null;
  }

  /** Nothing more will come. With an error, whoever waits and whoever comes after the last message gets that. */
  end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#steer();
    const waiters = [...this.#waiters];
    for (const waiter of waiters) waiter.settle(error === undefined ? { value: null } : { error });
    if (error === undefined && waiters.length > 0) this.#atEnd();
  }

  /** Ends the waits of an owner with `null`. */
  cancel(owner: object): void {
    for (const waiter of this.#waiters.slice()) if (waiter.owner === owner) waiter.settle({ value: null });
  }

  /** Ends all waits, each with an error of its own. */
  rejectAll(error: () => Error): void {
    for (const waiter of this.#waiters.slice()) waiter.settle({ error: error() });
  }

  /** Tells the first who waits of an error that ends nothing; gives whether somebody was told. */
  reject(error: Error): boolean {
    const waiter = this.#waiters[0];
    waiter?.settle({ error });
    return waiter !== undefined;
  }
}

function named(error: Error, origin: CallSite | undefined): Error {
  return origin === undefined ? error : withStackOf(error, origin);
}
