/** A STUN server, with one address or with two and all of RFC 5780. */
import { checkBounded } from '../native/option-bounds.ts';
import { holdProcess } from '../native/process-hold.ts';
import {
  type NativeStunServer,
  type NativeStunConfig,
  startStunServer,
  stunIgnoredReasons,
} from '../native/binding.ts';
import { unwrap } from '../native/failure.ts';
import { metricsText } from './metrics.ts';
import { asCaller, checkBoolean, checkNames, checkString, omitUndefined, wrong } from '../options/check.ts';

/** Where to listen, and what to answer. */
export interface StunServerOptions {
  /**
   * Addresses of this machine, no wildcards; `127.0.0.1` by default. With one of a family the server answers plain
   * Binding requests; with two it is a server of RFC 5780, which clients can ask to answer from the other address or
   * port. Both families can be served at once: up to two IPv4 and two IPv6 addresses.
   */
  address?: string | readonly string[] | undefined;
  /**
   * What clients see instead of each of `address`, in the same order, where a NAT maps addresses one to one (the usual
   * set-up of clouds). By default they see the addresses themselves.
   */
  advertise?: string | readonly string[] | undefined;
  /** Port, 0 to 65535; 0, the default, picks a free one. */
  port?: number | undefined;
  /** The other port of RFC 5780, 0 to 65535; by default the next after `port`, or a free one if that is 0. */
  otherPort?: number | undefined;
  /**
   * Also listen for TCP connections, at the same addresses and ports; false by default. At most 1,024 connections at
   * once, 64 of one address; one that sends nothing for 60 s is closed.
   */
  tcp?: boolean | undefined;
  /** Blocks (`10.0.0.0/8`, ranges, addresses) whose addresses may ask; everybody by default. */
  allow?: string | readonly string[] | undefined;
  /**
   * Replies a second that each IPv4 /24 and each IPv6 /56 of sources gets, 0.01 to 1,000,000, or 0 for no limit; 1,000
   * by default. It keeps the server from being used against somebody whose addresses are forged. Loopback has no limit.
   * For the validation of an IPv6 block, whose sources are all in one prefix, or through a NAT, set it to 0 and name
   * `allow`.
   */
  ratePerPrefix?: number | undefined;
  /** Threads, 1 to 64; 1 by default. More than one is offered on Linux only (`SO_REUSEPORT`). */
  workers?: number | undefined;
  /** Also answer IPv4 clients of RFC 3489, which send no magic cookie; false by default. */
  rfc3489?: boolean | undefined;
  /** What to call itself in each success response (SOFTWARE), cut to 64 bytes; by default nothing, which is shorter. */
  software?: string | undefined;
  /** Bytes of receive buffer to ask the kernel for, for each socket, 1,024 to 1,073,741,824; 4 MiB by default. */
  receiveBuffer?: number | undefined;
}

/** One address and port of a server. */
export interface StunEndpoint {
  /** The address it is bound to. */
  readonly address: string;
  /** The port it is bound to. */
  readonly port: number;
  /** The address that clients are told of; the port is the same. */
  readonly advertised: string;
}

/** Why a datagram got no reply. */
export type StunIgnoredReason =
  /** No STUN message. */
  | 'not-stun'
  /** A STUN message of another length than it says. */
  | 'wrong-length'
  /** A response, an indication, or another method than Binding. Nothing but a request is ever answered. */
  | 'not-a-request'
  /** FINGERPRINT is there and wrong. */
  | 'wrong-fingerprint'
  /** A request of RFC 3489, and `rfc3489` is off. */
  | 'no-cookie'
  /** From an address that nobody can have, or from the server itself. */
  | 'bad-source'
  /** From an address that is not allowed to ask. */
  | 'not-allowed'
  /** From a prefix that has had its share. */
  | 'rate-limited'
  /** The system refused to send the reply. */
  | 'send-failed';

/** What a server has done so far. */
export interface StunServerCounters {
  /** Datagrams, and messages over TCP, received. */
  readonly requests: number;
  /** Replies sent, error responses among them. */
  readonly replies: number;
  /** Error responses (400, 420) among the replies. */
  readonly errors: number;
  /** Datagrams that got no reply. */
  readonly ignored: number;
  /** The same by reason. */
  readonly reasons: Readonly<Record<StunIgnoredReason, number>>;
  /** TCP connections accepted so far. */
  readonly connections: number;
  /** TCP connections closed at once: too many, or from an address that is not allowed. */
  readonly refused: number;
  /** Datagrams that the kernel dropped since a receive buffer was full; they are in no other count. */
  readonly dropped: number;
}

/** `host` is what `net.Server.listen` and `dgram` examples call it. */
const SYNONYMS = {
  host: 'address',
  hostname: 'address',
  ip: 'address',
  addresses: 'address',
  advertised: 'advertise',
  alternatePort: 'otherPort',
};

const KNOWN = [
  'address',
  'advertise',
  'port',
  'otherPort',
  'tcp',
  'allow',
  'ratePerPrefix',
  'workers',
  'rfc3489',
  'software',
  'receiveBuffer',
] as const satisfies readonly (keyof StunServerOptions)[];

/** One text or a list of them. */
function checkTexts(option: string, value: unknown, expected: string): string[] | undefined {
  if (value === undefined) return undefined;
  const texts: unknown[] = Array.isArray(value) ? [...value] : [value];
  const right = texts.length > 0 && texts.every((text) => typeof text === 'string' && text.length > 0);
  return right ? (texts as string[]) : wrong(option, expected, value);
}

const ADDRESSES = 'an IP address or a list of them';

function checkServerOptions(options: unknown): NativeStunConfig {
  const given = checkNames(options, KNOWN, SYNONYMS);
  return {
    addresses: checkTexts('address', given.address, ADDRESSES) ?? ['127.0.0.1'],
    port: checkBounded('port', given.port) ?? 0,
    ...omitUndefined({
      advertise: checkTexts('advertise', given.advertise, ADDRESSES),
      otherPort: checkBounded('otherPort', given.otherPort),
      tcp: checkBoolean('tcp', given.tcp),
      allow: checkTexts('allow', given.allow, 'a block like 10.0.0.0/8 or a list of them'),
      ratePerPrefix: given.ratePerPrefix === 0 ? 0 : checkBounded('ratePerPrefix', given.ratePerPrefix),
      workers: checkBounded('workers', given.workers),
      rfc3489: checkBoolean('rfc3489', given.rfc3489),
      software: checkString('software', given.software),
      receiveBuffer: checkBounded('receiveBuffer', given.receiveBuffer),
    }),
  };
}

const REASONS = stunIgnoredReasons() as StunIgnoredReason[];

/** Servers that listen. A server that nobody holds any more must go on, and not end when its object is collected. */
const listening = new Set<StunServer>();

/**
 * Answers STUN Binding requests over UDP (RFC 8489) with the address that they came from, on threads of its own; with
 * two addresses it lets clients find out how their NAT behaves (RFC 5780). It is made of what {@link validate} uses for
 * loopback blocks; run it on another host to validate blocks through a network. As Node's own servers it keeps the
 * process alive until it is closed, or {@link StunServer.unref} is called.
 *
 * @example
 * const server = StunServer.listen({ address: '127.0.0.1' });
 * const summary = await validate('127.16.0.0/24', { servers: `${server.address}:${server.port}` }).summary();
 * await server.close();
 * @example
 * const server = StunServer.listen({ address: ['192.0.2.1', '192.0.2.2'], port: 3478 }); // and 3479: RFC 5780
 */
export class StunServer implements AsyncDisposable {
  readonly #native: NativeStunServer;
  /** Holds the process; the server itself runs on a thread that does not. */
  readonly #hold: NodeJS.Timeout = holdProcess();
  /** The address it listens at. */
  readonly address: string;
  /** The port it listens at. */
  readonly port: number;
  /**
   * All endpoints. A family with one address has one; with two it has four: first address and port, first address and
   * other port, second address and port, second address and other port.
   */
  readonly endpoints: readonly StunEndpoint[];

  /** @internal */
  constructor(native: NativeStunServer) {
    this.#native = native;
    this.endpoints = Object.freeze(native.endpoints());
    const [first] = this.endpoints;
    this.address = first?.address ?? '';
    this.port = first?.port ?? 0;
    listening.add(this);
  }

  /**
   * Starts a server (RFC 8489; with two addresses of a family RFC 5780). It answers from threads of the addon until it
   * is closed.
   *
   * Linux: batches and threads that share the ports. Elsewhere one thread, a datagram a system call; not yet run there.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` for a wrong option, `ERR_ROUTEPOOL_NOT_LOCAL` for an IPv6 address
   *   that this machine does not hold; a system error like `bind EADDRINUSE` otherwise
   */
  static listen(options: StunServerOptions = {}): StunServer {
    const config = asCaller(StunServer.listen, () => checkServerOptions(options));
    return new StunServer(unwrap(startStunServer(config), StunServer.listen));
  }

  /** What it has done so far. */
  counters(): StunServerCounters {
    const { reasons, drops, ...counts } = this.#native.counters();
    const named = REASONS.map((reason, i) => [reason, reasons[i] ?? 0] as const);
    return { ...counts, dropped: drops, reasons: Object.fromEntries(named) as Record<StunIgnoredReason, number> };
  }

  /** The counters as Prometheus reads them (text format 0.0.4), to be served at a path like `/metrics`. */
  metrics(): string {
    return metricsText(this.counters(), this.endpoints);
  }

  /** Keeps the process alive, as it does from the start. */
  ref(): this {
    this.#hold.ref();
    return this;
  }

  /** Lets the process exit while the server listens. */
  unref(): this {
    this.#hold.unref();
    return this;
  }

  /** Stops it, closes its sockets and connections, and settles when its threads have ended. Idempotent. */
  async close(): Promise<void> {
    clearInterval(this.#hold);
    listening.delete(this);
    this.#native.stop();
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
