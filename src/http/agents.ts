/** Agents of `http` and `https` whose connections leave by a route, or by the routes of a pool in turn. */
import type { Agent as HttpAgent, AgentOptions as HttpAgentOptions, ClientRequest } from 'node:http';
import type { Agent as HttpsAgent, AgentOptions as HttpsAgentOptions } from 'node:https';
import type { LookupFunction } from 'node:net';
import type { Duplex } from 'node:stream';
import { RoutePoolError } from '../errors/errors.ts';
import type { Family } from '../address/family.ts';
import { http, https, lazyClass } from '../node-modules.ts';
import { checkAgentOptions, checkRequest } from './options.ts';
import { asCaller, asOptions, checkChoice } from '../options/check.ts';
import { checkPick, picker, type RoutePickerOptions } from './pick.ts';
import { openStream, type OpenStreamOptions } from './open-stream.ts';
import type { PipeStream } from '../pipe/stream.ts';
import type { Route } from '../routes/route.ts';
import type { RoutePool } from '../routes/route-pool.ts';

/**
 * What Node's agents take and a route does not: it says itself where connections leave from, and requests say where
 * they go.
 */
type RouteSays =
  | 'localAddress'
  | 'localPort'
  | 'host'
  | 'port'
  | 'path'
  | 'socket'
  | 'hints'
  | 'autoSelectFamily'
  | 'autoSelectFamilyAttemptTimeout'
  | 'onread';

/** For `http`: what `http.Agent` takes, but for what the route says. */
export interface RouteAgentOptions extends Omit<HttpAgentOptions, RouteSays> {
  /** Left out, or `http:`. */
  protocol?: 'http:' | undefined;
}

/** For `https`: what `https.Agent` takes, certificates included, but for what the route says. */
export interface RouteHttpsAgentOptions extends Omit<HttpsAgentOptions, RouteSays> {
  /** Makes it an agent for `https`. */
  protocol: 'https:';
}

/** What Node gives an agent with each request, as far as it matters here. */
interface RequestOptions {
  host?: string | null | undefined;
  hostname?: string | null | undefined;
  port?: number | string | null | undefined;
  lookup?: LookupFunction | undefined;
  localAddress?: string | undefined;
  noDelay?: boolean | undefined;
  keepAlive?: boolean | undefined;
  keepAliveInitialDelay?: number | undefined;
  [ROUTE]?: Route | undefined;
}

/** Keeps the route of a request among its options, which Node copies around. */
const ROUTE: unique symbol = Symbol('routepool.route');

/** What `http` and `https` share: a route for each request, and connections that belong to their route. */
class Routing {
  readonly #pick: (request: unknown) => Route;

  constructor(pick: (request: unknown) => Route) {
    this.#pick = pick;
  }

  /** The request's options with a route, by which idle connections are found again. */
  choose(options: RequestOptions): RequestOptions {
    const route = this.#pick(options);
    checkRequest(options, route.af);
    return { ...options, [ROUTE]: route, localAddress: route.local() };
  }

  /** What tells connections apart beyond Node's own: two interfaces may have the same address. */
  name(options: RequestOptions | undefined): string {
    const route = options?.[ROUTE];
    return route === undefined ? '' : `:${route.interface ?? ''}`;
  }

  connect(options: RequestOptions): PipeStream {
    // A socket that was asked for without a request, as some libraries do, has no route yet.
    const route = options[ROUTE] ?? this.#pick(options);
    const { host, hostname, port, lookup, noDelay, keepAlive, keepAliveInitialDelay } = options;
    // `net.LookupFunction` is ours as long as all addresses are asked for, which they are.
    const asked = lookup as OpenStreamOptions['lookup'];
    return openStream([host ?? hostname ?? 'localhost', Number(port)], route, {
      lookup: asked,
      noDelay,
      keepAlive,
      keepAliveInitialDelay,
    });
  }
}

class RouteHttpAgent extends lazyClass(() => http().Agent) {
  readonly #routing: Routing;

  constructor(routing: Routing, options: HttpAgentOptions) {
    super({ keepAlive: true, ...options });
    this.#routing = routing;
  }

  /** Where Node hands a request to its agent; not documented, but what every agent of the ecosystem builds upon. */
  addRequest(request: ClientRequest, options: RequestOptions): void {
    handOver(http().Agent.prototype, this, request, () => this.#routing.choose(options));
  }

  override keepSocketAlive(socket: Duplex): boolean {
    // It does give an answer, whatever its type says.
    return !mustMakeRoom(this) && (super.keepSocketAlive(socket) as unknown as boolean);
  }

  override getName(options?: RequestOptions): string {
    return super.getName(options as Parameters<HttpAgent['getName']>[0]) + this.#routing.name(options);
  }

  override createConnection(options: RequestOptions & { timeout?: number | undefined }): Duplex {
    const stream = this.#routing.connect(options);
    // Of a new connection Node leaves this to `net.connect`; for https to `tls.connect`.
    if (options.timeout) stream.setTimeout(options.timeout);
    return stream;
  }
}

class RouteHttpsAgent extends lazyClass(() => https().Agent) {
  readonly #routing: Routing;

  constructor(routing: Routing, options: HttpsAgentOptions) {
    super({ keepAlive: true, ...options });
    this.#routing = routing;
  }

  addRequest(request: ClientRequest, options: RequestOptions): void {
    handOver(https().Agent.prototype, this, request, () => this.#routing.choose(options));
  }

  override keepSocketAlive(socket: Duplex): boolean {
    // It does give an answer, whatever its type says.
    return !mustMakeRoom(this) && (super.keepSocketAlive(socket) as unknown as boolean);
  }

  override getName(options?: RequestOptions): string {
    return super.getName(options as Parameters<HttpsAgent['getName']>[0]) + this.#routing.name(options);
  }

  override createConnection(options: object): Duplex | null | undefined {
    // Node's own does the TLS over a stream that it is given, and keeps the sessions.
    return super.createConnection({ ...options, socket: this.#routing.connect(options) } as never);
  }
}

interface AddsRequests {
  addRequest(request: ClientRequest, options: RequestOptions): void;
}

/** An agent that throws would throw out of `http.request`; as errors of a connection these belong to the request. */
function handOver(prototype: object, agent: HttpAgent, request: ClientRequest, choose: () => RequestOptions): void {
  let options: RequestOptions;
  try {
    options = choose();
  } catch (error) {
    const reason =
      error instanceof Error ? error : new RoutePoolError('ERR_ROUTEPOOL_NO_ROUTE', String(error), { cause: error });
    (request as unknown as { onSocket(socket: null, error: Error): void }).onSocket(null, reason);
    return;
  }
  makeRoom(agent, options);
  (prototype as AddsRequests).addRequest.call(agent, request, options);
}

/**
 * At `maxTotalSockets` Node lets a request wait until a socket closes, and counts idle ones. Each source has
 * connections of its own, so all may be idle ones of other sources, which nothing would ever close: the one that is
 * idle longest goes instead.
 */
function makeRoom(agent: HttpAgent, options: RequestOptions): void {
  if (!isFull(agent)) return;
  const isUsable = (socket: Duplex) => !socket.destroyed;
  const own = agent.freeSockets[agent.getName(options as Parameters<HttpAgent['getName']>[0])];
  if (own?.some(isUsable)) return;
  for (const idle of Object.values(agent.freeSockets)) {
    const oldest = idle?.find(isUsable);
    if (oldest !== undefined) return void oldest.destroy();
  }
}

/** Whether a connection must close rather than idle, since requests of other sources wait for its place. */
function mustMakeRoom(agent: HttpAgent): boolean {
  return isFull(agent) && Object.keys(agent.requests).length > 0;
}

function isFull(agent: HttpAgent): boolean {
  return (agent as unknown as { totalSocketCount: number }).totalSocketCount >= agent.maxTotalSockets;
}

/** An agent whose connections leave by `route`. @internal */
export function routeAgent(
  route: Route,
  options: RouteAgentOptions | RouteHttpsAgentOptions,
  caller: (...args: never[]) => unknown,
): HttpAgent {
  return asCaller(caller, () => make(options, route.af, false, () => () => route));
}

/** An agent whose connections leave by the routes of a pool. @internal */
export function poolAgent(
  pool: RoutePool,
  options: (RouteAgentOptions | RouteHttpsAgentOptions) & RoutePickerOptions,
  caller: (...args: never[]) => unknown,
): HttpAgent {
  return asCaller(caller, () => make(options, pool.af, true, (pick) => picker(pool, checkPick(pick))));
}

function make(
  options: (RouteAgentOptions | RouteHttpsAgentOptions) & RoutePickerOptions,
  family: Family,
  hasPick: boolean,
  chooser: (pick: unknown) => (request: unknown) => Route,
): HttpAgent {
  const { protocol, ...known } = asOptions(options) as typeof options;
  const isHttps = checkChoice('protocol', protocol, ['http:', 'https:']) === 'https:';
  checkAgentOptions(known, { isHttps, family, hasPick });
  const { pick, ...rest } = known;
  const routing = new Routing(chooser(pick));
  return isHttps ? new RouteHttpsAgent(routing, rest) : new RouteHttpAgent(routing, rest);
}
