/** One socket of a daemon, and those that came through it. */
import { inspect } from 'node:util';
import type { Endpoint } from '../address/endpoint.ts';
import { ListenerChannel } from '../pipe/sockets/listener-channel.ts';
import { Pipe } from '../pipe/pipe.ts';
import { type Protocol, TCP } from '../pipe/protocol.ts';
import { SocketChannel } from '../pipe/sockets/socket-channel.ts';
import type { SocketOptions } from '../pipe/sockets/socket-request.ts';
import type { Route } from '../routes/route.ts';
import type { AddressSet } from './address-set.ts';
import type { CheckedDaemonOptions } from './options.ts';
import { UdpPeers, type PeerChannel } from './udp-peers.ts';

/** What a server has done so far. */
export interface ServerCounters {
  /** Connections and datagram peers that were given a pipe. */
  readonly accepted: number;
  /** Datagrams of further peers that were dropped at the limit of connections. */
  readonly refused: number;
  /** Connections (reset) and datagrams (dropped) for an address that is not among those served. */
  readonly ignored: number;
  /** Datagrams that the kernel dropped because they were not read in time; 0 where it does not tell. */
  readonly kernelDrops: number;
}

/** What a server needs of its daemon. @internal */
export interface ServerOwner {
  readonly options: CheckedDaemonOptions;
  /** The number of the limit of all of the daemon's connections; undefined without a limit. */
  readonly connectionLimit: number | undefined;
  /** Takes a place for one more datagram peer, if there is one. */
  takePlace(): boolean;
  onPipe(pipe: Pipe, server: DaemonServer): void;
  /** A connection that is nobody's needs its place no more. */
  onIgnored(channel: SocketChannel): void;
  onError(error: Error, server: DaemonServer): void;
}

/** What a server serves. @internal */
export interface ServerPlan {
  readonly protocol: Protocol;
  readonly socket: SocketOptions;
  /** The addresses among which it serves; undefined for all that its socket gets. */
  readonly served: AddressSet | undefined;
  /** Whether its socket is bound to a wildcard. */
  readonly isWildcard: boolean;
  readonly routeOf: (ip: string) => Route | undefined;
}

/** One socket that a {@link Daemon} listens with. */
export class DaemonServer implements AsyncDisposable {
  /** TCP or UDP. */
  readonly protocol: Protocol;
  /** Address and port that the socket is bound to. */
  readonly local: Endpoint;
  readonly #owner: ServerOwner;
  readonly #plan: ServerPlan;
  readonly #listener: ListenerChannel | undefined;
  readonly #socket: SocketChannel | undefined;
  readonly #pipes: Set<Pipe> = new Set<Pipe>();
  readonly #byPeer: Map<PeerChannel, Pipe> = new Map<PeerChannel, Pipe>();
  #clock: NodeJS.Timeout | undefined;
  #closed = false;
  #paused = false;
  #accepted = 0;
  #refused = 0;
  #ignored = 0;

  /** Opens its socket; throws system errors in Node's shape. @internal */
  constructor(owner: ServerOwner, plan: ServerPlan) {
    this.protocol = plan.protocol;
    this.#owner = owner;
    this.#plan = plan;
    if (plan.protocol === TCP) {
      this.#listener = new ListenerChannel(
        { ...plan.socket, backlog: owner.options.backlog },
        {
          onAccept: (channel) => this.#onAccept(channel),
          onError: (error) => owner.onError(error, this),
        },
        owner.connectionLimit,
      );
      this.local = this.#listener.local;
      return;
    }
    const socket = SocketChannel.udp(
      { ...plan.socket, packetInfo: plan.isWildcard && process.platform === 'linux' },
      plan.socket,
    );
    const peers = new UdpPeers(socket, plan.isWildcard && process.platform === 'linux');
    this.#socket = socket;
    this.local = socket.local;
    socket.attach({
      onMessage: (data, from, to) => this.#onDatagram(peers, data, from, to),
      onEnd: () => undefined,
      // An error of an answer to some peer, whom the system does not name.
      onError: (error) => error instanceof Error && owner.onError(error, this),
      onWritable: () => peers.onWritable(),
    });
    this.#clock = setInterval(() => this.#onClock(peers), owner.options.peerTimeoutMs).unref();
  }

  /** The address that the socket is bound to; a wildcard if it serves several. */
  get address(): string {
    return this.local.address;
  }

  /** The port that it listens at. */
  get port(): number {
    return this.local.port;
  }

  /** 4 or 6. */
  get family(): 4 | 6 {
    return this.local.family;
  }

  /** Whether it serves more than one address; the pipes tell which one was asked. */
  get isShared(): boolean {
    return this.#plan.isWildcard;
  }

  /** The route of its address, where it was made from one. Of a shared server: {@link DaemonServer.routeOf}. */
  get route(): Route | undefined {
    return this.isShared ? undefined : this.#plan.routeOf(this.address);
  }

  /** What its address is seen as from outside; undefined while that is not known, and for a shared server. */
  get externalAddress(): string | undefined {
    return this.route?.ext();
  }

  /** The route of one of the addresses that it serves. */
  routeOf(ip: string): Route | undefined {
    return this.#plan.routeOf(ip);
  }

  /** Connections and datagram peers now. */
  get connections(): number {
    return this.#pipes.size;
  }

  /** Whether it has stopped listening. */
  get closed(): boolean {
    return this.#closed;
  }

  /** What it has done so far. */
  counters(): ServerCounters {
    return {
      accepted: this.#accepted,
      refused: this.#refused,
      ignored: this.#ignored,
      kernelDrops: this.#socket?.kernelDrops() ?? 0,
    };
  }

  /** The pipes that are open. */
  pipes(): IterableIterator<Pipe> {
    return this.#pipes.values();
  }

  #onAccept(channel: SocketChannel): void {
    const { served, routeOf } = this.#plan;
    if (this.#closed || (served !== undefined && !served.has(channel.local.packed))) {
      this.#ignored++;
      channel.reset();
      this.#owner.onIgnored(channel);
      return;
    }
    this.#begin(new Pipe(channel, this.#owner.options.pipe.settings, routeOf(channel.local.address)));
  }

  #onDatagram(peers: UdpPeers, data: Buffer, from: Endpoint, to: Endpoint | undefined): void {
    const local = to === undefined ? this.local : to.port === this.local.port ? to : to.withPort(this.local.port);
    let peer = peers.find(local, from);
    if (peer === undefined) {
      const { served, routeOf } = this.#plan;
      if (served !== undefined && !served.has(local.packed)) return void this.#ignored++;
      // A datagram from port 0 cannot be answered.
      if (from.port === 0) return void this.#ignored++;
      if (peers.size >= this.#owner.options.maxPeers || !this.#owner.takePlace()) return void this.#refused++;
      const fresh = peers.add(local, from);
      peer = fresh;
      const pipe = new Pipe(fresh, this.#owner.options.pipe.settings, routeOf(local.address));
      this.#byPeer.set(fresh, pipe);
      pipe.once('close', () => this.#byPeer.delete(fresh));
      this.#begin(pipe);
    }
    peer.deliver(data);
  }

  #begin(pipe: Pipe): void {
    this.#accepted++;
    this.#pipes.add(pipe);
    pipe.once('close', () => this.#pipes.delete(pipe));
    this.#owner.onPipe(pipe, this);
  }

  /** Forgets peers that were silent for a whole round. */
  #onClock(peers: UdpPeers): void {
    for (const peer of peers.nextRound()) void this.#byPeer.get(peer)?.close();
  }

  /** Stops accepting; connections wait in the kernel. @internal */
  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#listener?.pause();
  }

  /** @internal */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#listener?.resume();
  }

  /** Keeps the process alive while it listens, as from the start. */
  ref(): this {
    this.#listener?.ref();
    this.#socket?.ref();
    return this;
  }

  /** Lets the process exit while it listens. */
  unref(): this {
    this.#listener?.unref();
    this.#socket?.unref();
    return this;
  }

  /**
   * Stops listening, and closes what came through it: what was sent goes out first, for as long as the daemon's
   * `closeTimeoutMs`. Idempotent.
   */
  async close(): Promise<void> {
    this.#closed = true;
    this.#listener?.close();
    const pipes = [...this.#pipes];
    if (pipes.length > 0) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, this.#owner.options.closeTimeoutMs)));
      await Promise.race([Promise.allSettled(pipes.map((pipe) => pipe.close())), late]);
      clearTimeout(timer);
    }
    this.destroy();
  }

  /** Closes it and what came through it at once. */
  destroy(): void {
    this.#closed = true;
    clearInterval(this.#clock);
    this.#listener?.close();
    for (const pipe of this.#pipes) pipe.destroy();
    this.#socket?.close();
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** `tcp 127.0.0.1:80`. */
  toString(): string {
    return `${this.protocol} ${String(this.local)}`;
  }

  static {
    Object.defineProperty(this.prototype, inspect.custom, {
      value(this: DaemonServer): string {
        return `DaemonServer ${String(this)}${this.closed ? ' (closed)' : ''}`;
      },
    });
  }
}
