/** Sockets at many endpoints of 127.0.0.0/8, each opened when it is first needed. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { MAX_SIMULATED_PORTS } from '../defaults.ts';

/** An endpoint as the addon writes it. @internal */
export function endpointText(ip: string, port: number): string {
  return `${ip}:${port}`;
}

/** @internal */
export function splitEndpoint(endpoint: string): { ip: string; port: number } {
  const colon = endpoint.lastIndexOf(':');
  return { ip: endpoint.slice(0, colon), port: Number(endpoint.slice(colon + 1)) };
}

/** Called for each datagram, with the endpoint that it came from and the one that it arrived at. */
type OnDatagram = (bytes: Buffer, from: string, at: string) => void;

/** A set of sockets. @internal */
export class Sockets {
  readonly #open = new Map<string, Promise<Socket | undefined>>();
  /** Those that were opened for sending, the one that was used longest ago first. */
  readonly #opened = new Set<string>();
  readonly #onDatagram: OnDatagram;
  #held = true;
  #closed = false;

  constructor(onDatagram: OnDatagram) {
    this.#onDatagram = onDatagram;
  }

  /** Opens a socket; port 0 picks a free one. Gives the endpoint. */
  async listen(ip: string, port = 0): Promise<string> {
    const socket = await this.#bind(ip, port);
    const at = endpointText(ip, socket.address().port);
    this.#open.set(at, Promise.resolve(socket));
    return at;
  }

  /** Sends from an endpoint. Where nothing can be bound, nothing is sent, as with a datagram that is lost. */
  send(bytes: Uint8Array, from: string, to: string): void {
    const { ip, port } = splitEndpoint(to);
    void this.#socketAt(from).then((socket) => {
      if (socket !== undefined && !this.#closed) socket.send(bytes, port, ip, () => undefined);
    });
  }

  /** Opens a socket at an endpoint: what is sent there from then on arrives. */
  async open(endpoint: string): Promise<void> {
    await this.#socketAt(endpoint);
  }

  /** The addresses and ports that are open. */
  get size(): number {
    return this.#open.size;
  }

  ref(held: boolean): void {
    this.#held = held;
    for (const opening of this.#open.values()) void opening.then((socket) => (held ? socket?.ref() : socket?.unref()));
  }

  async close(): Promise<void> {
    this.#closed = true;
    const sockets = await Promise.all(this.#open.values());
    this.#open.clear();
    this.#opened.clear();
    await Promise.all(
      sockets.map((socket) => socket && new Promise<void>((resolve) => void socket.close(() => resolve()))),
    );
  }

  #socketAt(endpoint: string): Promise<Socket | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    let opening = this.#open.get(endpoint);
    if (opening === undefined) {
      const { ip, port } = splitEndpoint(endpoint);
      // A port that somebody else holds: the datagram is lost, and the next one tries again.
      const bound = this.#bind(ip, port).catch(() => {
        if (this.#open.get(endpoint) === bound) this.#forget(endpoint);
        return undefined;
      });
      opening = bound;
      this.#open.set(endpoint, opening);
      this.#opened.add(endpoint);
      this.#makeRoom();
    } else if (this.#opened.delete(endpoint)) {
      this.#opened.add(endpoint);
    }
    return opening;
  }

  #makeRoom(): void {
    for (const endpoint of this.#opened) {
      if (this.#opened.size <= MAX_SIMULATED_PORTS) return;
      const opening = this.#open.get(endpoint);
      this.#forget(endpoint);
      // What was handed over to it is sent first.
      void opening?.then((socket) => setImmediate(() => socket?.close()));
    }
  }

  #forget(endpoint: string): void {
    this.#open.delete(endpoint);
    this.#opened.delete(endpoint);
  }

  async #bind(ip: string, port: number): Promise<Socket> {
    const socket = createSocket('udp4');
    socket.bind({ address: ip, port, exclusive: true });
    await once(socket, 'listening');
    if (!this.#held) socket.unref();
    const at = endpointText(ip, socket.address().port);
    socket.on('message', (bytes, { address, port: from }) => this.#onDatagram(bytes, endpointText(address, from), at));
    // An ICMP error for something that was sent before is no fault of the socket.
    socket.on('error', () => undefined);
    return socket;
  }
}

let blocks = 0;

/**
 * A /24 of loopback addresses that nothing else in this process uses, such as `127.81.7.`. Other processes most likely
 * use another one; the ports are free in any case.
 *
 * @internal
 */
export function freshBlock(): string {
  const n = process.pid * 61 + blocks++ * 7;
  return `127.${64 + ((n >> 8) % 128)}.${n & 255}.`;
}
