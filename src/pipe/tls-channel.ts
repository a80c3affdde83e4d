/** TLS over a pipe, as a channel for another pipe. */
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { abortError } from '../errors/errors.ts';
import { isIP } from '../address/is-ip.ts';
import { tls } from '../node-modules.ts';
import type { Channel, ChannelEvents } from './sockets/channel.ts';
import type { Endpoint } from '../address/endpoint.ts';
import type { Pipe } from './pipe.ts';
import { type Protocol, TCP } from './protocol.ts';
import { PipeStream } from './stream.ts';
import { systemError, TIMED_OUT } from './system-errors.ts';

/** Makes the handshake over an open connection, which is closed if it fails. @internal */
export function secure(
  inner: Pipe,
  options: ConnectionOptions,
  host: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<TlsChannel> {
  return new Promise((resolve, reject) => {
    // The name is what the certificate is checked for; addresses are none in the extension (RFC 6066, section 3), but
    // are checked.
    const names = isIP(host) === 0 ? { servername: host, host } : { host };
    const socket = tls().connect({ ...names, ...options, socket: new PipeStream(inner, { allowHalfOpen: true }) });
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.off('error', fail);
    };
    const fail = (error: Error) => {
      end();
      socket.on('error', () => undefined).destroy();
      inner.destroy();
      reject(error);
    };
    const onAbort = () => signal && fail(abortError(signal));
    const timer = setTimeout(() => fail(systemError(TIMED_OUT, 'connect', inner.remote, inner.local)), timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('error', fail).once('secureConnect', () => {
      end();
      resolve(new TlsChannel(inner, socket));
    });
  });
}

/** The encrypted side of a connection. @internal */
export class TlsChannel implements Channel {
  readonly protocol: Protocol = TCP;
  /** Bytes go through Node's TLS, so there is no socket to give away. */
  readonly socket: undefined;
  readonly #inner: Pipe;
  readonly #tls: TLSSocket;
  #events: ChannelEvents | undefined;
  #isOver = false;

  constructor(inner: Pipe, tls: TLSSocket) {
    this.#inner = inner;
    this.#tls = tls;
    tls.on('error', (error) => this.#events?.onError(error, 'tls'));
    tls.on('close', () => inner.destroy());
    tls.pause();
  }

  get local(): Endpoint {
    return this.#inner.local;
  }

  get remote(): Endpoint | undefined {
    return this.#inner.remote;
  }

  attach(events: ChannelEvents): void {
    this.#events = events;
    const remote = this.#inner.remote as Endpoint;
    this.#tls.on('data', (data: Buffer) => {
      if (!this.#isOver) events.onMessage(data, remote);
    });
    this.#tls.on('end', () => {
      if (!this.#isOver) events.onEnd();
    });
    this.#tls.on('drain', () => {
      if (!this.#isOver) events.onWritable();
    });
    this.#tls.resume();
  }

  write(data: Uint8Array): number {
    if (this.#tls.writableNeedDrain) return 0;
    // Node may keep what it was given until it can encrypt it, and the sender may change it sooner.
    this.#tls.write(Buffer.from(data));
    return data.length;
  }

  wantWritable(): void {
    if (!this.#tls.writableNeedDrain) setImmediate(() => this.#events?.onWritable());
  }

  pause(): void {
    this.#tls.pause();
  }

  resume(): void {
    this.#tls.resume();
  }

  shutdown(): number {
    this.#tls.end();
    return 0;
  }

  close(): Promise<void> {
    this.#isOver = true;
    if (this.#tls.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#tls.once('close', () => resolve());
      if (this.#tls.writableFinished) this.#tls.destroy();
      else this.#tls.end(() => this.#tls.destroy()).resume();
    });
  }

  reset(): void {
    this.#isOver = true;
    this.#inner.reset();
    this.#tls.destroy();
  }

  ref(): void {
    this.#inner.ref();
  }

  unref(): void {
    this.#inner.unref();
  }

  setNoDelay(on: boolean): void {
    this.#inner.setNoDelay(on);
  }

  setKeepAlive(on: boolean, initialDelayMs: number): void {
    this.#inner.setKeepAlive(on, initialDelayMs);
  }

  kernelDrops(): number {
    return 0;
  }
}
