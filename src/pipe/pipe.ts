/** A way to send and receive that leaves by a route. */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { inspect } from 'node:util';
import { asCaller, checkBoolean, checkListener, checkNumber, wrong } from '../options/check.ts';
import type { Route } from '../routes/route.ts';
import type { Channel } from './sockets/channel.ts';
import type { Endpoint } from '../address/endpoint.ts';
import type { EndListener, MessageListener } from './messages/inbox.ts';
import type { Message, MessagePattern, PeerFilter } from './messages/message-filter.ts';
import { toNetSocket } from './net-socket.ts';
import { misuse } from '../errors/errors.ts';
import { PipeCore, type PipeCounters, type PipeSink } from './pipe-core.ts';
import { destroyReason, type PipeData, type PipePeer, toBytes, toPeer } from './pipe-input.ts';
import type { PipeSettings } from './pipe-options.ts';
import type { Protocol } from './protocol.ts';
import type { ReceiveOptions } from './messages/receive-options.ts';
import { relayPipes } from './relay.ts';
import { PipeStream } from './stream.ts';
import { Subscription, type SubscriptionOptions } from './messages/subscription.ts';

/** Events of a pipe. */
export interface PipeEvents {
  /** Bytes of a stream, or a datagram, and who sent it. While there is a listener, {@link Pipe.recv} gets nothing. */
  message: [data: Buffer, from: Endpoint];
  /** The peer will send no more. */
  end: [];
  /** Nothing more will happen. Always the last. */
  close: [];
  /**
   * What went wrong. Unlike that of other emitters it may go without a listener: the error is also what `recv`, `send`
   * and iteration reject with. For UDP the pipe goes on after it.
   */
  error: [error: Error];
}

/**
 * A connection, or a UDP socket, that leaves by a route. {@link pipeOpen} makes one.
 *
 * As Node's own sockets it keeps the process alive while it is open, unless {@link Pipe.unref} is called; a `recv` that
 * waits makes no difference to that.
 *
 * @example
 * const pipe = await pipeOpen(TCP, ['example.net', 80], route);
 * await pipe.send('GET / HTTP/1.0\r\n\r\n');
 * for await (const data of pipe) process.stdout.write(data);
 */
export class Pipe extends EventEmitter<PipeEvents> implements AsyncDisposable, AsyncIterable<Buffer> {
  /** What happens in it. @internal */
  readonly core: PipeCore;
  readonly #route: Route | undefined;
  #stream: PipeStream | undefined;

  /** @internal */
  constructor(channel: Channel, settings: PipeSettings, route: Route | undefined, isInner = false) {
    super();
    this.#route = route;
    this.core = new PipeCore(this, channel, settings, isInner);
  }

  /** {@link TCP} or {@link UDP}. */
  get protocol(): Protocol {
    return this.core.channel.protocol;
  }

  /** The route that it leaves by; undefined where the system chose. */
  get route(): Route | undefined {
    return this.#route;
  }

  /** Local address and port. */
  get local(): Endpoint {
    return this.core.channel.local;
  }

  /** The local address that it is bound to; `0.0.0.0` or `::` where the system chooses for each datagram. */
  get localAddress(): string {
    return this.core.channel.local.address;
  }

  /** The local port. */
  get localPort(): number {
    return this.core.channel.local.port;
  }

  /** The peer; undefined for a UDP pipe that talks to anybody. */
  get remote(): Endpoint | undefined {
    return this.core.channel.remote;
  }

  /** The peer's address; undefined for a UDP pipe that talks to anybody. */
  get remoteAddress(): string | undefined {
    return this.core.channel.remote?.address;
  }

  /** The peer's port; undefined for a UDP pipe that talks to anybody. */
  get remotePort(): number | undefined {
    return this.core.channel.remote?.port;
  }

  /** What the route's address leaves as; undefined while that is not known. */
  get externalAddress(): string | undefined {
    return this.#route?.ext();
  }

  /** Why the socket could not be bound to the route's interface; undefined if it is, or need not be. */
  get interfaceBindError(): string | undefined {
    return this.core.channel.socket?.interfaceBindError;
  }

  /** Bytes that the kernel took. */
  get bytesSent(): number {
    return this.core.bytesSent;
  }

  /** Bytes of all messages that were received. */
  get bytesReceived(): number {
    return this.core.bytesReceived;
  }

  /** Bytes that wait to be sent. */
  get sendQueueBytes(): number {
    return this.core.bytesQueued;
  }

  /** Whether it is closed, by either side or by an error. */
  get closed(): boolean {
    return this.core.closed;
  }

  /** What it has done so far. */
  counters(): PipeCounters {
    return this.core.counters();
  }

  /**
   * Sends. Sends are in order; each settles when the kernel has taken all of it, so awaiting them is the back pressure.
   * Do not change the bytes before that. Text goes as UTF-8.
   *
   * @param to for UDP pipes without a destination of their own: whom to
   * @throws system errors in Node's shape: `send EMSGSIZE`, `write EPIPE`, `send EACCES`; RoutePoolError
   *   `ERR_ROUTEPOOL_CLOSED` after a close, `ERR_ROUTEPOOL_OPTION`
   */
  send(data: PipeData, to?: PipePeer): Promise<void> {
    try {
      const bytes = toBytes(data);
      const peer = to === undefined ? undefined : toPeer(to, this.core.channel.protocol);
      return this.core.send(bytes, peer, this.send);
    } catch (error) {
      if (error instanceof Error) Error.captureStackTrace(error, this.send);
      return Promise.reject(error);
    }
  }

  /**
   * As {@link Pipe.send} without a promise: `done` is called when the kernel has taken it; gives whether it has been
   * called already. @internal
   */
  sendNow(data: Uint8Array, to: Endpoint | undefined, done: (error?: Error) => void): boolean {
    return this.core.sendNow(data, to, done);
  }

  /**
   * The next message. `undefined`: nothing has come within `timeoutMs`. `null`: nothing will come any more, the peer
   * has ended or the pipe is closed. Of a TCP pipe a message is a piece of the stream, cut anywhere.
   *
   * @throws what ended the pipe (`read ECONNRESET`); for UDP also `recvmsg ECONNREFUSED`, after which the pipe goes on;
   *   AbortError
   */
  async recv(options?: ReceiveOptions): Promise<Buffer | undefined | null> {
    const message = await this.core.inbox.recv(options, this.recv);
    return message ? message.data : (message as null | undefined);
  }

  /** As {@link Pipe.recv}, with the sender. */
  recvFrom(options?: ReceiveOptions): Promise<Message | undefined | null> {
    return this.core.inbox.recv(options, this.recvFrom);
  }

  /**
   * The messages, those like `filter` if it is given, until the end. While its queue is full the pipe stops reading;
   * leaving the loop ends it.
   */
  messages(filter?: MessagePattern): AsyncIterableIterator<Message> {
    return this.core.inbox.messages(filter, this.messages);
  }

  /** The bytes of each message, until the end. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    return this.core.inbox.data();
  }

  /**
   * Messages like a pattern, from a peer if one is given, in a queue of their own: see {@link Subscription}. Without
   * arguments all of them.
   */
  subscribe(pattern?: MessagePattern, from?: PeerFilter, options?: SubscriptionOptions): Subscription {
    return this.core.inbox.subscribe(pattern, from, options, this.subscribe);
  }

  /** The same as {@link Subscription.unsubscribe}. */
  unsubscribe(subscription: Subscription): void {
    if (!(subscription instanceof Subscription)) wrong('subscription', 'what `subscribe` has given', subscription);
    subscription.unsubscribe();
  }

  /** The function gets each message from now on; those that wait first. */
  addMessageListener(listener: (data: Buffer, from: Endpoint) => void): this {
    checkListener(listener, this.addMessageListener);
    this.core.inbox.addMessageListener(listener as MessageListener);
    return this;
  }

  /** Takes a listener of {@link Pipe.addMessageListener} off again; one that is not there is ignored. */
  removeMessageListener(listener: (data: Buffer, from: Endpoint) => void): this {
    this.core.usedInbox?.removeMessageListener(listener as MessageListener);
    return this;
  }

  /**
   * The function is called once when nothing more will come, with the error if there was one; soon, if that is so
   * already.
   */
  addEndListener(listener: EndListener): this {
    checkListener(listener, this.addEndListener);
    this.core.inbox.addEndListener(listener);
    return this;
  }

  /** Takes a listener of {@link Pipe.addEndListener} off again; one that is not there is ignored. */
  removeEndListener(listener: EndListener): this {
    this.core.usedInbox?.removeEndListener(listener);
    return this;
  }

  /** The function is called once the pipe is open: soon, since `pipeOpen` gives open ones. */
  addUpListener(listener: (pipe: this) => void): this {
    checkListener(listener, this.addUpListener);
    queueMicrotask(() => listener(this));
    return this;
  }

  /**
   * Sends what this pipe receives to the other's peer, and the other way round, in the addon. Gives the bytes of both
   * directions, when both peers have ended, one pipe has failed or is closed.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_MISUSE` for a pipe that is in use otherwise, `ERR_ROUTEPOOL_CLOSED`; both
   *   pipes are then as they were
   */
  async relay(other: Pipe): Promise<{ bytesForward: number; bytesBack: number }> {
    if (!(other instanceof Pipe)) asCaller(this.relay, () => wrong('other', 'a pipe', other));
    if (other === this) throw misuse('a pipe cannot be relayed to itself: name another one');
    return relayPipes(this, other, (relay) => {
      this.core.setRelay(relay);
      other.core.setRelay(relay);
    });
  }

  /**
   * Its bytes as a Duplex, like a `net.Socket`: for `http.Agent`, `tls.connect`, undici and streams. Always the same
   * one.
   */
  stream(): PipeStream {
    this.#stream ??= new PipeStream(this, this.core.settings);
    return this.#stream;
  }

  /**
   * A `net.Socket` with the descriptor of this pipe, which is closed to all else then. TCP, and not on Windows.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_MISUSE` where that cannot be
   */
  socket(): Promise<Socket> {
    return toNetSocket(this);
  }

  /**
   * Ends the sending side, after all that was sent before: the peer then gets an end, and may go on sending. TCP only.
   */
  end(): Promise<void> {
    return this.core.end();
  }

  /**
   * Closes it in order: what was sent goes out first, then the peer gets an end. `recv` gives `null` once what had
   * arrived is received. Idempotent. To close at once: {@link Pipe.destroy}.
   */
  close(): Promise<void> {
    return this.core.close();
  }

  /** Closes it at once; what waits to be sent is lost. With an error: whoever waits gets it. */
  destroy(error?: Error): this {
    void this.core.finish(destroyReason(error), false);
    return this;
  }

  /** As {@link Pipe.destroy}, and the peer of a connection gets a reset (RST) instead of an end. */
  reset(): this {
    void this.core.finish(undefined, true);
    return this;
  }

  /** Keeps the process alive while it is open, as from the start. */
  ref(): this {
    this.core.channel.ref();
    return this;
  }

  /** Lets the process exit while it is open. */
  unref(): this {
    this.core.channel.unref();
    return this;
  }

  /** Send small pieces at once (`TCP_NODELAY`), or gather them. */
  setNoDelay(on = true): this {
    this.core.channel.setNoDelay(asCaller(this.setNoDelay, () => checkBoolean('on', on) ?? true));
    return this;
  }

  /** Ask a silent peer whether it is still there (`SO_KEEPALIVE`), after a time without traffic. */
  setKeepAlive(on = false, initialDelayMs = 0): this {
    const [checked, delayMs] = asCaller(
      this.setKeepAlive,
      () =>
        [
          checkBoolean('on', on) ?? false,
          checkNumber('initialDelayMs', initialDelayMs, 0, 2 ** 31 - 1, false) ?? 0,
        ] as const,
    );
    this.core.channel.setKeepAlive(checked, delayMs);
    return this;
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Protocol and both ends, for logs: `tcp 10.0.0.7:4000 -> 192.0.2.1:80`. */
  override toString(): string {
    return `${this.protocol} ${String(this.local)} -> ${this.remote === undefined ? 'anybody' : String(this.remote)}${this.closed ? ' (closed)' : ''}`;
  }

  /** Stops reading until this holder, and all others, let go. @internal */
  hold(holder: object): void {
    this.core.hold(holder);
  }

  /** @internal */
  release(holder: object): void {
    this.core.release(holder);
  }

  /** All that comes goes to the sink from now on; what waits, first. @internal */
  addSink(sink: PipeSink): void {
    this.core.addSink(sink);
  }

  static {
    // Not overridden, so that the types of the events stay those of EventEmitter.
    for (const name of ['on', 'addListener', 'prependListener'] as const) {
      const add = EventEmitter.prototype[name];
      const value = function (this: Pipe, event: string, listener: () => void): Pipe {
        if (event === 'message') this.core.hear();
        return add.call(this, event, listener) as Pipe;
      };
      Object.defineProperty(this.prototype, name, { value, configurable: true, writable: true });
    }
    Object.defineProperty(this.prototype, inspect.custom, {
      value(this: Pipe): string {
        return `Pipe ${String(this)}`;
      },
    });
  }
}
