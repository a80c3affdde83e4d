/**
 * What happens in a pipe: from its channel to whoever receives, from whoever sends to its channel, and the end of both.
 */
import { misuse, RoutePoolError } from '../errors/errors.ts';
import { wrong } from '../options/check.ts';
import type { Channel, ChannelEvents } from './sockets/channel.ts';
import { pipeChannel } from '../diagnostics.ts';
import type { Endpoint } from '../address/endpoint.ts';
import { type Flow, Inbox, UNHEARD } from './messages/inbox.ts';
import type { Message } from './messages/message-filter.ts';
import { Outgoing, type OutgoingEvents } from './messages/outgoing.ts';
import type { Pipe } from './pipe.ts';
import type { PipeSettings } from './pipe-options.ts';
import { TCP } from './protocol.ts';
import type { Relayed } from './relay.ts';
import type { SocketChannel } from './sockets/socket-channel.ts';
import { isIcmp, NOT_CONNECTED, systemError } from './system-errors.ts';

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
  /**
   * Messages that were dropped because nobody received them in time: by the pipe, and, where the system tells (Linux),
   * by the kernel.
   */
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

/** Nothing had to be waited for. */
const DONE: Promise<void> = Promise.resolve();

/**
 * The works of a {@link Pipe}, which is what users see of it.
 *
 * Pools open pipes by the ten thousand, and most do one thing: what only some need (the inbox, what waits to be sent)
 * is made when it is first used, and the core itself is what its channel, its inbox and its queue report to, in place
 * of a closure for each report.
 *
 * @internal
 */
export class PipeCore implements ChannelEvents, Flow, OutgoingEvents {
  readonly pipe: Pipe;
  readonly channel: Channel;
  readonly settings: PipeSettings;
  #inbox: Inbox | undefined;
  #out: Outgoing | undefined;
  #sink: PipeSink | undefined;
  /** What came after the socket was given away; there is one from then on. */
  #late: Message[] | undefined;
  #relay: Relayed | undefined;
  #holders: Set<object> | undefined;
  #onDrained: (() => void)[] | undefined;
  #closing: Promise<void> | undefined;
  /** Why the pipe is closed, where that is an error. */
  #error: Error | undefined;
  /** Nothing more is received: null in order, else why. */
  #over: Error | null | undefined;
  #bytesReceived = 0;
  #messages = 0;
  #oversized = 0;
  #refused = 0;
  /** Whether there are listeners for the event `message`. */
  #isHeard = false;
  #readEnded = false;
  /** Our end was asked for; nothing more can be sent. */
  #ending = false;
  #writeEnded = false;
  #closed = false;
  readonly #isInner: boolean;

  /** `isInner`: the user never sees it, so neither do diagnostics. */
  constructor(pipe: Pipe, channel: Channel, settings: PipeSettings, isInner: boolean) {
    this.pipe = pipe;
    this.channel = channel;
    this.settings = settings;
    this.#isInner = isInner;
    channel.attach(this);
    if (!isInner && pipeChannel.hasSubscribers) pipeChannel.publish({ event: 'open', pipe });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Bytes that the kernel took. */
  get bytesSent(): number {
    return (this.#out?.sent ?? 0) + (this.#relay?.sentBy(this.pipe) ?? 0);
  }

  get bytesReceived(): number {
    return this.#bytesReceived + (this.#relay?.receivedBy(this.pipe) ?? 0);
  }

  /** Bytes that wait to be sent. */
  get bytesQueued(): number {
    return this.#out?.bytes ?? 0;
  }

  counters(): PipeCounters {
    return {
      bytesSent: this.bytesSent,
      bytesReceived: this.bytesReceived,
      messagesReceived: this.#messages,
      bytesQueued: this.bytesQueued,
      dropped: (this.#inbox?.dropped ?? 0) + this.channel.kernelDrops(),
      oversized: this.#oversized,
      refused: this.#refused,
    };
  }

  // Sending

  /** Settles when the kernel has taken all of it. `caller` is left out of an error's stack. */
  send(data: Uint8Array, to: Endpoint | undefined, caller: (...args: never[]) => unknown): Promise<void> {
    this.#checkSend(data, to);
    return (this.#out ??= new Outgoing(this.channel, this)).send(data, to, caller);
  }

  /** As {@link PipeCore.send} without a promise: gives whether `done` has been called already. */
  sendNow(data: Uint8Array, to: Endpoint | undefined, done: (error?: Error) => void): boolean {
    try {
      this.#checkSend(data, to);
    } catch (error) {
      done(error instanceof Error ? error : undefined);
      return true;
    }
    return (this.#out ??= new Outgoing(this.channel, this)).sendNow(data, to, done);
  }

  #checkSend(data: Uint8Array, to: Endpoint | undefined): void {
    if (this.#closed || this.#ending) throw this.#closedError('send');
    if (this.#late !== undefined || this.#relay !== undefined)
      throw misuse('the socket of this pipe was handed over: send there');
    const { channel, settings } = this;
    if (channel.protocol === TCP) return;
    if (to === undefined && channel.remote === undefined)
      wrong('to', 'a peer, since this pipe was opened without a destination,', to);
    if (data.length > settings.maxMessage) {
      throw new RoutePoolError(
        'ERR_ROUTEPOOL_OPTION',
        `a datagram of ${data.length} bytes is larger than \`maxMessage\`, ${settings.maxMessage}`,
        { option: 'data' },
      );
    }
  }

  #closedError(what: string): Error {
    const error = this.#error;
    const after = error === undefined ? '' : `: ${error.message}`;
    const ended = this.#closed ? 'is closed' : 'was ended';
    return new RoutePoolError(
      'ERR_ROUTEPOOL_CLOSED',
      `cannot ${what}: the pipe to ${this.channel.remote?.toString() ?? 'anybody'} ${ended}${after}`,
      error === undefined ? {} : { cause: error },
    );
  }

  get #isEmpty(): boolean {
    return this.#out === undefined || this.#out.isEmpty;
  }

  /** Once nothing waits to be sent. */
  #empty(): Promise<void> {
    if (this.#isEmpty || this.#closed) return DONE;
    return new Promise((resolve) => (this.#onDrained ??= []).push(resolve));
  }

  onDrained(): void {
    const waiting = this.#onDrained;
    this.#onDrained = undefined;
    if (waiting !== undefined) for (const each of waiting) each();
  }

  onWritable(): void {
    this.#out?.onWritable();
  }

  onBroken(error: Error): void {
    void this.finish(error, false);
  }

  // Receiving

  /** Where messages wait and are handed out. */
  get inbox(): Inbox {
    return (this.#inbox ??= this.#makeInbox());
  }

  /** The inbox if somebody has used it. */
  get usedInbox(): Inbox | undefined {
    return this.#inbox;
  }

  /** As it would be by now, had it been there from the start. */
  #makeInbox(): Inbox {
    const inbox = new Inbox(this, this.settings);
    inbox.onDelivered = () => this.#onDelivered();
    this.#isHeard &&= this.pipe.listenerCount('message') > 0;
    if (this.#isHeard) this.#hearFrom(inbox);
    if (this.#over === null) inbox.end();
    else if (this.#over !== undefined) inbox.fail(this.#over);
    if (this.#sink !== undefined || this.#late !== undefined) inbox.off();
    return inbox;
  }

  /** The first listener for `message` turns the pipe's own queue off. */
  hear(): void {
    if (this.#isHeard) return;
    const isTaken = this.#sink !== undefined || this.#late !== undefined;
    if (isTaken || this.#inbox !== undefined) this.#hearFrom(this.inbox);
    this.#isHeard = true;
    if (this.#inbox === undefined && this.#over !== undefined) this.#onDelivered();
  }

  #hearFrom(inbox: Inbox): void {
    inbox.addMessageListener((data, from) => {
      if (this.pipe.emit('message', data, from as Endpoint)) return undefined;
      // The last listener has gone: as it was before the first.
      this.#isHeard = false;
      return UNHEARD;
    });
  }

  onMessage(data: Buffer, from: Endpoint): void {
    this.#bytesReceived += data.length;
    this.#messages++;
    if (this.#sink !== undefined) return this.#sink.onMessage(data, from);
    if (this.#late !== undefined) return void this.#late.push({ data, from });
    if (data.length > this.settings.maxMessage) return void this.#oversized++;
    if (this.#over !== undefined) return;
    if (this.#isHeard && this.#inbox === undefined) {
      if (this.pipe.emit('message', data, from)) return;
      this.#isHeard = false;
    }
    this.inbox.push(data, from);
  }

  onEnd(): void {
    this.#readEnded = true;
    this.pipe.emit('end');
    if (this.#sink === undefined) this.#endReceiving(undefined);
    else this.#sink.onEnd();
    this.#closeIfOver();
  }

  #endReceiving(error: Error | undefined): void {
    if (this.#over !== undefined) return;
    this.#over = error ?? null;
    if (this.#inbox === undefined) {
      if (this.#isHeard) this.#onDelivered();
    } else if (error === undefined) {
      this.#inbox.end();
    } else {
      this.#inbox.fail(error);
    }
  }

  /** The end of the peer was told to whoever receives: our side follows, unless it may go on. */
  #onDelivered(): void {
    if (this.#readEnded && !this.settings.allowHalfOpen) void this.end();
  }

  onError(error: number | Error, syscall: string): void {
    const { protocol, remote, local } = this.channel;
    // The names that Node has for receiving: of a stream, and of datagrams.
    const call = syscall === 'recv' ? (protocol === TCP ? 'read' : 'recvmsg') : syscall;
    const made = typeof error === 'number' ? systemError(error, call, remote, local) : error;
    if (protocol === TCP) return void this.finish(made, false);
    if (typeof error !== 'number' || isIcmp(error)) return this.onRefused(made);
    if (this.pipe.listenerCount('error') > 0) this.pipe.emit('error', made);
  }

  onRefused(error: Error): void {
    this.#refused++;
    this.#inbox?.reject(error);
    if (this.pipe.listenerCount('error') > 0) this.pipe.emit('error', error);
  }

  /** Stops reading until this holder, and all others, let go. */
  hold(holder: object): void {
    this.#holders ??= new Set<object>();
    const { size } = this.#holders;
    this.#holders.add(holder);
    if (size === 0 && !this.#closed && this.#late === undefined) this.channel.pause();
  }

  release(holder: object): void {
    if (this.#holders?.delete(holder) && this.#holders.size === 0 && !this.#closed && this.#late === undefined)
      this.channel.resume();
  }

  // Handing over

  /** All that comes goes to the sink from now on; what waits, first. */
  addSink(sink: PipeSink): void {
    const waiting = this.#inbox?.off() ?? [];
    this.#sink = sink;
    for (const { data, from } of waiting) sink.onMessage(data, from as Endpoint);
    if (this.#readEnded) sink.onEnd();
    if (this.#closed) queueMicrotask(() => sink.onClose(this.#error));
  }

  /** The native socket, if it can be given away. */
  checkHandOver(what: string): SocketChannel {
    const { socket } = this.channel;
    if (socket === undefined) throw misuse(`this pipe shares its socket with others, so it cannot be ${what}`);
    if (this.#closed || this.#ending) throw this.#closedError(`be ${what}`);
    if (this.#sink !== undefined || this.#late !== undefined)
      throw misuse(`the bytes of this pipe go to its stream, so it cannot be ${what}`);
    this.#inbox?.checkNoSubscriptions();
    return socket;
  }

  /**
   * Gives the native socket away, with what was received and not taken. Nothing can be sent or received here any more.
   */
  async handOver(what: string): Promise<{ channel: SocketChannel; messages: Message[] }> {
    const socket = this.checkHandOver(what);
    const late = this.#inbox?.off() ?? [];
    this.#late = late;
    await this.#empty();
    await socket.detach();
    if (this.#closed) throw this.#closedError(`be ${what}`);
    return { channel: socket, messages: late };
  }

  /** The relay that its socket was given to. */
  setRelay(relay: Relayed): void {
    this.#relay = relay;
  }

  // The end

  /** Ends the sending side, after all that was sent before. */
  async end(): Promise<void> {
    if (this.#ending || this.#closed || this.channel.protocol !== TCP) return;
    this.#ending = true;
    if (!this.#isEmpty) await this.#empty();
    if (this.#closed) return;
    const result = this.channel.shutdown();
    // A connection that is gone has no end to send; what became of it is told to whoever receives.
    if (result < 0 && result !== NOT_CONNECTED)
      void this.finish(systemError(result, 'shutdown', this.channel.remote, this.channel.local), false);
    this.#writeEnded = true;
    this.#closeIfOver();
  }

  /** Closes it in order: what was sent goes out first. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #close(): Promise<void> {
    if (this.#closed) return DONE;
    this.#ending = true;
    this.#endReceiving(undefined);
    if (this.#isEmpty) return this.finish(undefined, false) ?? DONE;
    return this.#empty().then(() => this.finish(undefined, false));
  }

  #closeIfOver(): void {
    if (this.#readEnded && this.#writeEnded) void this.finish(undefined, false);
  }

  /** The end of everything, once. */
  finish(error: Error | undefined, reset: boolean): void | Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#error = error;
    let closed: void | Promise<void> = undefined;
    if (this.#relay !== undefined) this.#relay.end();
    else if (reset) this.channel.reset();
    else closed = this.channel.close();
    // An error costs more than all the rest of a close.
    if (!this.#isEmpty) this.#out?.fail(error ?? this.#closedError('send'));
    this.onDrained();
    this.#endReceiving(error);
    this.#sink?.onClose(error);
    // Not in `nextTick`: a loop that opens and closes without waiting for anything would never get there.
    queueMicrotask(() => {
      if (error !== undefined && this.pipe.listenerCount('error') > 0) this.pipe.emit('error', error);
      this.pipe.emit('close');
      if (!this.#isInner && pipeChannel.hasSubscribers) pipeChannel.publish({ event: 'close', pipe: this.pipe, error });
    });
    return closed;
  }
}
