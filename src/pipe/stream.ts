/** A pipe as a Duplex that takes the place of a `net.Socket`. */
import type { AddressInfo } from 'node:net';
import type * as NodeStream from 'node:stream';
import { STREAM_BATCH_BYTES } from '../defaults.ts';
import { lazyClass, stream } from '../node-modules.ts';
import { checkNumber } from '../options/check.ts';
import type { Sender } from './messages/message-filter.ts';

/** Node's, whose module is loaded with the first stream. */
const Duplex: typeof NodeStream.Duplex = lazyClass(() => stream().Duplex);

/** What a stream needs of a pipe. */
export interface StreamPipe {
  readonly protocol: 'tcp' | 'udp';
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** All messages go to the sink from now on, first those that wait. */
  addSink(sink: StreamSink): void;
  /** Stops and starts reading, for one of several who may ask for that. */
  hold(holder: object): void;
  release(holder: object): void;
  /** Hands bytes over in order; `done` is called when the kernel has them. */
  sendNow(data: Uint8Array, to: undefined, done: (error?: Error) => void): boolean;
  /** No more will be sent (FIN). */
  end(): Promise<void>;
  /** Closes it; `onClose` of the sink follows. */
  destroy(error?: Error): void;
  reset(): void;
  setNoDelay(noDelay: boolean): void;
  setKeepAlive(enable: boolean, initialDelayMs: number): void;
  ref(): unknown;
  unref(): unknown;
}

/** What a pipe tells of. */
export interface StreamSink {
  onMessage(data: Buffer, from: Sender): void;
  /** The peer sends no more. */
  onEnd(): void;
  /** The last one. */
  onClose(error: Error | undefined): void;
}

/** How a stream behaves. */
export interface StreamOptions {
  /** As of `net.Socket`: whether the own side stays open when the peer's has ended. False by default. */
  readonly allowHalfOpen?: boolean | undefined;
  /** Bytes that wait in each direction before the other end has to wait; Node's default. */
  readonly highWaterMark?: number | undefined;
}

/** A pipe that is there, or how one is opened. */
export type StreamOrigin = StreamPipe | ((signal: AbortSignal) => Promise<StreamPipe>);

/**
 * A pipe as a Duplex, with what `http`, `https`, `tls` and undici expect of a `net.Socket`: half-close, back pressure
 * in both directions, `setNoDelay`, `setKeepAlive`, `setTimeout`, `ref`, `unref`, addresses and byte counts, `connect`
 * when it was made before its connection.
 *
 * Over UDP each write is a datagram, and each `data` event is one while the stream flows.
 */
export class PipeStream extends Duplex {
  #pipe: StreamPipe | undefined;
  readonly #open: ((signal: AbortSignal) => Promise<StreamPipe>) | undefined;
  readonly #stop: AbortController | undefined;
  /** What was asked of the socket before there was one. */
  readonly #postponed: Map<string, (pipe: StreamPipe) => unknown> = new Map<string, (pipe: StreamPipe) => unknown>();
  #isClosed = false;
  #isEnded = false;
  #onClosed: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  /**
   * Milliseconds of silence after which `timeout` is emitted; undefined until {@link PipeStream.setTimeout} was called.
   */
  timeout: number | undefined;

  /** @internal */
  constructor(origin: StreamOrigin, { allowHalfOpen = false, highWaterMark }: StreamOptions = {}) {
    super({ allowHalfOpen, ...(highWaterMark === undefined ? {} : { highWaterMark }) });
    if (typeof origin === 'function') {
      this.#open = origin;
      this.#stop = new AbortController();
    } else {
      this.#attach(origin);
    }
  }

  /** Node calls it before anything is read, written or destroyed. @internal */
  override _construct(done: (error?: Error) => void): void {
    if (this.#open === undefined || this.#stop === undefined) return done();
    this.#open(this.#stop.signal).then(
      (pipe) => {
        this.#attach(pipe);
        for (const change of this.#postponed.values()) change(pipe);
        this.#postponed.clear();
        done();
        if (this.destroyed) return;
        this.emit('connect');
        this.emit('ready');
      },
      (error: Error) => {
        // Whoever destroyed it while it was connecting has given it up, and is told no error for that.
        if (this.destroyed) done();
        else done(error);
      },
    );
  }

  #attach(pipe: StreamPipe): void {
    this.#pipe = pipe;
    pipe.addSink({
      onMessage: (data) => {
        this.#alive();
        if (!this.push(data)) pipe.hold(this);
      },
      onEnd: () => {
        this.#isEnded = true;
        this.push(null);
        // As `net.Socket` does: the end is told even if nobody reads, so that an idle keep-alive socket is found out.
        this.read(0);
      },
      onClose: (error) => {
        this.#isClosed = true;
        if (this.#onClosed !== undefined) this.#onClosed();
        else if (error !== undefined || !this.#isEnded) this.destroy(error);
        // What has come can still be read; when it has been, Node destroys the stream.
        else if (!this.writableEnded) this.end();
      },
    });
  }

  /** Does it now, or once there is a socket; of several changes of one kind the last counts. */
  #whenOpen(kind: string, change: (pipe: StreamPipe) => unknown): this {
    if (this.#pipe === undefined) this.#postponed.set(kind, change);
    else if (!this.#isClosed) change(this.#pipe);
    return this;
  }

  /** Whether it is not connected yet. Writes wait until it is. */
  get connecting(): boolean {
    return this.#pipe === undefined && !this.destroyed;
  }

  /** As {@link PipeStream.connecting}, or destroyed before it was connected. */
  get pending(): boolean {
    return this.#pipe === undefined;
  }

  /** @internal */
  override _read(): void {
    this.#pipe?.release(this);
  }

  /** @internal */
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    this.#alive();
    this.#pipe?.sendNow(chunk, undefined, done);
  }

  /** @internal */
  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: (error?: Error) => void): void {
    this.#alive();
    const pipe = this.#pipe;
    if (pipe === undefined) return done();
    // Headers and body of a request come as several small chunks: together they are one system call. Datagrams stay
    // apart.
    let next = 0;
    const send = (error?: Error): void => {
      if (error !== undefined || next === chunks.length) return done(error);
      const first = next++;
      let size = chunks[first]?.chunk.length ?? 0;
      if (pipe.protocol === 'tcp') {
        for (; next < chunks.length; next++) {
          size += chunks[next]?.chunk.length ?? 0;
          if (size > STREAM_BATCH_BYTES) break;
        }
      }
      const batch = chunks.slice(first, next).map(({ chunk }) => chunk);
      const [only] = batch;
      pipe.sendNow(batch.length === 1 && only !== undefined ? only : Buffer.concat(batch), undefined, send);
    };
    send();
  }

  /** @internal */
  override _final(done: (error?: Error) => void): void {
    if (this.#pipe === undefined) return done();
    this.#pipe.end().then(() => done(), done);
  }

  /** @internal */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#timer);
    if (this.#isClosed || this.#pipe === undefined) return done(error);
    this.#onClosed = () => done(error);
    this.#pipe.destroy(error ?? undefined);
  }

  /** Closes at once, with an error if one is given; what waits to be sent is lost. */
  override destroy(error?: Error): this {
    // A connection under way is given up; until then Node does not call `_destroy`.
    if (this.#pipe === undefined) this.#stop?.abort(error);
    return super.destroy(error);
  }

  /** Closes when all that was written has been sent. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** Closes with RST. */
  resetAndDestroy(): this {
    if (!this.destroyed) this.#pipe?.reset();
    return this.destroy();
  }

  /** `TCP_NODELAY`: small writes are not held back (Nagle). */
  setNoDelay(noDelay = true): this {
    return this.#whenOpen('noDelay', (pipe) => pipe.setNoDelay(Boolean(noDelay)));
  }

  /** `SO_KEEPALIVE`, with the milliseconds until the first probe; 0 leaves those as they are. */
  setKeepAlive(enable = false, initialDelayMs = 0): this {
    return this.#whenOpen('keepAlive', (pipe) =>
      pipe.setKeepAlive(Boolean(enable), Math.min(Math.max(Number(initialDelayMs) || 0, 0), 2 ** 31 - 1)),
    );
  }

  /** Emits `timeout` after this many milliseconds without a byte in either direction; 0 switches it off. */
  setTimeout(timeoutMs: number, listener?: () => void): this {
    checkNumber('timeout', timeoutMs, 0, Infinity, false);
    if (this.destroyed) return this;
    this.timeout = timeoutMs;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (timeoutMs > 0) {
      // Longer ones than a timer takes are 25 days, as in Node.
      this.#timer = setTimeout(() => this.#onTimeout(), Math.min(timeoutMs, 2 ** 31 - 1)).unref();
      if (listener !== undefined) this.once('timeout', listener);
    } else if (listener !== undefined) {
      this.removeListener('timeout', listener);
    }
    return this;
  }

  #onTimeout(): void {
    this.emit('timeout');
  }

  #alive(): void {
    this.#timer?.refresh();
  }

  /** The process stays alive while it is open, as from the start. */
  ref(): this {
    return this.#whenOpen('ref', (pipe) => pipe.ref());
  }

  /** The process may end while it is open. */
  unref(): this {
    return this.#whenOpen('ref', (pipe) => pipe.unref());
  }

  /** The local address, as `net.Socket` gives it; empty while connecting. */
  address(): AddressInfo | Record<string, never> {
    const { localAddress: address, localPort: port } = this;
    return address === undefined || port === undefined ? {} : { address, family: familyText(address), port };
  }

  /** The local address; undefined while connecting. */
  get localAddress(): string | undefined {
    return this.#pipe?.localAddress;
  }

  /** The local port; undefined while connecting. */
  get localPort(): number | undefined {
    return this.#pipe?.localPort;
  }

  /** `IPv4` or `IPv6`. */
  get localFamily(): string | undefined {
    return this.localAddress && familyText(this.localAddress);
  }

  /** The peer's address; undefined while connecting. */
  get remoteAddress(): string | undefined {
    return this.#pipe?.remoteAddress;
  }

  /** The peer's port; undefined while connecting. */
  get remotePort(): number | undefined {
    return this.#pipe?.remotePort;
  }

  /** `IPv4` or `IPv6`. */
  get remoteFamily(): string | undefined {
    return this.remoteAddress && familyText(this.remoteAddress);
  }

  /** Bytes received. */
  get bytesRead(): number {
    return this.#pipe?.bytesReceived ?? 0;
  }

  /** Bytes written, those that wait included. */
  get bytesWritten(): number {
    return (this.#pipe?.bytesSent ?? 0) + this.writableLength;
  }

  /** As of `net.Socket`. */
  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening';
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }
}

function familyText(address: string): 'IPv4' | 'IPv6' {
  return address.includes(':') ? 'IPv6' : 'IPv4';
}
