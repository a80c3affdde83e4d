/** The native sockets of this environment (the main thread, or a worker), and what happens to them. */
import { holdProcess } from '../../native/process-hold.ts';
import {
  type NativeSockets,
  openSockets,
  socketClose,
  socketDrain,
  socketOpen,
  type UnboundSocket,
} from '../../native/binding.ts';
import { ENDPOINT_BYTES, RECORD_HEAD_BYTES, SLAB_BYTES, SLAB_ROOM } from '../../defaults.ts';
import { isFailure, toError } from '../../native/failure.ts';
import { Endpoint } from '../../address/endpoint.ts';
import { LISTENER, LOCAL_AT, type LocalOptions, request, type SocketOptions, writeRequest } from './socket-request.ts';

/** Kinds of records; crates/core/src/pipe/record.rs says what each has. */
const DATA = 1;
const DATAGRAM = 2;
const END = 3;
const ERROR = 4;
const CONNECTED = 5;
const WRITABLE = 6;
const ACCEPTED = 7;
const RELAYED = 8;
const DETACHED = 9;

const SYSCALLS: readonly string[] = ['', 'connect', 'recv', 'accept', 'relay'];

/** Bits of a number that say its place in the table. */
const PLACE_MASK = 0xf_ffff;

/** The highest bit of what `drain` gives. */
const MORE = 0x8000_0000;

/** Turns of one wake-up, at most: timers and other sockets must get theirs. */
const MOST_DRAINS = 4;

/** One socket: gets what happens to it. */
export interface SocketOwner {
  readonly id: number;
  onData(data: Buffer): void;
  onDatagram(data: Buffer, from: Endpoint, to: Endpoint | undefined): void;
  onEnd(): void;
  onError(errno: number, syscall: string): void;
  onConnected(local: Endpoint): void;
  onWritable(): void;
  onAccepted(id: number, local: Endpoint, remote: Endpoint): void;
  onDetached(): void;
}

/** Which reader to use: see {@link setPipeReader}. */
export type PipeReader = 'auto' | 'direct' | 'portable';

export class SocketTable {
  readonly native: NativeSockets;
  /** The number of the native table, for the calls of each message. */
  readonly number: number;
  /** By their place. */
  readonly #owners: (SocketOwner | undefined)[] = [];
  readonly #relays: Map<number, (errno: number) => void> = new Map<number, (errno: number) => void>();
  /** Records and the data that is handed out. Never used again once it is full, so handed out data may be kept. */
  #slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #words: Int32Array = wordsOf(this.#slab);
  /** Records between these two wait to be told: usually none, unless a handler has thrown. */
  #next = 0;
  #end = 0;
  /** The sender of the last datagram with one: most come from the same. */
  #lastFrom: Endpoint | undefined;
  #lastWords: Int32Array = new Int32Array(6);
  #held = 0;
  #hold: NodeJS.Timeout | undefined;

  constructor(reader: PipeReader) {
    const native = openSockets(reader, () => this.#onReady());
    if (isFailure(native)) throw toError(native);
    this.native = native;
    this.number = native.table();
  }

  /**
   * Opens a socket: gives its number, and why it could not be bound to its interface where that is so.
   * {@link SocketTable.opened} then has its local side. Throws system errors in Node's shape.
   */
  open(kind: number, options: SocketOptions, side: LocalOptions, remote: Endpoint | undefined): number | UnboundSocket {
    writeRequest(kind, options, side, remote);
    const opened = socketOpen(this.number, request, side.interface);
    if (isFailure(opened)) throw toError(opened);
    return opened;
  }

  /** Opens a listener, with a connection limit if there is one: as {@link SocketTable.open}. */
  listen(options: SocketOptions, connectionLimit: number | undefined): number | UnboundSocket {
    if (connectionLimit === undefined) return this.open(LISTENER, options, options, undefined);
    writeRequest(LISTENER, options, options, undefined);
    const opened = this.native.listen(request, options.interface, connectionLimit);
    if (isFailure(opened)) throw toError(opened);
    return opened;
  }

  /** The local side of the socket that was opened last. */
  opened(): Endpoint {
    return Endpoint.at(request, LOCAL_AT);
  }

  add(owner: SocketOwner): void {
    this.#owners[owner.id & PLACE_MASK] = owner;
  }

  remove(owner: SocketOwner): void {
    const place = owner.id & PLACE_MASK;
    if (this.#owners[place] === owner) this.#owners[place] = undefined;
  }

  addRelay(id: number, done: (errno: number) => void): void {
    this.#relays.set(id, done);
  }

  removeRelay(id: number): void {
    this.#relays.delete(id);
  }

  /** One more that the process is kept alive for. */
  ref(): void {
    if (this.#held++ > 0) return;
    // Waking up never: the timer is only there. The reader itself does not hold the process. Kept, since a new one
    // costs more.
    if (this.#hold === undefined) this.#hold = holdProcess();
    else this.#hold.ref();
  }

  /** One less. */
  unref(): void {
    if (--this.#held === 0) this.#hold?.unref();
  }

  #onReady(): void {
    let isDone = false;
    try {
      isDone = this.#fetch();
    } finally {
      // What a handler throws is thrown; what is behind it is not lost, be it here or in the addon, which has rung for
      // it already.
      if (!isDone) setImmediate(() => this.#onReady());
    }
  }

  /** Tells what has happened; `false` if there is more. */
  #fetch(): boolean {
    // A handler has thrown amid the records of the last time.
    this.#tell();
    for (let turn = 0; ; turn++) {
      if (SLAB_BYTES - this.#end < SLAB_ROOM) this.#renew();
      const end = socketDrain(this.number, this.#slab, this.#end);
      this.#end = end & ~MORE;
      this.#tell();
      if (end < MORE) return true;
      if (turn === MOST_DRAINS) return false;
      this.#renew();
    }
  }

  #renew(): void {
    this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#words = wordsOf(this.#slab);
    this.#next = 0;
    this.#end = 0;
  }

  #tell(): void {
    while (this.#next < this.#end) this.#one();
  }

  #one(): void {
    const words = this.#words;
    const at = this.#next;
    const word = at >> 2;
    const id = (words[word] ?? 0) >>> 0;
    const kinds = words[word + 1] ?? 0;
    const kind = kinds & 0xff;
    const endpoints = (kinds >> 8) & 0xff;
    const length = words[word + 2] ?? 0;
    const start = at + RECORD_HEAD_BYTES + endpoints * ENDPOINT_BYTES;
    const hasData = kind === DATA || kind === DATAGRAM;
    this.#next = hasData ? (start + length + 7) & ~7 : start;
    if (kind === RELAYED) {
      this.#relays.get(id)?.(length === 0 ? 0 : -length);
      return;
    }
    const owner = this.#owners[id & PLACE_MASK];
    // Closed meanwhile; with a listener go those that nobody was told of.
    if (owner === undefined || owner.id !== id)
      return kind === ACCEPTED ? this.#drop((words[word + 3] ?? 0) >>> 0) : undefined;
    switch (kind) {
      case DATA:
        owner.onData(this.#slab.subarray(start, start + length));
        break;
      case DATAGRAM: {
        const from = this.#sender(word + 4, at + RECORD_HEAD_BYTES);
        const to = endpoints > 1 ? Endpoint.at(this.#slab, at + RECORD_HEAD_BYTES + ENDPOINT_BYTES) : undefined;
        owner.onDatagram(this.#slab.subarray(start, start + length), from, to);
        break;
      }
      case END:
        owner.onEnd();
        break;
      case ERROR:
        owner.onError(-length, SYSCALLS[words[word + 3] ?? 0] ?? '');
        break;
      case CONNECTED:
        owner.onConnected(Endpoint.at(this.#slab, at + RECORD_HEAD_BYTES));
        break;
      case WRITABLE:
        owner.onWritable();
        break;
      case ACCEPTED: {
        const local = Endpoint.at(this.#slab, at + RECORD_HEAD_BYTES);
        const remote = Endpoint.at(this.#slab, at + RECORD_HEAD_BYTES + ENDPOINT_BYTES);
        owner.onAccepted((words[word + 3] ?? 0) >>> 0, local, remote);
        break;
      }
      case DETACHED:
        owner.onDetached();
        break;
      default:
    }
  }

  #drop(accepted: number): void {
    socketClose(this.number, accepted, true);
    this.native.release(accepted);
  }

  /** The sender at a place of the slab: the same object as last time if it is the same sender. */
  #sender(word: number, at: number): Endpoint {
    const words = this.#words;
    const last = this.#lastWords;
    if (this.#lastFrom !== undefined) {
      let same = true;
      for (let i = 0; same && i < 6; i++) same = words[word + i] === last[i];
      if (same) return this.#lastFrom;
    }
    last.set(words.subarray(word, word + 6));
    this.#lastFrom = Endpoint.at(this.#slab, at);
    return this.#lastFrom;
  }
}

function wordsOf(slab: Buffer): Int32Array {
  return new Int32Array(slab.buffer, slab.byteOffset, SLAB_BYTES >> 2);
}

let table: SocketTable | undefined;
let wanted: PipeReader = 'auto';

/** The sockets of this environment, made when first needed. @internal */
export function sockets(): SocketTable {
  table ??= new SocketTable(wanted);
  return table;
}

/** The sockets if there are any yet. @internal */
export function existingSockets(): SocketTable | undefined {
  return table;
}

/** Chooses the reader before the first socket is opened; gives whether that is still possible. @internal */
export function chooseReader(reader: PipeReader): boolean {
  if (table !== undefined) return false;
  wanted = reader;
  return true;
}
