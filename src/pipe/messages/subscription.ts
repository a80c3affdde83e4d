/** Some of a pipe's messages, in a queue of their own. */
import { inspect } from 'node:util';
import { asError } from '../../errors/errors.ts';
import { callSite } from '../../errors/call-site.ts';
import { SUBSCRIPTION_BYTES, SUBSCRIPTION_MESSAGES } from '../../defaults.ts';
import { asCaller, checkChoice, checkNames, checkNumber } from '../../options/check.ts';
import type { Matcher, Message, MessageText } from './message-filter.ts';
import { iterate } from './message-iterator.ts';
import { MessageQueue, type Overflow, type QueueLimits } from './message-queue.ts';
import { checkReceive, type ReceiveOptions } from './receive-options.ts';

/** How much a subscription holds, and what then. Everything is optional. */
export interface SubscriptionOptions {
  /** Messages that wait at most, 1 to 1,048,576; 1,024 by default. */
  maxMessages?: number | undefined;
  /** Their bytes at most, 1 to 1,073,741,824; 1 MiB by default. A single message is always taken. */
  maxBytes?: number | undefined;
  /**
   * What a full queue does: `drop-newest`, the default, and `drop-oldest` count what they drop; `wait` drops nothing
   * and stops the whole pipe until somebody takes a message.
   */
  overflow?: Overflow | undefined;
}

/** @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` */
export function checkSubscription(options: unknown): QueueLimits {
  const given = checkNames(options, ['maxMessages', 'maxBytes', 'overflow']);
  return {
    maxMessages: checkNumber('maxMessages', given.maxMessages, 1, 2 ** 20, true) ?? SUBSCRIPTION_MESSAGES,
    maxBytes: checkNumber('maxBytes', given.maxBytes, 1, 2 ** 30, true) ?? SUBSCRIPTION_BYTES,
    overflow: checkChoice('overflow', given.overflow, ['drop-newest', 'drop-oldest', 'wait']) ?? 'drop-newest',
  };
}

/**
 * Messages of a pipe that were asked for with {@link Pipe.subscribe}, in a bounded queue of their own: what others
 * receive or leave lying does not change them.
 *
 * @example
 * const replies = pipe.subscribe(/^2\d\d /);
 * const reply = await replies.recv({ timeoutMs: 3000 });
 * replies.unsubscribe();
 */
export class Subscription implements AsyncIterable<Message>, Disposable {
  readonly #matches: Matcher;
  readonly #queue: MessageQueue<Message>;
  readonly #timeoutMs: number | undefined;
  readonly #leave: (subscription: Subscription) => void;

  /** @internal */
  constructor(
    matches: Matcher,
    queue: MessageQueue<Message>,
    timeoutMs: number | undefined,
    leave: (subscription: Subscription) => void,
  ) {
    this.#matches = matches;
    this.#queue = queue;
    this.#timeoutMs = timeoutMs;
    this.#leave = leave;
  }

  /** Messages that wait to be received. */
  get length(): number {
    return this.#queue.length;
  }

  /** Messages that were dropped because the queue was full. */
  get dropped(): number {
    return this.#queue.dropped;
  }

  /** Their bytes. */
  get droppedBytes(): number {
    return this.#queue.droppedBytes;
  }

  /** Whether no more messages come: the pipe has ended, or {@link Subscription.unsubscribe} was called. */
  get ended(): boolean {
    return this.#queue.ended;
  }

  /**
   * The next message: its bytes; `undefined` when nothing came in time; `null` when nothing more will come.
   *
   * @throws AbortError; the error that the pipe has failed with; RoutePoolError `ERR_ROUTEPOOL_OPTION`
   */
  async recv(options?: ReceiveOptions): Promise<Buffer | undefined | null> {
    const message = await this.#next(options, this.recv);
    return message && message.data;
  }

  /** As {@link Subscription.recv}, with the sender. */
  async recvFrom(options?: ReceiveOptions): Promise<Message | undefined | null> {
    // Awaited, and not just returned: so an error's stack goes on to whoever awaits this.
    return await this.#next(options, this.recvFrom);
  }

  #next(
    options: ReceiveOptions | undefined,
    caller: (...args: never[]) => unknown,
  ): Promise<Message | undefined | null> {
    const wait = asCaller(caller, () => checkReceive(options, this.#timeoutMs));
    if (wait.signal === undefined) return this.#queue.next(wait);
    const origin = callSite(caller);
    return this.#queue.next(wait, origin);
  }

  /** Each message, until the pipe ends. Leaving the loop does not end the subscription. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    return iterate(this.#queue, (message) => message);
  }

  /** Each message; leaving the loop ends the subscription. @internal */
  loop(): AsyncIterableIterator<Message> {
    return iterate(
      this.#queue,
      (message) => message,
      () => this.unsubscribe(),
    );
  }

  /** No more messages; those that wait are let go, and whoever waits for one gets `null`. Idempotent. */
  unsubscribe(): void {
    this.#leave(this);
    this.#queue.end();
    this.#queue.takeAll();
  }

  /** Ends it. */
  [Symbol.dispose](): void {
    this.unsubscribe();
  }

  /** A message of the pipe has come. @internal */
  offer(message: Message, text: MessageText): void {
    try {
      if (this.#matches(message, text)) this.#queue.push(message);
    } catch (reason) {
      // A predicate that throws ends this subscription; the other ones and the pipe have nothing to do with it.
      this.#leave(this);
      this.#queue.end(asError(reason));
    }
  }

  /** Nothing more will come. @internal */
  end(error: Error | undefined): void {
    this.#queue.end(error);
  }

  /** An error that ends nothing. @internal */
  reject(error: Error): void {
    this.#queue.reject(error);
  }

  static {
    Object.defineProperty(this.prototype, inspect.custom, {
      value(this: Subscription): string {
        return `Subscription { waiting: ${this.length}, dropped: ${this.dropped}, ended: ${this.ended} }`;
      },
    });
  }
}
