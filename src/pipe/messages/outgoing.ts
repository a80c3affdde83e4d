/** What a pipe sends, in order: at once where the kernel takes it, else from a queue. */
import { SENDS_PER_TURN } from '../../defaults.ts';
import { callSite, withStackOf } from '../../errors/call-site.ts';
import type { Channel } from '../sockets/channel.ts';
import type { Endpoint } from '../../address/endpoint.ts';
import { TCP } from '../protocol.ts';
import { isIcmp, systemError } from '../system-errors.ts';

interface Waiting {
  data: Uint8Array;
  readonly to: Endpoint | undefined;
  readonly done: (error?: Error) => void;
}

/** Bytes of small pieces of a stream that are sent with one system call. */
const GATHER_BYTES = 65_536;

/** The same promise for all that was sent at once. */
const SENT: Promise<void> = Promise.resolve();

/** What a queue tells its pipe. */
export interface OutgoingEvents {
  /** A stream is broken: nothing can be sent any more. */
  onBroken(error: Error): void;
  /** An ICMP message to an earlier datagram. */
  onRefused(error: Error): void;
  /** Nothing waits any more. */
  onDrained(): void;
}

export class Outgoing {
  readonly #channel: Channel;
  readonly #events: OutgoingEvents;
  #queue: Waiting[] = [];
  #bytes = 0;
  #inARow = 0;
  sent = 0;

  constructor(channel: Channel, events: OutgoingEvents) {
    this.#channel = channel;
    this.#events = events;
  }

  /** Bytes that the kernel has not taken. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  /** Settles when the kernel has taken all of it. `caller` is left out of an error's stack. */
  send(data: Uint8Array, to: Endpoint | undefined, caller: (...args: never[]) => unknown): Promise<void> {
    if (this.#queue.length === 0) {
      const taken = this.#write(data, to);
      if (taken === data.length) {
        // A loop of sends that never has to wait would otherwise leave no time to anything else.
        if (++this.#inARow < SENDS_PER_TURN) return SENT;
        this.#inARow = 0;
        return new Promise((resolve) => setImmediate(resolve));
      }
      if (typeof taken !== 'number') {
        Error.captureStackTrace(taken, caller);
        return Promise.reject(taken);
      }
      data = data.subarray(taken);
    }
    const origin = callSite(caller);
    return new Promise((resolve, reject) => {
      this.#wait(data, to, (error) => (error === undefined ? resolve() : reject(withStackOf(again(error), origin))));
    });
  }

  /** As {@link Outgoing.send} without a promise; gives whether `done` has been called already. */
  sendNow(data: Uint8Array, to: Endpoint | undefined, done: (error?: Error) => void): boolean {
    if (this.#queue.length === 0) {
      const taken = this.#write(data, to);
      if (taken === data.length) {
        done();
        return true;
      }
      if (typeof taken !== 'number') {
        done(taken);
        return true;
      }
      data = data.subarray(taken);
    }
    this.#wait(data, to, done);
    return false;
  }

  #wait(data: Uint8Array, to: Endpoint | undefined, done: (error?: Error) => void): void {
    this.#bytes += data.length;
    if (this.#queue.push({ data, to, done }) === 1) this.#channel.wantWritable();
  }

  /** The number of bytes taken, or the error of this send. */
  #write(data: Uint8Array, to: Endpoint | undefined): number | Error {
    const channel = this.#channel;
    let taken = channel.write(data, to);
    if (taken < 0 && isIcmp(taken) && channel.protocol !== TCP) {
      // It speaks of an earlier datagram (udp(7)): this one has not been sent yet.
      this.#events.onRefused(systemError(taken, 'recvmsg', channel.remote, channel.local));
      taken = channel.write(data, to);
    }
    if (taken >= 0) {
      this.sent += taken;
      return taken;
    }
    const error = systemError(taken, channel.protocol === TCP ? 'write' : 'send', to ?? channel.remote, channel.local);
    if (channel.protocol === TCP) this.#events.onBroken(error);
    return error;
  }

  /** There is room: sends what waits. */
  onWritable(): void {
    while (this.#queue.length > 0) {
      const count = this.#gathered();
      const [first] = this.#queue;
      if (first === undefined) return;
      const data = count === 1 ? first.data : Buffer.concat(this.#queue.slice(0, count).map((each) => each.data));
      const taken = this.#write(data, first.to);
      if (typeof taken !== 'number') {
        // A broken stream has emptied the queue already.
        if (this.#queue[0] !== first) return;
        this.#queue.shift();
        this.#bytes -= first.data.length;
        first.done(taken);
        continue;
      }
      if (!this.#taken(taken, data.length)) {
        this.#channel.wantWritable();
        return;
      }
    }
    this.#events.onDrained();
  }

  /** How many of those that wait go out together: small pieces of a stream. */
  #gathered(): number {
    if (this.#channel.protocol !== TCP) return 1;
    let bytes = 0;
    let count = 0;
    for (const each of this.#queue) {
      bytes += each.data.length;
      if (count > 0 && bytes > GATHER_BYTES) break;
      count++;
    }
    return count;
  }

  /** Takes `taken` of `offered` bytes off the queue; gives whether that is all of them. */
  #taken(taken: number, offered: number): boolean {
    this.#bytes -= taken;
    let left = taken;
    let whole = 0;
    for (const each of this.#queue) {
      if (each.data.length > left) {
        each.data = each.data.subarray(left);
        break;
      }
      left -= each.data.length;
      whole++;
      // An empty piece behind the last taken byte goes with the next write.
      if (left === 0) break;
    }
    const done = this.#queue.splice(0, whole);
    for (const each of done) each.done();
    return taken === offered;
  }

  /** Nothing more can be sent: whoever waits gets the error. */
  fail(error: Error): void {
    const queue = this.#queue;
    this.#queue = [];
    this.#bytes = 0;
    for (const each of queue) each.done(error);
  }
}

/** The same error once more, since each send has the stack of its own call. */
function again(error: Error): Error {
  return Object.assign(new Error(error.message), error);
}
