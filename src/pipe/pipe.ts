/** A way to send and receive that leaves by a route. */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { inspect } from 'node:util';
import { BoundRoute } from '../bound-route.ts';
import { RoutePoolError } from '../errors.ts';
import { asCaller, checkBoolean, checkListener, checkNumber, wrong } from '../options.ts';
import type { Route } from '../route.ts';
import type { Channel } from './channel.ts';
import { pipeChannel } from './diagnostics.ts';
import { Endpoint } from './endpoint.ts';
import { Inbox, type EndListener, type MessageListener } from './inbox.ts';
import type { Message, MessagePattern, PeerFilter } from './message-filter.ts';
import { Outgoing } from './outgoing.ts';
import type { CheckedPipeOptions } from './pipe-options.ts';
import { type Protocol, TCP } from './protocol.ts';
import type { ReceiveOptions } from './receive-options.ts';
import { relayPipes, type Relayed } from './relay.ts';
import type { SocketChannel } from './socket-channel.ts';
import { toNetSocket } from './net-socket.ts';
import { PipeStream } from './stream.ts';
import { Subscription, type SubscriptionOptions } from './subscription.ts';
import { isIcmp, NOT_CONNECTED, systemError } from './system-errors.ts';

/** Events of a pipe. */
export interface PipeEvents {
  /** Bytes of a stream, or a datagram, and who sent it. While there is a listener, {@link Pipe.recv} gets nothing. */
  message: [data: Buffer, from: Endpoint];
  /** The peer will send no more. */
  end: [];
  /** Nothing more will happen. Always the last. */
  close: [];
  /**
   * What went wrong. Unlike that of other emitters it may go without a listener: the error is also what `recv`, `send` and
   * iteration reject with. For UDP the pipe goes on after it.
   */
  error: [error: Error];
}

/** What a pipe has done so far. */
export interface PipeCounters {
  /** Bytes that the kernel has taken. */
  readonly bytesSent: number;
  /** Bytes that came from the peer. */
  readonly bytesReceived: number;
  /** Datagrams, or pieces of a stream. */
  readonly messagesReceived: number;
  /** Bytes that wait to be sent. */
  readonly bytesQueued: number;
  /** Messages that were dropped because nobody received them in time: by the pipe, and, where the system tells (Linux), by the kernel. */
  readonly dropped: number;
  /** Datagrams larger than `maxMessage`, which were dropped. */
  readonly oversized: number;
  /** ICMP errors, such as that nobody listens at the peer's port. */
  readonly refused: number;
}

/** Gets all that a pipe receives, in place of `recv` and listeners. @internal */
export interface PipeSink {
  onMessage(data: Buffer, from: Endpoint): void;
  onEnd(): void;
  onClose(error: Error | undefined): void;
}

/** A peer, for UDP pipes that talk to more than one: what `recvFrom` and events give, or an address with a port. */
export type Peer = Endpoint | readonly [address: string, port: number] | { readonly address: string; readonly port: number };

/** What can be sent: text goes as UTF-8. */
export type Data = string | ArrayBufferView | ArrayBuffer;

/**
 * A connection, or a UDP socket, that leaves by a route. {@link pipeOpen} makes one.
 *
 * As Node's own sockets it keeps the process alive while it is open, unless {@link Pipe.unref} is called; a `recv` that waits
 * makes no difference to that.
 *
 * @example
 * const pipe = await pipeOpen(TCP, ['example.net', 80], route);
 * await pipe.send('GET / HTTP/1.0\r\n\r\n');
 * for await (const data of pipe) process.stdout.write(data);
 */
export class Pipe extends EventEmitter<PipeEvents> implements AsyncDisposable, AsyncIterable<Buffer> {
  /** The channel below. @internal */
  readonly channel: Channel;
  readonly #route: Route | undefined;
  readonly #options: PipeSettings;
  readonly #inbox: Inbox;
  readonly #out: Outgoing;
  readonly #isInner: boolean;
  #sink: PipeSink | undefined;
  #late: Message[] | undefined;
  #stream: PipeStream | undefined;
  #relay: Relayed | undefined;
  #forward: MessageListener | undefined;
  #holders: Set<object> | undefined;
  #bytesReceived = 0;
  #messages = 0;
  #oversized = 0;
  #refused = 0;
  #readEnded = false;
  /** Our end was asked for; nothing more can be sent. */
  #ending = false;
  #writeEnded = false;
  #closed = false;
  #error: Error | undefined;
  #onDrained: (() => void)[] = [];
  #closing: Promise<void> | undefined;

  /** @internal `isInner`: the user never sees it, so neither do diagnostics. */
  constructor(channel: Channel, options: PipeSettings, route: Route | BoundRoute | undefined, { isInner = false }: { isInner?: boolean } = {}) {
    super();
    this.channel = channel;
    this.#options = options;
    this.#route = route instanceof BoundRoute ? route.route : route;
    this.#inbox = new Inbox(this, options);
    this.#inbox.onDelivered = () => this.#onDelivered();
    this.#out = new Outgoing(channel, {
      onBroken: (error) => this.#fail(error),
      onRefused: (error) => this.#onRefused(error),
      onDrained: () => this.#drained(),
    });
    channel.attach({
      onMessage: (data, from) => this.#onMessage(data, from),
      onEnd: () => this.#onEnd(),
      onError: (error, syscall) => this.#onError(error, syscall),
      onWritable: () => this.#out.onWritable(),
    });
    this.#isInner = isInner;
    if (!isInner && pipeChannel.hasSubscribers) pipeChannel.publish({ event: 'open', pipe: this });
  }

  /** {@link TCP} or {@link UDP}. */
  get protocol(): Protocol {
    return this.channel.protocol;
  }

  /** The route that it leaves by; undefined where the system chose. */
  get route(): Route | undefined {
    return this.#route;
  }

  /** Local address and port. */
  get local(): Endpoint {
    return this.channel.local;
  }

  /** The local address that it is bound to; `0.0.0.0` or `::` where the system chooses for each datagram. */
  get localAddress(): string {
    return this.channel.local.address;
  }

  /** The local port. */
  get localPort(): number {
    return this.channel.local.port;
  }

  /** The peer; undefined for a UDP pipe that talks to anybody. */
  get remote(): Endpoint | undefined {
    return this.channel.remote;
  }

  /** The peer's address; undefined for a UDP pipe that talks to anybody. */
  get remoteAddress(): string | undefined {
    return this.channel.remote?.address;
  }

  /** The peer's port; undefined for a UDP pipe that talks to anybody. */
  get remotePort(): number | undefined {
    return this.channel.remote?.port;
  }

  /** What the route's address leaves as; undefined while that is not known. */
  get externalAddress(): string | undefined {
    return this.#route?.ext();
  }

  /** Why the socket could not be tied to the route's interface; undefined if it is, or need not be. */
  get interfaceRefused(): string | undefined {
    return this.channel.socket?.interfaceRefused;
  }

  /** Bytes that the kernel took. */
  get bytesSent(): number {
    return this.#out.sent + (this.#relay?.sentBy(this) ?? 0);
  }

  /** Bytes of all messages that were received. */
  get bytesReceived(): number {
    return this.#bytesReceived + (this.#relay?.receivedBy(this) ?? 0);
  }

  /** Bytes that wait to be sent. */
  get sendQueueBytes(): number {
    return this.#out.bytes;
  }

  /** Whether it is closed, by either side or by an error. */
  get closed(): boolean {
    return this.#closed;
  }

  /** What it has done so far. */
  counters(): PipeCounters {
    return {
      bytesSent: this.bytesSent,
      bytesReceived: this.bytesReceived,
      messagesReceived: this.#messages,
      bytesQueued: this.#out.bytes,
      dropped: this.#inbox.dropped + this.channel.kernelDrops(),
      oversized: this.#oversized,
      refused: this.#refused,
    };
  }

  /**
   * Sends. Sends are in order; each settles when the kernel has taken all of it, so awaiting them is the back pressure. Do not
   * change the bytes before that. Text goes as UTF-8.
   *
   * @param to for UDP pipes without a destination of their own: whom to
   * @throws system errors in Node's shape: `send EMSGSIZE`, `write EPIPE`, `send EACCES`; RoutePoolError `ERR_ROUTEPOOL_CLOSED`
   *   after a close, `ERR_ROUTEPOOL_OPTION`
   */
  send(data: Data, to?: Peer): Promise<void> {
    try {
      const bytes = toBytes(data);
      const peer = to === undefined ? undefined : this.#peer(to);
      this.#checkSend(bytes, peer);
      return this.#out.send(bytes, peer, this.send);
    } catch (error) {
      if (error instanceof Error) Error.captureStackTrace(error, this.send);
      return Promise.reject(error);
    }
  }

  /**
   * As {@link Pipe.send} without a promise: `done` is called when the kernel has taken it; gives whether it has been called
   * already. @internal
   */
  sendNow(data: Uint8Array, to: Endpoint | undefined, done: (error?: Error) => void): boolean {
    try {
      this.#checkSend(data, to);
    } catch (error) {
      done(error instanceof Error ? error : undefined);
      return true;
    }
    return this.#out.sendNow(data, to, done);
  }

  #checkSend(data: Uint8Array, to: Endpoint | undefined): void {
    if (this.#closed || this.#ending) throw this.#closedError('send');
    if (this.#late !== undefined || this.#relay !== undefined) throw misuse('the socket of this pipe was handed over: send there');
    if (this.protocol === TCP) return;
    if (to === undefined && this.channel.remote === undefined) wrong('to', 'a peer, since this pipe was opened without a destination,', to);
    if (data.length > this.#options.maxMessage) {
      const size = new RoutePoolError('ERR_ROUTEPOOL_OPTION', `a datagram of ${data.length} bytes is larger than \`maxMessage\`, ${this.#options.maxMessage}`, { option: 'data' });
      throw size;
    }
  }

  #closedError(what: string): Error {
    const after = this.#error === undefined ? '' : `: ${this.#error.message}`;
    const ended = this.#closed ? 'is closed' : 'was ended';
    return new RoutePoolError('ERR_ROUTEPOOL_CLOSED', `cannot ${what}: the pipe to ${this.remote?.toString() ?? 'anybody'} ${ended}${after}`, this.#error === undefined ? {} : { cause: this.#error });
  }

  #peer(to: Peer): Endpoint {
    if (this.protocol === TCP) return wrong('to', 'no peer, since a connection has one,', to);
    if (to instanceof Endpoint) return to;
    if (typeof to !== 'object' || to === null) return wrong('to', "a peer like ['192.0.2.1', 3478], what recvFrom() gives, or nothing,", to);
    const [address, port] = 'address' in to ? [to.address, to.port] : Array.isArray(to) ? (to as [string, number]) : wrong('to', "a peer like ['192.0.2.1', 3478]", to);
    if (typeof address !== 'string') return wrong('to', "a peer like ['192.0.2.1', 3478]", to);
    if (port === 0) return wrong('to', 'a port from 1 to 65535 ', to);
    return Endpoint.of(address, port);
  }

  /**
   * The next message. `undefined`: nothing has come within `timeoutMs`. `null`: nothing will come any more, the peer has ended or
   * the pipe is closed. Of a TCP pipe a message is a piece of the stream, cut anywhere.
   *
   * @throws what ended the pipe (`read ECONNRESET`); for UDP also `recvmsg ECONNREFUSED`, after which the pipe goes on; AbortError
   */
  async recv(options?: ReceiveOptions): Promise<Buffer | undefined | null> {
    const message = await this.#inbox.recv(options, this.recv);
    return message ? message.data : (message as null | undefined);
  }

  /** As {@link Pipe.recv}, with the sender. */
  recvFrom(options?: ReceiveOptions): Promise<Message | undefined | null> {
    return this.#inbox.recv(options, this.recvFrom);
  }

  /** The messages, those like `filter` if it is given, until the end. While its queue is full the pipe stops reading; leaving the loop ends it. */
  messages(filter?: MessagePattern): AsyncIterableIterator<Message> {
    return this.#inbox.messages(filter, this.messages);
  }

  /** The bytes of each message, until the end. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    return this.#inbox.data();
  }

  /**
   * Messages like a pattern, from a peer if one is given, in a queue of their own: see {@link Subscription}. Without arguments
   * all of them.
   */
  subscribe(pattern?: MessagePattern, from?: PeerFilter, options?: SubscriptionOptions): Subscription {
    return this.#inbox.subscribe(pattern, from, options, this.subscribe);
  }

  /** The same as {@link Subscription.unsubscribe}. */
  unsubscribe(subscription: Subscription): void {
    if (!(subscription instanceof Subscription)) wrong('subscription', 'what `subscribe` has given', subscription);
    subscription.unsubscribe();
  }

  /** The function gets each message from now on; those that wait first. */
  addMessageListener(listener: (data: Buffer, from: Endpoint) => void): this {
    checkListener(listener, this.addMessageListener);
    this.#inbox.addMessageListener(listener as MessageListener);
    return this;
  }

  /** Takes a listener of {@link Pipe.addMessageListener} off again; one that is not there is ignored. */
  removeMessageListener(listener: (data: Buffer, from: Endpoint) => void): this {
    this.#inbox.removeMessageListener(listener as MessageListener);
    return this;
  }

  /** The function is called once when nothing more will come, with the error if there was one; soon, if that is so already. */
  addEndListener(listener: EndListener): this {
    checkListener(listener, this.addEndListener);
    this.#inbox.addEndListener(listener);
    return this;
  }

  /** Takes a listener of {@link Pipe.addEndListener} off again; one that is not there is ignored. */
  removeEndListener(listener: EndListener): this {
    this.#inbox.removeEndListener(listener);
    return this;
  }

  /** The function is called once the pipe is open: soon, since `pipeOpen` gives open ones. */
  addUpListener(listener: (pipe: this) => void): this {
    checkListener(listener, this.addUpListener);
    queueMicrotask(() => listener(this));
    return this;
  }

  /** The first listener for `message` turns the pipe's own queue off. */
  #hear(event: unknown): void {
    if (event !== 'message' || this.#forward !== undefined) return;
    const forward: MessageListener = (data, from) => {
      if (this.emit('message', data, from as Endpoint)) return;
      // The last listener has gone: as it was before the first.
      this.#forward = undefined;
      this.#inbox.removeMessageListener(forward);
      this.#inbox.push(data, from);
    };
    this.#forward = forward;
    this.#inbox.addMessageListener(forward);
  }

  /**
   * Sends what this pipe receives to the other's peer, and the other way round, in the addon. Gives the bytes of both directions, when both
   * peers have ended, one pipe has failed or is closed.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_MISUSE` for a pipe that is in use otherwise, `ERR_ROUTEPOOL_CLOSED`; both pipes are then as they were
   */
  async relay(other: Pipe): Promise<{ bytesForward: number; bytesBack: number }> {
    if (!(other instanceof Pipe)) asCaller(this.relay, () => wrong('other', 'a pipe', other));
    if (other === this) throw misuse('a pipe cannot be relayed to itself: name another one');
    return relayPipes(this, other, (relay) => {
      this.#relay = relay;
      other.#relay = relay;
    });
  }

  /** Its bytes as a Duplex, like a `net.Socket`: for `http.Agent`, `tls.connect`, undici and streams. Always the same one. */
  stream(): PipeStream {
    this.#stream ??= new PipeStream(this, { allowHalfOpen: this.#options.allowHalfOpen, highWaterMark: this.#options.highWaterMark });
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

  /** Ends the sending side, after all that was sent before: the peer then gets an end, and may go on sending. TCP only. */
  async end(): Promise<void> {
    if (this.#ending || this.#closed || this.protocol !== TCP) return;
    this.#ending = true;
    await this.#empty();
    if (this.#closed) return;
    const result = this.channel.shutdown();
    // A connection that is gone has no end to send; what became of it is told to whoever receives.
    if (result < 0 && result !== NOT_CONNECTED) this.#fail(systemError(result, 'shutdown', this.remote, this.local));
    this.#writeEnded = true;
    this.#closeIfOver();
  }

  /**
   * Closes it in order: what was sent goes out first, then the peer gets an end. `recv` gives `null` once what had arrived is
   * received. Twice is fine. To close at once: {@link Pipe.destroy}.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#closed) return;
    this.#ending = true;
    this.#inbox.end();
    await this.#empty();
    await this.#finish(undefined, false);
  }

  /** Closes it at once; what waits to be sent is lost. With an error: whoever waits gets it. */
  destroy(error?: Error): this {
    void this.#finish(asError(error), false);
    return this;
  }

  /** As {@link Pipe.destroy}, and the peer of a connection gets a reset (RST) instead of an end. */
  reset(): this {
    void this.#finish(undefined, true);
    return this;
  }

  /** Keeps the process alive while it is open, as from the start. */
  ref(): this {
    this.channel.ref();
    return this;
  }

  /** Lets the process exit while it is open. */
  unref(): this {
    this.channel.unref();
    return this;
  }

  /** Send small pieces at once (`TCP_NODELAY`), or gather them. */
  setNoDelay(on = true): this {
    this.channel.setNoDelay(asCaller(this.setNoDelay, () => checkBoolean('on', on) ?? true));
    return this;
  }

  /** Ask a silent peer whether it is still there (`SO_KEEPALIVE`), after a time without traffic. */
  setKeepAlive(on = false, initialDelayMs = 0): this {
    const [checked, delayMs] = asCaller(this.setKeepAlive, () => [checkBoolean('on', on) ?? false, checkNumber('initialDelayMs', initialDelayMs, 0, 2 ** 31 - 1, false) ?? 0] as const);
    this.channel.setKeepAlive(checked, delayMs);
    return this;
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Protocol and both ends, for logs: `tcp 10.0.0.7:4000 -> 192.0.2.1:80`. */
  override toString(): string {
    return `${this.protocol} ${String(this.local)} -> ${this.remote === undefined ? 'anybody' : String(this.remote)}${this.#closed ? ' (closed)' : ''}`;
  }

  /** Stops reading until this holder, and all others, let go. @internal */
  hold(holder: object): void {
    this.#holders ??= new Set<object>();
    const { size } = this.#holders;
    this.#holders.add(holder);
    if (size === 0 && !this.#closed && this.#late === undefined) this.channel.pause();
  }

  /** @internal */
  release(holder: object): void {
    if (this.#holders?.delete(holder) && this.#holders.size === 0 && !this.#closed && this.#late === undefined) this.channel.resume();
  }

  /** All that comes goes to the sink from now on; what waits, first. @internal */
  addSink(sink: PipeSink): void {
    const waiting = this.#inbox.off();
    this.#sink = sink;
    for (const { data, from } of waiting) sink.onMessage(data, from as Endpoint);
    if (this.#readEnded) sink.onEnd();
    if (this.#closed) queueMicrotask(() => sink.onClose(this.#error));
  }

  /** The native socket, if it can be given away. @internal */
  checkHandOver(what: string): SocketChannel {
    const { socket } = this.channel;
    if (socket === undefined) throw misuse(`this pipe shares its socket with others, so it cannot be ${what}`);
    if (this.#closed || this.#ending) throw this.#closedError(`be ${what}`);
    if (this.#sink !== undefined || this.#late !== undefined) throw misuse(`the bytes of this pipe go to its stream, so it cannot be ${what}`);
    this.#inbox.checkNoSubscriptions();
    return socket;
  }

  /**
   * Gives the native socket away, with what was received and not taken. Nothing can be sent or received here any more.
   * @internal
   */
  async handOver(what: string): Promise<{ channel: SocketChannel; messages: Message[] }> {
    const socket = this.checkHandOver(what);
    const late = this.#inbox.off();
    this.#late = late;
    await this.#empty();
    await socket.detach();
    if (this.#closed) throw this.#closedError(`be ${what}`);
    return { channel: socket, messages: late };
  }

  /** The socket that was given away is closed, or somebody else's. @internal */
  handedOver(error: Error | undefined): void {
    void this.#finish(error, false);
  }

  #onMessage(data: Buffer, from: Endpoint): void {
    this.#bytesReceived += data.length;
    this.#messages++;
    if (this.#sink !== undefined) this.#sink.onMessage(data, from);
    else if (this.#late !== undefined) this.#late.push({ data, from });
    else if (data.length <= this.#options.maxMessage) this.#inbox.push(data, from);
    else this.#oversized++;
  }

  #onEnd(): void {
    this.#readEnded = true;
    this.emit('end');
    if (this.#sink === undefined) this.#inbox.end();
    else this.#sink.onEnd();
    this.#closeIfOver();
  }

  /** The end of the peer was told to whoever receives: our side follows, unless it may go on. */
  #onDelivered(): void {
    if (this.#readEnded && !this.#options.allowHalfOpen) void this.end();
  }

  #onError(error: number | Error, syscall: string): void {
    // The names that Node has for receiving: of a stream, and of datagrams.
    const call = syscall === 'recv' ? (this.protocol === TCP ? 'read' : 'recvmsg') : syscall;
    const made = typeof error === 'number' ? systemError(error, call, this.remote, this.local) : error;
    if (this.protocol === TCP) return this.#fail(made);
    if (typeof error !== 'number' || isIcmp(error)) return this.#onRefused(made);
    if (this.listenerCount('error') > 0) this.emit('error', made);
  }

  #onRefused(error: Error): void {
    this.#refused++;
    this.#inbox.reject(error);
    if (this.listenerCount('error') > 0) this.emit('error', error);
  }

  #fail(error: Error): void {
    void this.#finish(error, false);
  }

  #empty(): Promise<void> {
    if (this.#out.isEmpty || this.#closed) return Promise.resolve();
    return new Promise((resolve) => this.#onDrained.push(resolve));
  }

  #drained(): void {
    const waiting = this.#onDrained;
    this.#onDrained = [];
    for (const each of waiting) each();
  }

  #closeIfOver(): void {
    if (this.#readEnded && this.#writeEnded) void this.#finish(undefined, false);
  }

  /** The end of everything, once. */
  #finish(error: Error | undefined, reset: boolean): void | Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#error = error;
    let closed: void | Promise<void> = undefined;
    if (this.#relay !== undefined) this.#relay.end();
    else if (reset) this.channel.reset();
    else closed = this.channel.close();
    // An error costs more than all the rest of a close.
    if (!this.#out.isEmpty) this.#out.fail(error ?? this.#closedError('send'));
    this.#drained();
    if (error === undefined) this.#inbox.end();
    else this.#inbox.fail(error);
    this.#sink?.onClose(error);
    // Not in `nextTick`: a loop that opens and closes without waiting for anything would never get there.
    queueMicrotask(() => {
      if (error !== undefined && this.listenerCount('error') > 0) this.emit('error', error);
      this.emit('close');
      if (!this.#isInner && pipeChannel.hasSubscribers) pipeChannel.publish({ event: 'close', pipe: this, error });
    });
    return closed;
  }

  static {
    // Not overridden, so that the types of the events stay those of EventEmitter.
    for (const name of ['on', 'addListener', 'prependListener'] as const) {
      const add = EventEmitter.prototype[name];
      const value = function (this: Pipe, event: string, listener: () => void): Pipe {
        this.#hear(event);
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

/** What a pipe needs of its options. @internal */
export type PipeSettings = Pick<CheckedPipeOptions, 'highWaterMark' | 'recvTimeoutMs' | 'maxMessage' | 'allowHalfOpen'>;

/** What was thrown somewhere need not be an Error; a pipe is closed with it all the same. */
function asError(error: unknown): Error | undefined {
  if (error === undefined || error === null || error instanceof Error) return error ?? undefined;
  return new RoutePoolError('ERR_ROUTEPOOL_CLOSED', `the pipe was destroyed with ${inspect(error, { depth: 0 })}`, { cause: error });
}

function misuse(message: string): RoutePoolError {
  return new RoutePoolError('ERR_ROUTEPOOL_MISUSE', message);
}

function toBytes(data: Data): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (typeof data === 'string') return Buffer.from(data);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return wrong('data', 'text or bytes', data);
}
