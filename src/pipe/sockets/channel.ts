/** What a pipe is made over: a socket, a peer of a server, a stream. */
import type { Endpoint } from '../../address/endpoint.ts';
import type { Protocol } from '../protocol.ts';
import type { SocketChannel } from './socket-channel.ts';

/** What a channel tells its pipe. */
export interface ChannelEvents {
  /** Bytes of a stream, or a datagram. They are nobody else's. `to`: the address asked, where the channel tells. */
  onMessage(data: Buffer, from: Endpoint, to?: Endpoint): void;
  /** The peer will send no more. */
  onEnd(): void;
  /** A call has failed: the negative error number, or the error itself. A stream is dead then; datagrams go on. */
  onError(error: number | Error, syscall: string): void;
  /** What {@link Channel.wantWritable} waited for. */
  onWritable(): void;
}

/** A way to send and to receive. */
export interface Channel {
  readonly protocol: Protocol;
  readonly local: Endpoint;
  /** The peer; undefined for a UDP socket that talks to anybody. */
  readonly remote: Endpoint | undefined;
  /** The native socket, if the channel is nothing more than that: then it can be relayed and handed over. */
  readonly socket: SocketChannel | undefined;
  /** Who is told from now on. Until then nothing is lost: the channel does not read before. */
  attach(events: ChannelEvents): void;
  /**
   * Now or never: the number of bytes taken, 0 if there is no room (then {@link Channel.wantWritable}), or a negative
   * error number.
   */
  write(data: Uint8Array, to: Endpoint | undefined): number;
  /** Tells once when there is room again. */
  wantWritable(): void;
  /** Stops reading; a few messages may still come. */
  pause(): void;
  /** Goes on reading. */
  resume(): void;
  /** Ends the sending side, after what was written: 0, or a negative error number. */
  shutdown(): number;
  /**
   * Closes it in order; nothing is told after this. Idempotent. Settles when all has gone out, where that takes
   * time.
   */
  close(): void | Promise<void>;
  /** Closes it at once, a TCP connection with a reset. */
  reset(): void;
  /** Keeps the process alive while it is open, as from the start. */
  ref(): void;
  /** Lets the process exit. */
  unref(): void;
  /** Send small pieces at once (`TCP_NODELAY`). */
  setNoDelay(on: boolean): void;
  /** Ask a silent peer after a time without traffic (`SO_KEEPALIVE`). */
  setKeepAlive(on: boolean, initialDelayMs: number): void;
  /** Datagrams that the kernel dropped because nobody read them in time; 0 where it does not tell. */
  kernelDrops(): number;
}
