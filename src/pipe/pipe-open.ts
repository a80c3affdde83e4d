/** Opens pipes. */
import { ConnectAttempts } from '../native/binding.ts';
import type { BoundRoute } from '../routes/bound-route.ts';
import { ENDPOINT_BYTES } from '../defaults.ts';
import { callSite, withStackOf, type CallSite } from '../errors/call-site.ts';
import { abortError, RoutePoolError } from '../errors/errors.ts';
import type { Family } from '../address/family.ts';
import type { Interface } from '../interface/interface.ts';
import { wrong } from '../options/check.ts';
import type { Route } from '../routes/route.ts';
import { type Destination, parseDestination, type ParsedDestination } from './destination.ts';
import { pipeChannel } from '../diagnostics.ts';
import { Endpoint } from '../address/endpoint.ts';
import { Pipe } from './pipe.ts';
import { type CheckedPipeOptions, checkPipeOptions, type PipeOptions } from './pipe-options.ts';
import { type Protocol, TCP, UDP } from './protocol.ts';
import { resolveDestination } from './resolve.ts';
import { hasLocalSide, localOptions, sideOf, type LocalSide } from './local-side.ts';
import { SocketChannel } from './sockets/socket-channel.ts';
import type { LocalOptions } from './sockets/socket-request.ts';
import { systemError, TIMED_OUT } from './system-errors.ts';
import { secure } from './tls-channel.ts';

/** What a pipe may leave by: a route, a bound one, or an interface (then its first route). */
export type PipeSource = Route | BoundRoute | Interface;

/**
 * Opens a pipe: a TCP connection, or a UDP socket, that leaves by a route.
 *
 * The socket is bound to the route's address and interface, and looked at before it is used. A name is
 * resolved for the families that the route has; of several addresses the first that answers is taken (RFC 8305).
 * Without a route the system chooses the source: towards other networks the first address of the default interface.
 *
 * An abort of `options.signal` rejects, and closes what was opened. Linux; on macOS and Windows the socket is bound to
 * the interface in other ways, not yet run there.
 *
 * @param protocol {@link TCP} or {@link UDP}
 * @param dest where to; `null` for a UDP pipe that talks to anybody
 * @throws system errors in Node's shape: `connect ECONNREFUSED`, `connect ETIMEDOUT`, `bind EADDRNOTAVAIL`,
 *   `bind EADDRINUSE`, `setsockopt EPERM` (the interface), `getaddrinfo ENOTFOUND`; RoutePoolError
 *   `ERR_ROUTEPOOL_OPTION`, `ERR_ROUTEPOOL_NO_ROUTE`, `ERR_ROUTEPOOL_RESOLVE`; AbortError
 * @example
 * const pipe = await pipeOpen(TCP, 'example.net:80', route);
 */
export function pipeOpen(
  protocol: Protocol,
  dest: Destination | null,
  route?: PipeSource,
  options?: PipeOptions,
): Promise<Pipe> {
  try {
    const plan = checkCall(protocol, dest, route, options);
    if (plan.protocol === UDP && plan.remotes !== undefined) return Promise.resolve(openUdp(plan, plan.remotes[0]));
    // What fails later gets the stack of this call, which costs as much as all of the above.
    const origin = callSite(pipeOpen);
    return openLater(plan, origin).catch((error: unknown) => {
      tellFailure(dest, error);
      throw error instanceof Error ? withStackOf(error, origin) : error;
    });
  } catch (error) {
    if (error instanceof Error) Error.captureStackTrace(error, pipeOpen);
    tellFailure(dest, error);
    return Promise.reject(error);
  }
}

function tellFailure(destination: unknown, error: unknown): void {
  if (pipeChannel.hasSubscribers) pipeChannel.publish({ event: 'failed', destination, error });
}

/** What is to be opened, checked. */
interface Plan {
  readonly protocol: Protocol;
  readonly options: CheckedPipeOptions;
  /** What it leaves by; undefined leaves that to the system. */
  readonly side: LocalSide | undefined;
  readonly dest: ParsedDestination | undefined;
  /** Where to, unless a name has to be resolved first; empty for a pipe that talks to anybody. */
  readonly remotes: readonly Endpoint[] | undefined;
}

const ANYBODY: readonly Endpoint[] = [];

function checkCall(protocol: unknown, dest: Destination | null, leaving: unknown, given: unknown): Plan {
  if (protocol !== TCP && protocol !== UDP) return wrong('protocol', "TCP ('tcp') or UDP ('udp')", protocol);
  const options = checkPipeOptions(given);
  const { signal } = options;
  if (signal?.aborted) throw abortError(signal);
  const side = checkRoute(leaving);
  if (dest === null || dest === undefined) {
    if (protocol === TCP || dest === undefined)
      wrong(
        'dest',
        protocol === TCP ? 'a destination' : 'a destination, or null for a pipe that talks to anybody,',
        dest,
      );
    return { protocol, options, side, dest: undefined, remotes: ANYBODY };
  }
  const parsed = parseDestination(dest, protocol);
  const family = side?.route.af;
  // An address of the other family is refused where names are resolved.
  const isAddress = parsed.family !== 0 && (family === undefined || family === parsed.family);
  const remotes = isAddress
    ? [Endpoint.of(parsed.zone === undefined ? parsed.host : `${parsed.host}%${parsed.zone}`, parsed.port)]
    : undefined;
  return { protocol, options, side, dest: parsed, remotes };
}

/** Nothing has to be waited for. */
function openUdp({ options, side, dest }: Plan, remote: Endpoint | undefined): Pipe {
  if (dest !== undefined && options.tls !== undefined) wrong('tls', 'no tls for UDP,', true);
  const local = localOptions(side, dest === undefined && side === undefined ? 4 : undefined);
  return new Pipe(SocketChannel.udp(options.socket, local, remote), options.settings, side?.route);
}

async function openLater(plan: Plan, origin: CallSite): Promise<Pipe> {
  const { protocol, options, side, dest } = plan;
  const route = side?.route;
  const remotes = plan.remotes ?? (await resolve(plan, origin));
  const [first] = remotes;
  if (first === undefined || dest === undefined)
    throw new RoutePoolError('ERR_ROUTEPOOL_INTERNAL', 'a destination without an address was not refused');
  if (protocol === UDP) return openUdp(plan, first);
  const began = performance.now();
  const channel = await connectAny(remotes, localOptions(side, undefined), options);
  if (options.tls === undefined) return new Pipe(channel, options.settings, route);
  const left = Math.max(1, options.connectTimeoutMs - (performance.now() - began));
  const inner = new Pipe(channel, options.settings, route, true);
  return new Pipe(await secure(inner, options.tls, dest.host, left, options.signal), options.settings, route);
}

/** The addresses of a name, for the families that the route has. */
async function resolve({ options, side, dest }: Plan, origin: CallSite): Promise<Endpoint[]> {
  const families: readonly Family[] = side === undefined ? [4, 6] : [side.route.af];
  const found = dest === undefined ? [] : await resolveDestination(dest, families, options, origin);
  return found.map((each) => Endpoint.of(each.address, each.port));
}

function checkRoute(route: unknown): LocalSide | undefined {
  if (route === undefined) return undefined;
  if (hasLocalSide(route)) return sideOf(route);
  return wrong('route', 'a route, a bound route, an interface, or nothing,', route);
}

/** The first of several addresses that can be connected to (RFC 8305); the error is that of the first. */
function connectAny(
  remotes: readonly Endpoint[],
  side: LocalOptions,
  options: CheckedPipeOptions,
): Promise<SocketChannel> {
  const [only] = remotes;
  if (remotes.length === 1 && only !== undefined)
    return connect(only, side, options, options.connectTimeoutMs, options.signal);
  const deadline = performance.now() + options.connectTimeoutMs;
  const attempts = new ConnectAttempts(Buffer.concat(remotes.map((remote) => remote.packed)));
  const packed = attempts.destinations();
  const order = Array.from({ length: packed.length / ENDPOINT_BYTES }, (_, i) =>
    Endpoint.at(packed, i * ENDPOINT_BYTES),
  );
  const losers = new AbortController();
  const signal = options.signal === undefined ? losers.signal : AbortSignal.any([losers.signal, options.signal]);
  return new Promise<SocketChannel>((resolve, reject) => {
    const errors: unknown[] = [];
    let timer: NodeJS.Timeout | undefined;
    let isOver = false;
    const over = (end: () => void) => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      end();
      losers.abort();
    };
    const step = () => {
      clearTimeout(timer);
      if (isOver) return;
      for (;;) {
        const { start, waitMs, failed } = attempts.poll(performance.now());
        if (failed) return over(() => reject(errors[0]));
        if (start === undefined || start === null) {
          if (waitMs !== undefined && waitMs !== null)
            timer = setTimeout(step, Math.max(0, waitMs - performance.now()) + 1);
          return;
        }
        begin(start);
      }
    };
    const begin = (attempt: number) => {
      const remote = order[attempt] as Endpoint;
      connect(remote, side, options, Math.max(1, deadline - performance.now()), signal).then(
        (channel) => {
          if (isOver || !attempts.onConnected(attempt)) channel.reset();
          else over(() => resolve(channel));
        },
        (error: unknown) => {
          errors[attempt] = error;
          if (options.signal?.aborted) return over(() => reject(error));
          attempts.onFailed(attempt);
          step();
        },
      );
    };
    step();
  });
}

/** One connection. */
function connect(
  remote: Endpoint,
  side: LocalOptions,
  options: CheckedPipeOptions,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<SocketChannel> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    const fail = (error: Error) => {
      end();
      channel.reset();
      reject(error);
    };
    const channel = SocketChannel.connect(options.socket, side, remote, {
      onConnected: () => {
        end();
        resolve(channel);
      },
      onFailed: (errno) => fail(systemError(errno, 'connect', remote, side.local)),
    });
    const onAbort = () => signal && fail(abortError(signal));
    const timer = setTimeout(() => fail(systemError(TIMED_OUT, 'connect', remote, side.local)), timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
