/** A TCP listener: accepts connections, and stops when it is told to. */
import { socketClose, socketWatch } from '../../native/binding.ts';
import { ACCEPT_RETRY_MS } from '../../defaults.ts';
import type { Endpoint } from '../../address/endpoint.ts';
import { SocketChannel } from './socket-channel.ts';
import type { SocketOptions } from './socket-request.ts';
import { sockets, type SocketOwner, type SocketTable } from './socket-table.ts';
import { systemError } from '../system-errors.ts';

/** What a listener tells. */
export interface ListenerEvents {
  /** A connection; its local side is the address that was asked. */
  onAccept(channel: SocketChannel): void;
  /** Accepting has failed for want of descriptors or memory; it is tried again soon. */
  onError(error: Error): void;
}

export class ListenerChannel implements SocketOwner {
  readonly id: number;
  /** Address and port that it listens at. */
  readonly local: Endpoint;
  /** Why it could not be bound to its interface; undefined if it is, or need not be. */
  readonly interfaceBindError: string | undefined;
  readonly #table: SocketTable;
  readonly #events: ListenerEvents;
  #paused = false;
  #open = true;
  #held = true;
  #retry: NodeJS.Timeout | undefined;

  /**
   * Listens. The options are those of the connections too. With a connection limit of the table it accepts no more than
   * that has places.
   *
   * @throws system errors in Node's shape, such as `bind EADDRINUSE`
   */
  constructor(options: SocketOptions, events: ListenerEvents, connectionLimit?: number) {
    const table = sockets();
    const opened = table.listen(options, connectionLimit);
    this.id = typeof opened === 'number' ? opened : opened.id;
    this.local = table.opened();
    this.interfaceBindError = typeof opened === 'number' ? undefined : opened.interfaceBindError;
    this.#table = table;
    this.#events = events;
    table.add(this);
    table.ref();
  }

  /** Stops accepting: connections wait in the kernel, up to the backlog. */
  pause(): void {
    this.#paused = true;
    this.#watch(false);
  }

  resume(): void {
    this.#paused = false;
    this.#watch(true);
  }

  #watch(read: boolean): void {
    if (this.#open) socketWatch(this.#table.number, this.id, read, false);
  }

  /** Stops listening. Connections that were accepted go on. Idempotent. */
  close(): void {
    if (!this.#open) return;
    this.unref();
    this.#open = false;
    clearTimeout(this.#retry);
    socketClose(this.#table.number, this.id, false);
    this.#table.remove(this);
  }

  /** Keeps the process alive while it listens, as from the start. */
  ref(): void {
    if (this.#open && !this.#held) this.#table.ref();
    this.#held = true;
  }

  /** Lets the process exit. */
  unref(): void {
    if (this.#open && this.#held) this.#table.unref();
    this.#held = false;
  }

  onAccepted(id: number, local: Endpoint, remote: Endpoint): void {
    this.#events.onAccept(SocketChannel.accepted(this.#table, id, local, remote));
  }

  /** The reader has looked away: the waiting connection would be told again and again. */
  onError(errno: number, syscall: string): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      if (this.#paused) return;
      // The portable reader alone knows that it looks away: only a change reaches it.
      this.#watch(false);
      this.#watch(true);
    }, ACCEPT_RETRY_MS).unref();
    this.#events.onError(systemError(errno, syscall, undefined, this.local));
  }

  onData(): void {
    // A listener has no data, no peer and no end.
  }

  onDatagram(): void {}

  onEnd(): void {}

  onConnected(): void {}

  onWritable(): void {}

  onDetached(): void {}
}
