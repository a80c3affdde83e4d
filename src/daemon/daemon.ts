/** Servers at many addresses, that answer each peer from the address it has asked. */
import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';
import { ACCEPT_QUEUE } from '../defaults.ts';
import { callSite } from '../errors/call-site.ts';
import { RoutePoolError } from '../errors/errors.ts';
import { FAMILIES } from '../address/family.ts';
import { listInterfaces, type InterfaceFacts } from '../interface/facts.ts';
import { Interface } from '../interface/interface.ts';
import { requireBounded } from '../native/option-bounds.ts';
import { asCaller, checkChoice, checkListener, wrong } from '../options/check.ts';
import type { Endpoint } from '../address/endpoint.ts';
import { iterate } from '../pipe/messages/message-iterator.ts';
import { MessageQueue } from '../pipe/messages/message-queue.ts';
import type { Pipe } from '../pipe/pipe.ts';
import { type Protocol, TCP, UDP } from '../pipe/protocol.ts';
import { checkReceive, type ReceiveOptions } from '../pipe/messages/receive-options.ts';
import { sockets } from '../pipe/sockets/socket-table.ts';
import { openServers, type ListenFailure } from './listen.ts';
import {
  checkDaemonOptions,
  checkListenOptions,
  type CheckedDaemonOptions,
  type DaemonOptions,
  type ListenOptions,
} from './options.ts';
import type { DaemonServer, ServerOwner } from './server.ts';
import { readListenTargets, type ListenTargets } from './listen-targets.ts';

/** Events of a daemon. */
export interface DaemonEvents {
  /** A connection, or the first datagram of a peer. */
  pipe: [pipe: Pipe, server: DaemonServer];
  /** Accepting has failed, for want of descriptors or memory; it is tried again. It may go without a listener. */
  error: [error: Error, server: DaemonServer];
  /** All is closed. */
  close: [];
}

/** What {@link Daemon.listen} has opened. */
export interface ServerGroup extends AsyncDisposable {
  /** One for each socket. */
  readonly servers: readonly DaemonServer[];
  /** Addresses that could not be listened at; only with `allowPartial`. */
  readonly failed: readonly ListenFailure[];
  /** The port, the same for all. */
  readonly port: number;
  /**
   * Closes these servers and all that came through them; others of the daemon go on, and so does who waits in
   * {@link Daemon.accept}.
   */
  close(): Promise<void>;
}

interface Arrival {
  readonly data: Uint8Array;
  readonly pipe: Pipe;
  readonly server: DaemonServer;
}

const NOTHING = new Uint8Array(0);

/**
 * Servers, TCP and UDP, at any number of addresses. Each connection, and each peer that sends datagrams, is a
 * {@link Pipe} whose answers leave from the address that was asked.
 *
 * Pipes go to whoever listens for `pipe`, `addUpListener` or `addMessageListener`; else they wait for
 * {@link Daemon.accept} or a loop over the daemon, and when 128 wait no more are accepted. As Node's own servers it
 * keeps the process alive.
 *
 * @example
 * const daemon = new Daemon();
 * await daemon.listen(TCP, 8080, pool);
 * for await (const pipe of daemon) {
 *   await pipe.send(`you asked ${pipe.localAddress}, seen as ${pipe.externalAddress}\n`);
 *   await pipe.close();
 * }
 */
export class Daemon extends EventEmitter<DaemonEvents> implements AsyncDisposable, AsyncIterable<Pipe> {
  readonly #options: CheckedDaemonOptions;
  readonly #servers: Set<DaemonServer> = new Set<DaemonServer>();
  readonly #arrivals: MessageQueue<Arrival>;
  readonly #messageListeners: Set<(data: Buffer, from: Endpoint, pipe: Pipe) => void> = new Set<
    (data: Buffer, from: Endpoint, pipe: Pipe) => void
  >();
  readonly #upListeners: Set<(pipe: Pipe) => void> = new Set<(pipe: Pipe) => void>();
  readonly #endListeners: Set<(pipe: Pipe, error: Error | undefined) => void> = new Set<
    (pipe: Pipe, error: Error | undefined) => void
  >();
  readonly #owner: ServerOwner;
  #connections = 0;
  /** The number of the limit of connections in the table, where there is one: made with the first server. */
  #limit: number | undefined;
  /** Nobody takes what has come. */
  #held = false;
  #closing: Promise<void> | undefined;

  /**
   * Opens nothing yet: see {@link Daemon.listen}.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION`
   */
  constructor(options: DaemonOptions = {}) {
    super();
    this.#options = asCaller(Daemon as never, () => checkDaemonOptions(options));
    const flow = { hold: () => this.#hold(true), release: () => this.#hold(false) };
    this.#arrivals = new MessageQueue<Arrival>(
      { maxMessages: ACCEPT_QUEUE, maxBytes: Infinity, overflow: 'wait' },
      flow,
    );
    const connectionLimit = () => this.#openLimit();
    this.#owner = {
      options: this.#options,
      get connectionLimit() {
        return connectionLimit();
      },
      takePlace: () => {
        const limit = connectionLimit();
        return !this.#held && (limit === undefined || sockets().native.acquirePlace(limit));
      },
      onPipe: (pipe, server) => this.#onPipe(pipe, server),
      onIgnored: (channel) => this.#leave(channel.id),
      onError: (error, server) => this.listenerCount('error') > 0 && this.emit('error', error, server),
    };
    (this as EventEmitter).on('newListener', (event) => event === 'pipe' && queueMicrotask(() => this.#handOut()));
  }

  /**
   * Listens at addresses of this machine. A block, or a pool with more than 64 addresses, is served by one socket for
   * each family (Linux), and only its own addresses are.
   *
   * @param port 0 to 65535; 0 picks one that is free at all of them, or takes that of a bound route
   * @throws system errors in Node's shape with the address that failed (`bind EADDRINUSE 192.0.2.1:80`), after closing
   *   the others; RoutePoolError `ERR_ROUTEPOOL_NOT_LOCAL`, `ERR_ROUTEPOOL_NO_ROUTE`, `ERR_ROUTEPOOL_OPTION`,
   *   `ERR_ROUTEPOOL_CLOSED`
   */
  async listen(
    protocol: Protocol,
    port: number,
    where: ListenTargets,
    options: ListenOptions = {},
  ): Promise<ServerGroup> {
    return this.#listen(protocol, port, where, options, this.listen);
  }

  /**
   * Listens at all addresses of this machine, of both families; a family that the machine does not have is left out.
   *
   * @throws as {@link Daemon.listen}: system errors in Node's shape; RoutePoolError `ERR_ROUTEPOOL_OPTION`,
   *   `ERR_ROUTEPOOL_CLOSED`
   */
  async listenAll(protocol: Protocol, port: number, options: ListenOptions = {}): Promise<ServerGroup> {
    asCaller(this.listenAll, () => checkListenOptions(options));
    const { v6only, ...rest } = options;
    // Without IPv6 in the kernel there is nothing to listen at.
    const families = FAMILIES.filter((family) => family === 4 || hasIpv6());
    const where = families.map((family) => (family === 6 ? '::' : '0.0.0.0'));
    return this.#listen(
      protocol,
      port,
      where,
      v6only === undefined || families.length === 1 ? rest : { ...rest, v6only },
      this.listenAll,
    );
  }

  /**
   * Listens at 127.0.0.1 and ::1, where the machine has them.
   *
   * @throws as {@link Daemon.listen}: system errors in Node's shape; RoutePoolError `ERR_ROUTEPOOL_OPTION`,
   *   `ERR_ROUTEPOOL_CLOSED`
   */
  async listenLoopback(protocol: Protocol, port: number, options: ListenOptions = {}): Promise<ServerGroup> {
    return this.#listen(protocol, port, hasIpv6() ? ['127.0.0.1', '::1'] : ['127.0.0.1'], options, this.listenLoopback);
  }

  /**
   * Listens for the networks that this machine is directly in: at its private IPv4 addresses (RFC 1918), its unique
   * local and its link-local IPv6 addresses.
   *
   * @param which an interface or its name; by default all that are up
   * @throws RoutePoolError `ERR_ROUTEPOOL_NO_ROUTE` if there are no such addresses, `ERR_ROUTEPOOL_NO_INTERFACE`
   */
  async listenLocal(
    protocol: Protocol,
    port: number,
    which?: string | Interface,
    options: ListenOptions = {},
  ): Promise<ServerGroup> {
    const where = asCaller(this.listenLocal, () => {
      checkListenOptions(options);
      return localAddresses(which);
    });
    return this.#listen(protocol, port, where, options, this.listenLocal);
  }

  #listen(
    protocol: unknown,
    port: unknown,
    where: unknown,
    options: unknown,
    caller: (...args: never[]) => unknown,
  ): ServerGroup {
    const [kind, number, served, checked] = asCaller(caller, () => {
      if (this.#closing !== undefined)
        throw new RoutePoolError('ERR_ROUTEPOOL_CLOSED', 'this daemon is closed: make another one');
      return [
        checkChoice('protocol', protocol, [TCP, UDP]) ?? wrong('protocol', "TCP ('tcp') or UDP ('udp')", protocol),
        requireBounded('port', port),
        readListenTargets(where),
        checkListenOptions(options),
      ] as const;
    });
    const { servers, failed } = openServers(
      this.#owner,
      kind,
      number === 0 ? (served.port ?? 0) : number,
      served,
      checked,
      caller,
    );
    for (const server of servers) {
      this.#servers.add(server);
      if (this.#held) server.pause();
    }
    const close = async () => {
      await Promise.all(servers.map((server) => server.close()));
      for (const server of servers) this.#servers.delete(server);
      this.#forget(new Set(servers));
    };
    return { servers, failed, port: servers[0]?.port ?? number, close, [Symbol.asyncDispose]: close };
  }

  /** The servers that listen. */
  get servers(): readonly DaemonServer[] {
    return [...this.#servers].filter((server) => !server.closed);
  }

  /** Connections and datagram peers now. */
  get connections(): number {
    return this.#connections;
  }

  /** The addon counts, since it alone knows of a connection before the system has it accepted. */
  #openLimit(): number | undefined {
    const { maxConnections } = this.#options;
    if (maxConnections === Infinity) return undefined;
    return (this.#limit ??= sockets().native.openLimit(maxConnections));
  }

  #onPipe(pipe: Pipe, server: DaemonServer): void {
    this.#connections++;
    pipe.once('close', () => this.#onGone(pipe));
    this.#arrive(pipe, server);
  }

  #onGone(pipe: Pipe): void {
    this.#connections--;
    if (this.#limit === undefined) return;
    const { socket } = pipe.core.channel;
    if (socket === undefined) sockets().native.releasePlace(this.#limit);
    else this.#leave(socket.id);
  }

  #leave(connection: number): void {
    if (this.#limit !== undefined) sockets().native.release(connection);
  }

  /** Somebody takes pipes as they come, or they wait. */
  #arrive(pipe: Pipe, server: DaemonServer): void {
    if (this.#isHeard()) this.#tell(pipe, server);
    else this.#arrivals.push({ data: NOTHING, pipe, server });
  }

  #isHeard(): boolean {
    return this.listenerCount('pipe') > 0 || this.#upListeners.size > 0 || this.#messageListeners.size > 0;
  }

  #tell(pipe: Pipe, server: DaemonServer): void {
    this.#hook(pipe);
    this.emit('pipe', pipe, server);
    for (const listener of this.#upListeners) listener(pipe);
  }

  /** What waits goes to a listener that has come. */
  #handOut(): void {
    while (this.#isHeard()) {
      const next = this.#arrivals.take();
      if (next === undefined) return;
      this.#tell(next.pipe, next.server);
    }
  }

  #hook(pipe: Pipe): void {
    if (this.#messageListeners.size > 0) {
      pipe.addMessageListener((data, from) => {
        for (const listener of this.#messageListeners) listener(data, from, pipe);
      });
    }
    if (this.#endListeners.size > 0) {
      pipe.addEndListener((error) => {
        for (const listener of this.#endListeners) listener(pipe, error);
      });
    }
  }

  #hold(held: boolean): void {
    this.#held = held;
    for (const server of this.#servers) {
      if (held) server.pause();
      else server.resume();
    }
  }

  /**
   * The next connection or datagram peer; `undefined` when none has come within `timeoutMs`, `null` once the daemon is
   * closed, for who waits then and who comes later. What waited to be accepted is closed with its servers and not given
   * any more. A group of servers that is closed ends no wait, even if it was the last: the daemon may listen again.
   *
   * @throws AbortError; RoutePoolError `ERR_ROUTEPOOL_OPTION`
   */
  async accept(options: Pick<ReceiveOptions, 'timeoutMs' | 'signal'> = {}): Promise<Pipe | undefined | null> {
    const wait = asCaller(this.accept, () => checkReceive(options, undefined));
    const origin = callSite(this.accept);
    const arrival = await this.#arrivals.next({ timeoutMs: wait.timeoutMs, signal: wait.signal }, origin);
    return arrival && this.#accepted(arrival);
  }

  /** What waited to be accepted was closed with its servers. */
  #forget(servers: ReadonlySet<DaemonServer>): void {
    for (const arrival of this.#arrivals.takeAll()) if (!servers.has(arrival.server)) this.#arrivals.push(arrival);
  }

  #accepted({ pipe }: Arrival): Pipe {
    this.#hook(pipe);
    return pipe;
  }

  /**
   * Each connection and datagram peer, until the daemon is closed; a loop over a closed one ends at once. Leaving the
   * loop closes nothing.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Pipe> {
    return iterate(this.#arrivals, (arrival) => this.#accepted(arrival));
  }

  /** The function gets each message of each pipe that comes from now on, with the pipe to answer by. */
  addMessageListener(listener: (data: Buffer, from: Endpoint, pipe: Pipe) => void): this {
    checkListener(listener, this.addMessageListener);
    this.#messageListeners.add(listener);
    queueMicrotask(() => this.#handOut());
    return this;
  }

  /** The function gets no more messages. */
  removeMessageListener(listener: (data: Buffer, from: Endpoint, pipe: Pipe) => void): this {
    this.#messageListeners.delete(listener);
    return this;
  }

  /** The function gets each pipe that comes. */
  addUpListener(listener: (pipe: Pipe) => void): this {
    checkListener(listener, this.addUpListener);
    this.#upListeners.add(listener);
    queueMicrotask(() => this.#handOut());
    return this;
  }

  /**
   * The function is told of each pipe that came after it, when nothing more will come from its peer, with the error if
   * there was one.
   */
  addEndListener(listener: (pipe: Pipe, error: Error | undefined) => void): this {
    checkListener(listener, this.addEndListener);
    this.#endListeners.add(listener);
    return this;
  }

  /** Keeps the process alive while it listens, as from the start. */
  ref(): this {
    for (const server of this.#servers) server.ref();
    return this;
  }

  /** Lets the process exit while it listens; connections hold it until they are closed. */
  unref(): this {
    for (const server of this.#servers) server.unref();
    return this;
  }

  /**
   * Stops listening and closes all pipes: what was sent goes out first, for at most `closeTimeoutMs`. Who waits in
   * `accept` gets `null`. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#arrivals.end();
    this.#arrivals.takeAll();
    await Promise.all([...this.#servers].map((server) => server.close()));
    this.#servers.clear();
    // Pipes tell of their end on the next turn.
    await new Promise(setImmediate);
    if (this.#limit !== undefined) sockets().native.closeLimit(this.#limit);
    this.emit('close');
  }

  /** Closes everything at once. */
  destroy(): this {
    for (const server of this.#servers) server.destroy();
    void this.close();
    return this;
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  static {
    Object.defineProperty(this.prototype, inspect.custom, {
      value(this: Daemon): string {
        return `Daemon { servers: [ ${this.servers.join(', ')} ], connections: ${this.connections} }`;
      },
    });
  }
}

function hasIpv6(): boolean {
  return listInterfaces({ details: true }).some((facts) => facts.addresses.some((address) => address.family === 6));
}

function localAddresses(which: unknown): string[] {
  if (which !== undefined && typeof which !== 'string' && !(which instanceof Interface))
    wrong('which', 'an interface or its name', which);
  const name = which instanceof Interface ? which.name : which;
  const all = listInterfaces({ details: true });
  const chosen =
    name === undefined
      ? all.filter((facts) => facts.up && facts.kind !== 'loopback')
      : all.filter((facts) => facts.name === name);
  if (chosen.length === 0 && name !== undefined) {
    throw new RoutePoolError(
      'ERR_ROUTEPOOL_NO_INTERFACE',
      `there is no interface '${name}'; there are ${all.map((facts) => facts.name).join(', ')}`,
      { option: 'which' },
    );
  }
  const found = chosen.flatMap((facts) =>
    facts.addresses
      .filter((address) => !address.tentative)
      .map((address) => localText(address, facts))
      .filter((text) => text !== undefined),
  );
  if (found.length > 0) return found;
  throw new RoutePoolError(
    'ERR_ROUTEPOOL_NO_ROUTE',
    `${name ?? 'this machine'} has no private and no link-local address`,
    { option: 'which' },
  );
}

function localText(
  { ip, family, scope }: InterfaceFacts['addresses'][number],
  { index }: InterfaceFacts,
): string | undefined {
  if (scope === 'link-local' && family === 6) return `${ip}%${index}`;
  return scope === 'private' || scope === 'unique-local' || scope === 'link-local' ? ip : undefined;
}
