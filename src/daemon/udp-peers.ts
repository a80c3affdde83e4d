/** The peers of a UDP server: each is a channel of its own over the one socket. */
import type { Channel, ChannelEvents } from '../pipe/sockets/channel.ts';
import type { Endpoint } from '../address/endpoint.ts';
import { type Protocol, UDP } from '../pipe/protocol.ts';
import type { SocketChannel } from '../pipe/sockets/socket-channel.ts';

/** One peer of a server, as it talks to one of the server's addresses. */
export class PeerChannel implements Channel {
  readonly protocol: Protocol = UDP;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** The socket is shared, so it cannot be given away. */
  readonly socket = undefined;
  readonly #peers: UdpPeers;
  #events: ChannelEvents | undefined;
  #paused = false;
  #drops = 0;
  /** The round of the clock in which something was last received from it or sent to it. */
  heardIn: number;

  constructor(peers: UdpPeers, local: Endpoint, remote: Endpoint, round: number) {
    this.#peers = peers;
    this.local = local;
    this.remote = remote;
    this.heardIn = round;
  }

  attach(events: ChannelEvents): void {
    this.#events = events;
  }

  /** Sends from the address that the peer has asked. */
  write(data: Uint8Array, to: Endpoint | undefined): number {
    // What is sent keeps the mapping of a NAT alive as well (RFC 4787, REQ-6).
    this.heardIn = this.#peers.round;
    return this.#peers.write(data, to ?? this.remote, this.local);
  }

  wantWritable(): void {
    this.#peers.wantWritable(this);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  shutdown(): number {
    return 0;
  }

  close(): void {
    this.#peers.remove(this);
  }

  reset(): void {
    this.#peers.remove(this);
  }

  // The server's socket holds the process, not its peers.
  ref(): void {}

  unref(): void {}

  setNoDelay(): void {}

  setKeepAlive(): void {}

  /** Datagrams of this peer that came while nobody received. */
  kernelDrops(): number {
    return this.#drops;
  }

  deliver(data: Buffer): void {
    // The socket is for all peers: one that nobody reads must not stop the others.
    if (this.#paused) this.#drops++;
    else this.#events?.onMessage(data, this.remote);
  }

  onWritable(): void {
    this.#events?.onWritable();
  }

  onError(error: number, syscall: string): void {
    this.#events?.onError(error, syscall);
  }
}

/** Peers by local address, then by remote address and port. */
export class UdpPeers {
  readonly #socket: SocketChannel;
  /** Whether the socket is bound to a wildcard, so that the source of an answer has to be named. */
  readonly #isShared: boolean;
  readonly #byLocal: Map<string, Map<string, PeerChannel>> = new Map<string, Map<string, PeerChannel>>();
  #waiting: PeerChannel[] = [];
  #size = 0;
  /** The last that was heard of: most datagrams come from the same. */
  #last: PeerChannel | undefined;
  round = 0;

  constructor(socket: SocketChannel, isShared: boolean) {
    this.#socket = socket;
    this.#isShared = isShared;
  }

  get size(): number {
    return this.#size;
  }

  /** The peer, if it is known; it counts as heard of. */
  find(local: Endpoint, remote: Endpoint): PeerChannel | undefined {
    const last = this.#last;
    const found =
      last !== undefined && last.remote.equals(remote) && last.local.equals(local)
        ? last
        : this.#byLocal.get(key(local))?.get(key(remote));
    if (found !== undefined) found.heardIn = this.round;
    this.#last = found;
    return found;
  }

  add(local: Endpoint, remote: Endpoint): PeerChannel {
    const peer = new PeerChannel(this, local, remote, this.round);
    let peers = this.#byLocal.get(key(local));
    if (peers === undefined) this.#byLocal.set(key(local), (peers = new Map<string, PeerChannel>()));
    peers.set(key(remote), peer);
    this.#size++;
    return peer;
  }

  remove(peer: PeerChannel): void {
    const peers = this.#byLocal.get(key(peer.local));
    if (peers?.get(key(peer.remote)) !== peer) return;
    peers.delete(key(peer.remote));
    if (peers.size === 0) this.#byLocal.delete(key(peer.local));
    if (this.#last === peer) this.#last = undefined;
    this.#size--;
  }

  write(data: Uint8Array, to: Endpoint, local: Endpoint): number {
    return this.#isShared ? this.#socket.writeFrom(data, to, local) : this.#socket.write(data, to);
  }

  wantWritable(peer: PeerChannel): void {
    this.#waiting.push(peer);
    this.#socket.wantWritable();
  }

  onWritable(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const peer of waiting) peer.onWritable();
  }

  /** Begins a new round; gives those that were not heard of in the one before. */
  nextRound(): PeerChannel[] {
    const silent = [...this].filter((peer) => peer.heardIn < this.round);
    this.round++;
    return silent;
  }

  *[Symbol.iterator](): IterableIterator<PeerChannel> {
    for (const peers of this.#byLocal.values()) yield* peers.values();
  }
}

/** The bytes of address and port as a text that is quickly made and compared. */
function key(endpoint: Endpoint): string {
  const { packed } = endpoint;
  return endpoint.family === 4
    ? String.fromCharCode(
        ((packed[0] ?? 0) << 8) | (packed[1] ?? 0),
        ((packed[2] ?? 0) << 8) | (packed[3] ?? 0),
        endpoint.port,
      )
    : Buffer.from(packed.buffer, packed.byteOffset, packed.length).toString('latin1');
}
