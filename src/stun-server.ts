/** A STUN Binding responder. */
import { type NativeResponder, startResponder } from './binding.ts';
import { unwrap } from './errors.ts';
import { asCaller, checkNames, checkNumber, checkText } from './options.ts';

/** Where to listen. */
export interface StunServerOptions {
  /** One address of this machine, not a wildcard; `127.0.0.1` by default. */
  address?: string | undefined;
  /** Port, 0 to 65535; 0, the default, picks a free one. */
  port?: number | undefined;
}

/** What a server has done so far. */
export interface StunServerCounters {
  /** Datagrams received. */
  readonly requests: number;
  /** Replies sent. */
  readonly replies: number;
  /** Datagrams that were no Binding request, or whose reply could not be sent. */
  readonly ignored: number;
}

/** `host` is what `net.Server.listen` and `dgram` examples call it. */
const SYNONYMS = { host: 'address', hostname: 'address', ip: 'address' };

function check(options: unknown): { address: string; port: number } {
  const given = checkNames(options, ['address', 'port'], SYNONYMS);
  return {
    address: checkText('address', given.address, 'an IP address') ?? '127.0.0.1',
    port: checkNumber('port', given.port, 0, 65_535, true) ?? 0,
  };
}

/** Servers that listen. A server that nobody holds any more must go on, and not end when its object is collected. */
const listening = new Set<StunServer>();

/**
 * Answers STUN Binding requests over UDP (RFC 8489) with the address that they came from, on a thread of its own. It is the
 * server that {@link validate} uses for loopback blocks; run it on another host to validate blocks through a network. As
 * Node's own servers it keeps the process alive until it is closed, or {@link StunServer.unref} is called.
 *
 * @example
 * const server = StunServer.listen({ address: '127.0.0.1' });
 * const summary = await validate('127.16.0.0/24', { server: `${server.address}:${server.port}` }).summary();
 * await server.close();
 */
export class StunServer implements AsyncDisposable {
  readonly #native: NativeResponder;
  /** Holds the process; the server itself runs on a thread that does not. */
  readonly #hold: NodeJS.Timeout = setInterval(() => undefined, 2 ** 30);
  /** The address it listens at. */
  readonly address: string;
  /** The port it listens at. */
  readonly port: number;

  /** @internal */
  constructor(native: NativeResponder) {
    this.#native = native;
    this.address = native.address();
    this.port = native.port();
    listening.add(this);
  }

  /**
   * Starts a server.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` for a wrong option; a system error like `bind EADDRINUSE` otherwise
   */
  static listen(options: StunServerOptions = {}): StunServer {
    const { address, port } = asCaller(StunServer.listen, () => check(options));
    return new StunServer(unwrap(startResponder(address, port), StunServer.listen));
  }

  /** What it has done so far. */
  counters(): StunServerCounters {
    return this.#native.counters();
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

  /** Stops it and closes its socket. Twice is fine. */
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
