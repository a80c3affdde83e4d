/** What a pipe has received: its own queue, and the subscriptions. */
import { misuse, RoutePoolError } from '../../errors/errors.ts';
import { OWN_QUEUE_MESSAGES } from '../../defaults.ts';
import { callSite } from '../../errors/call-site.ts';
import { asCaller } from '../../options/check.ts';
import {
  matcher,
  MessageText,
  type Message,
  type MessagePattern,
  type PeerFilter,
  type Sender,
} from './message-filter.ts';
import { iterate } from './message-iterator.ts';
import { MessageQueue } from './message-queue.ts';
import { checkReceive, type ReceiveOptions } from './receive-options.ts';
import { checkSubscription, Subscription, type SubscriptionOptions } from './subscription.ts';

/** Stops the messages and lets them come again, for one of several who may ask for that. */
export interface Flow {
  hold(holder: object): void;
  release(holder: object): void;
}

/** How much is kept, and how long is waited. */
export interface InboxLimits {
  /** Bytes in the pipe's own queue beyond which reading stops. */
  readonly highWaterMark: number;
  /** How long {@link Inbox.recv} waits where the call does not say; without it there is no limit. */
  readonly recvTimeoutMs?: number | undefined;
}

type Caller = (...args: never[]) => unknown;
/**
 * What a listener gives that has nobody left to tell: it is taken off, and the message is as if it had not been there.
 */
export const UNHEARD: unique symbol = Symbol('unheard');
/** Gets each message from when it is added. What it gives means nothing, but for {@link UNHEARD}. */
export type MessageListener = (data: Buffer, from: Sender) => unknown;
/** Is called once nothing more will come, with the error if there was one. */
export type EndListener = (error: Error | undefined) => void;

/**
 * Of all inboxes that nobody has subscribed to: a set of its own would be a tenth of an inbox. Nothing is ever added.
 */
const NO_SUBSCRIPTIONS: Set<Subscription> = new Set<Subscription>();

/**
 * Messages on their way from a pipe to whoever takes them. Pure: whoever owns it pushes messages in and is asked to
 * hold them.
 *
 * A message goes to each subscription that it matches, to each listener, and, while there is no listener, to the pipe's
 * own queue, from which {@link Inbox.recv} takes. While nobody has subscribed, a full own queue stops the pipe, so
 * nothing is lost. With subscriptions it counts what it drops instead: else a queue that nobody takes from would starve
 * the subscribers.
 */
export class Inbox {
  readonly #flow: Flow;
  readonly #own: MessageQueue<Message>;
  readonly #timeoutMs: number | undefined;
  #subscriptions: Set<Subscription> = NO_SUBSCRIPTIONS;
  /** Never changed but replaced, so that a listener may add and remove others. */
  #listeners: readonly MessageListener[] = [];
  #endListeners: readonly EndListener[] = [];
  /** The one who gets everything, where there is only one: no object is made for a message then. */
  #only: MessageListener | undefined;
  /** Whether messages that waited are on their way to a new listener; later ones queue up behind them. */
  #flushing = false;
  #taken = false;
  #ended = false;
  #error: Error | undefined;
  #isDelivered = false;
  /** Called once, when the end has been told to somebody after the last message. */
  onDelivered: (() => void) | undefined;

  constructor(flow: Flow, limits: InboxLimits) {
    this.#flow = flow;
    this.#timeoutMs = limits.recvTimeoutMs;
    this.#own = new MessageQueue<Message>(
      { maxMessages: OWN_QUEUE_MESSAGES, maxBytes: limits.highWaterMark, overflow: 'wait' },
      flow,
    );
    this.#own.onEndTold(() => this.#delivered());
  }

  /** Messages that the own queue had to drop. */
  get dropped(): number {
    return this.#own.dropped;
  }

  /** Bytes that wait in the own queue. */
  get waitingBytes(): number {
    return this.#own.bytes;
  }

  /** A message has come. What a listener throws is thrown. */
  push(data: Buffer, from: Sender): void {
    const only = this.#only;
    if (only !== undefined && !this.#own.isAwaited) {
      if (only(data, from) !== UNHEARD) return;
      this.removeMessageListener(only);
    }
    if (this.#ended) return;
    const message = { data, from };
    if (this.#subscriptions.size > 0) {
      const text = new MessageText(data);
      for (const subscription of this.#subscriptions) subscription.offer(message, text);
    }
    if (this.#flushing || (this.#listeners.length === 0 && !this.#taken)) return this.#own.push(message);
    // While there are listeners nothing is kept, but who waits already gets it too.
    const isTaken = this.#own.offer(message);
    if (!this.#tell(message) && !isTaken && !this.#taken) this.#own.push(message);
  }

  /** Gives a message to the listeners; whether one of them has heard it. */
  #tell(message: Message): boolean {
    let isHeard = false;
    for (const listener of this.#listeners) {
      if (listener(message.data, message.from) === UNHEARD) this.removeMessageListener(listener);
      else isHeard = true;
    }
    return isHeard;
  }

  #choose(): void {
    const [first, second] = this.#listeners;
    const alone = second === undefined && this.#subscriptions.size === 0 && !this.#flushing && !this.#ended;
    this.#only = alone ? first : undefined;
  }

  /**
   * From now on this function gets each message, and the own queue none. What waits there it gets before anything else,
   * but not before this call has returned.
   */
  addMessageListener(listener: MessageListener): void {
    this.#checkFree();
    this.#listeners = [...this.#listeners, listener];
    if (this.#own.length > 0 && !this.#flushing) {
      this.#flushing = true;
      queueMicrotask(() => this.#flush());
    }
    this.#choose();
    if (this.#ended && !this.#flushing) this.#delivered();
  }

  #flush(): void {
    while (this.#flushing && this.#listeners.length > 0) {
      const message = this.#own.take();
      if (message === undefined) break;
      try {
        if (!this.#tell(message) && !this.#own.offer(message)) this.#own.putBack(message);
      } catch (error) {
        // What a listener throws goes to `uncaughtException`, as an event's does; if the process goes on, so does this.
        queueMicrotask(() => this.#flush());
        throw error;
      }
    }
    // Without a listener any more, what is left waits as before.
    this.#flushing = false;
    this.#choose();
    if (this.#ended && this.#listeners.length > 0) this.#delivered();
  }

  /** The function gets no more messages. */
  removeMessageListener(listener: MessageListener): void {
    const index = this.#listeners.lastIndexOf(listener);
    if (index >= 0) this.#listeners = this.#listeners.toSpliced(index, 1);
    this.#choose();
  }

  /** Calls back once nothing more will come; soon, if that is so already. */
  addEndListener(listener: EndListener): void {
    if (this.#ended) queueMicrotask(() => listener(this.#error));
    else this.#endListeners = [...this.#endListeners, listener];
  }

  /** Forgets it. */
  removeEndListener(listener: EndListener): void {
    const index = this.#endListeners.lastIndexOf(listener);
    if (index >= 0) this.#endListeners = this.#endListeners.toSpliced(index, 1);
  }

  /** Nothing more will come; what waits can still be received. */
  end(): void {
    this.#finish(undefined);
  }

  /** The pipe has failed: whoever waits, or comes after the last message, gets the error. */
  fail(error: Error): void {
    this.#finish(error);
  }

  #finish(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#choose();
    this.#own.end(error);
    for (const subscription of this.#subscriptions) subscription.end(error);
    this.#subscriptions.clear();
    const listeners = this.#endListeners;
    this.#endListeners = [];
    const isTold = !this.#flushing && (this.#listeners.length > 0 || (listeners.length > 0 && this.#own.length === 0));
    // What one throws goes to `uncaughtException`; the others are told all the same, and the pipe comes to its end.
    for (const listener of listeners) tellEnd(listener, error);
    if (isTold) this.#delivered();
  }

  #delivered(): void {
    if (this.#isDelivered) return;
    this.#isDelivered = true;
    this.onDelivered?.();
  }

  /** An error that ends nothing (an ICMP message for UDP): the first who waits in each queue gets it. */
  reject(error: Error): void {
    this.#own.reject(error);
    for (const subscription of this.#subscriptions) subscription.reject(error);
  }

  /**
   * A stream or a relay takes all bytes from now on. Gives what waits; receiving is misuse from then on, and fails for
   * those who wait already: they would wait for ever.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_MISUSE` while there are subscriptions
   */
  off(): Message[] {
    this.checkNoSubscriptions();
    this.#taken = true;
    this.#own.rejectAll(taken);
    return this.#own.takeAll();
  }

  /** @throws RoutePoolError `ERR_ROUTEPOOL_MISUSE` while there are subscriptions */
  checkNoSubscriptions(): void {
    if (this.#subscriptions.size > 0)
      throw misuse('this pipe has subscriptions: unsubscribe them before its bytes go to a stream or a relay');
  }

  /** The next message of the own queue; see {@link Subscription.recvFrom}. `caller` is left out of stacks. */
  async recv(options: ReceiveOptions | undefined, caller: Caller): Promise<Message | undefined | null> {
    this.#checkFree();
    // Awaited, and not just returned: so an error's stack goes on to whoever awaits this.
    if (options === undefined) return await this.#own.next({ timeoutMs: this.#timeoutMs });
    const wait = asCaller(caller, () => checkReceive(options, this.#timeoutMs));
    if (wait.signal === undefined) return await this.#own.next(wait);
    const origin = callSite(caller);
    return await this.#own.next(wait, origin);
  }

  /**
   * Each message of the own queue. With a filter: each message like that, in a subscription that stops the pipe when it
   * is full, and that ends with the loop.
   */
  messages(filter: MessagePattern | undefined, caller: Caller): AsyncIterableIterator<Message> {
    this.#checkFree();
    if (filter === undefined) return iterate(this.#own, (message) => message);
    return this.subscribe(filter, undefined, { overflow: 'wait' }, caller).loop();
  }

  /** The bytes of each message of the own queue. */
  data(): AsyncIterableIterator<Buffer> {
    this.#checkFree();
    return iterate(this.#own, (message) => message.data);
  }

  /** Subscribes; what waits in the own queue and matches is there already. */
  subscribe(
    pattern: MessagePattern | undefined,
    from: PeerFilter | undefined,
    options: SubscriptionOptions | undefined,
    caller: Caller,
  ): Subscription {
    this.#checkFree();
    const [matches, limits] = asCaller(
      caller,
      () => [matcher(pattern, from), checkSubscription(options === undefined ? {} : options)] as const,
    );
    const subscription = new Subscription(
      matches,
      new MessageQueue<Message>(limits, this.#flow),
      this.#timeoutMs,
      (left) => this.#leave(left),
    );
    if (this.#subscriptions === NO_SUBSCRIPTIONS) this.#subscriptions = new Set<Subscription>();
    this.#subscriptions.add(subscription);
    this.#own.setOverflow('drop-newest');
    for (const message of this.#own.waiting()) subscription.offer(message, new MessageText(message.data));
    if (this.#ended) {
      subscription.end(this.#error);
      this.#leave(subscription);
    }
    this.#choose();
    return subscription;
  }

  #leave(subscription: Subscription): void {
    this.#subscriptions.delete(subscription);
    if (this.#subscriptions.size === 0) this.#own.setOverflow('wait');
    this.#choose();
  }

  #checkFree(): void {
    if (this.#taken) throw taken();
  }
}

function tellEnd(listener: EndListener, error: Error | undefined): void {
  try {
    listener(error);
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown;
    });
  }
}

function taken(): RoutePoolError {
  return misuse('the bytes of this pipe go to its stream or its relay: receive them there');
}
