/** One native socket: an outgoing or accepted connection, or a UDP socket. */
import { socketClose, socketSend, socketSendTo, socketWatch, type UnboundSocket } from '../../native/binding.ts';
import { isFailure, toError } from '../../native/failure.ts';
import type { Channel, ChannelEvents } from './channel.ts';
import type { Endpoint } from '../../address/endpoint.ts';
import { type Protocol, TCP, UDP } from '../protocol.ts';
import { CONNECTION, DATAGRAMS, type LocalOptions, type SocketOptions } from './socket-request.ts';
import { sockets, type SocketOwner, type SocketTable } from './socket-table.ts';
import { isFull } from '../system-errors.ts';

/** A connection under way is told made, or failed. @internal */
export interface ConnectEvents {
  onConnected(): void;
  onFailed(errno: number): void;
}

export class SocketChannel implements Channel, SocketOwner {
  readonly id: number;
  readonly protocol: Protocol;
  readonly remote: Endpoint | undefined;
  /** Why it could not be bound to its interface; undefined if it is, or need not be. */
  readonly interfaceBindError: string | undefined;
  readonly #table: SocketTable;
  #local: Endpoint;
  #events: ChannelEvents | undefined;
  #connect: ConnectEvents | undefined;
  #detached: (() => void) | undefined;
  /** What came before there was a pipe: the rest of a batch. */
  #early: ((events: ChannelEvents) => void)[] | undefined;
  #reading = true;
  #writing = false;
  #open = true;
  /** Open, or relayed: it keeps the process alive unless it was told not to. */
  #alive = true;
  #held = true;

  private constructor(
    table: SocketTable,
    protocol: Protocol,
    opened: number | UnboundSocket,
    local: Endpoint,
    remote: Endpoint | undefined,
  ) {
    this.id = typeof opened === 'number' ? opened : opened.id;
    this.protocol = protocol;
    this.#local = local;
    this.remote = remote;
    this.interfaceBindError = typeof opened === 'number' ? undefined : opened.interfaceBindError;
    this.#table = table;
    table.add(this);
    table.ref();
  }

  /** Begins a connection. Throws what fails at once. @internal */
  static connect(options: SocketOptions, side: LocalOptions, remote: Endpoint, events: ConnectEvents): SocketChannel {
    const table = sockets();
    const opened = table.open(CONNECTION, options, side, remote);
    const channel = new SocketChannel(table, TCP, opened, table.opened(), remote);
    channel.#connect = events;
    return channel;
  }

  /** Opens a UDP socket. @internal */
  static udp(options: SocketOptions, side: LocalOptions, remote?: Endpoint): SocketChannel {
    const table = sockets();
    const opened = table.open(DATAGRAMS, options, side, remote);
    return new SocketChannel(table, UDP, opened, table.opened(), remote);
  }

  /** A connection that a listener has accepted. @internal */
  static accepted(table: SocketTable, id: number, local: Endpoint, remote: Endpoint): SocketChannel {
    return new SocketChannel(table, TCP, id, local, remote);
  }

  get local(): Endpoint {
    return this.#local;
  }

  get socket(): SocketChannel {
    return this;
  }

  /** Whether it was closed, or handed over. */
  get isOpen(): boolean {
    return this.#open;
  }

  attach(events: ChannelEvents): void {
    if (this.#early === undefined) {
      this.#events = events;
      return;
    }
    // After whoever opened the pipe has it, and may have added listeners. What comes until then queues up behind.
    setImmediate(() => {
      const early = this.#early ?? [];
      this.#early = undefined;
      this.#events = events;
      for (const each of early) if (this.#open) each(events);
    });
  }

  write(data: Uint8Array, to: Endpoint | undefined): number {
    const table = this.#table.number;
    const taken = to === undefined ? socketSend(table, this.id, data) : socketSendTo(table, this.id, data, to.packed);
    return taken < 0 && isFull(taken) ? 0 : taken;
  }

  /**
   * Sends a datagram from a given address of this machine; as {@link Channel.write}. The socket must be bound to a
   * wildcard.
   */
  writeFrom(data: Uint8Array, to: Endpoint, source: Endpoint): number {
    const taken = socketSendTo(this.#table.number, this.id, data, to.packed, source.packed);
    return taken < 0 && isFull(taken) ? 0 : taken;
  }

  wantWritable(): void {
    this.#writing = true;
    this.#watch();
  }

  pause(): void {
    this.#reading = false;
    this.#watch();
  }

  resume(): void {
    this.#reading = true;
    this.#watch();
  }

  #watch(): void {
    if (this.#open) socketWatch(this.#table.number, this.id, this.#reading, this.#writing);
  }

  shutdown(): number {
    return this.#table.native.shutdown(this.id);
  }

  close(): void {
    this.#close(false);
  }

  reset(): void {
    this.#close(true);
  }

  #close(reset: boolean): void {
    if (!this.#open) return;
    socketClose(this.#table.number, this.id, reset);
    this.#leave();
  }

  #leave(): void {
    this.#handOver();
    this.#letGo();
  }

  #handOver(): void {
    this.#open = false;
    this.#table.remove(this);
    // Nobody tells of a socket any more that is closed before it was detached.
    this.#detached?.();
  }

  #letGo(): void {
    this.unref();
    this.#alive = false;
  }

  ref(): void {
    if (this.#alive && !this.#held) this.#table.ref();
    this.#held = true;
  }

  unref(): void {
    if (this.#alive && this.#held) this.#table.unref();
    this.#held = false;
  }

  setNoDelay(on: boolean): void {
    this.#table.native.setNoDelay(this.id, on);
  }

  setKeepAlive(on: boolean, initialDelayMs: number): void {
    this.#table.native.setKeepAlive(this.id, on, initialDelayMs);
  }

  kernelDrops(): number {
    return this.#open ? this.#table.native.drops(this.id) : 0;
  }

  /** Stops reading for good. Once this settles, all that was read has been told. @internal */
  detach(): Promise<void> {
    if (!this.#open) return Promise.resolve();
    return new Promise((resolve) => {
      this.#detached = resolve;
      this.#table.native.detach(this.id);
    });
  }

  /** The descriptor of a detached socket, which is the caller's to close. @internal */
  take(): number {
    const descriptor = this.#table.native.take(this.id);
    this.#leave();
    return descriptor;
  }

  /**
   * Relays between two detached sockets; gives the number. `done` is called at the end, with 0 or a negative error
   * number. Until then both keep the process alive, unless they were told not to.
   *
   * @internal
   */
  relay(
    other: SocketChannel,
    done: (errno: number) => void,
  ): { moved(): { forward: number; back: number }; end(): void } {
    const { native } = this.#table;
    const id = native.relay(this.id, other.id);
    const table = this.#table;
    this.#handOver();
    other.#handOver();
    const letGo = () => {
      this.#letGo();
      other.#letGo();
    };
    if (isFailure(id)) {
      letGo();
      throw toError(id);
    }
    table.addRelay(id, (errno) => {
      letGo();
      done(errno);
    });
    return {
      moved: () => native.relayed(id) ?? { forward: 0, back: 0 },
      end: () => {
        letGo();
        table.removeRelay(id);
        native.endRelay(id);
      },
    };
  }

  onData(data: Buffer): void {
    // A connected socket has a peer.
    const from = this.remote as Endpoint;
    if (this.#events !== undefined) this.#events.onMessage(data, from);
    else (this.#early ??= []).push((events) => events.onMessage(data, from));
  }

  onDatagram(data: Buffer, from: Endpoint, to: Endpoint | undefined): void {
    if (this.#events !== undefined) this.#events.onMessage(data, from, to);
    else (this.#early ??= []).push((events) => events.onMessage(data, from, to));
  }

  onEnd(): void {
    if (this.#events !== undefined) this.#events.onEnd();
    else (this.#early ??= []).push((events) => events.onEnd());
  }

  onError(errno: number, syscall: string): void {
    const connect = this.#connect;
    if (connect !== undefined && syscall === 'connect') connect.onFailed(errno);
    else if (this.#events !== undefined) this.#events.onError(errno, syscall);
    else (this.#early ??= []).push((events) => events.onError(errno, syscall));
  }

  onConnected(local: Endpoint): void {
    this.#local = local;
    const connect = this.#connect;
    this.#connect = undefined;
    connect?.onConnected();
  }

  onWritable(): void {
    this.#writing = false;
    this.#events?.onWritable();
  }

  onAccepted(): void {
    // Only listeners accept.
  }

  onDetached(): void {
    // What came before there was a pipe is told first: it was read, so it is nowhere else.
    if (this.#early === undefined) this.#detached?.();
    else this.#early.push(() => this.#detached?.());
  }
}
