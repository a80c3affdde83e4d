/** Opens pipes. */
import { ConnectAttempts } from '../binding.ts';
import { BoundRoute } from '../bound-route.ts';
import { ENDPOINT_BYTES } from '../defaults.ts';
import { abortError, RoutePoolError, withStackOf } from '../errors.ts';
import type { Family } from '../families.ts';
import { Interface } from '../interface.ts';
import { asCaller, checkChoice, wrong } from '../options.ts';
import { Route } from '../route.ts';
import { type Destination, parseDestination } from './destination.ts';
import { pipeChannel } from './diagnostics.ts';
import { Endpoint } from './endpoint.ts';
import { Pipe } from './pipe.ts';
import { type CheckedPipeOptions, checkPipeOptions, type PipeOptions } from './pipe-options.ts';
import { type Protocol, TCP, UDP } from './protocol.ts';
import { resolveDestination, type ResolvedAddress } from './resolve.ts';
import { type LocalSide, localSide } from './local-side.ts';
import { SocketChannel } from './socket-channel.ts';
import { systemError, TIMED_OUT } from './system-errors.ts';
import { secure } from './tls-channel.ts';

/** What a pipe may leave by: a route, a bound one, or an interface (then its first route). */
export type Leaving = Route | BoundRoute | Interface;

/**
 * Opens a pipe: a TCP connection, or a UDP socket, that leaves by a route.
 *
 * The socket is bound to the route's address and tied to its interface, and looked at before it is used. A name is resolved for
 * the families that the route has; of several addresses the first that answers is taken (RFC 8305). Without a route the system
 * chooses the source: towards other networks the first address of the default interface.
 *
 * An abort of `options.signal` rejects, and closes what was opened. Linux; on macOS and Windows the socket is tied to the interface in other
 * ways, not yet run there.
 *
 * @param protocol {@link TCP} or {@link UDP}
 * @param dest where to; `null` for a UDP pipe that talks to anybody
 * @throws system errors in Node's shape: `connect ECONNREFUSED`, `connect ETIMEDOUT`, `bind EADDRNOTAVAIL`, `bind EADDRINUSE`,
 *   `setsockopt EPERM` (the interface), `getaddrinfo ENOTFOUND`; RoutePoolError `ERR_ROUTEPOOL_OPTION`, `ERR_ROUTEPOOL_NO_ROUTE`,
 *   `ERR_ROUTEPOOL_RESOLVE`; AbortError
 * @example
 * const pipe = await pipeOpen(TCP, 'example.net:80', route);
 */
export function pipeOpen(protocol: Protocol, dest: Destination | null, route?: Leaving, options: PipeOptions = {}): Promise<Pipe> {
  const origin: { stack?: string } = {};
  Error.captureStackTrace(origin, pipeOpen);
  return open(protocol, dest, route, options, origin).catch((error: unknown) => {
    if (pipeChannel.hasSubscribers) pipeChannel.publish({ event: 'failed', destination: dest, error });
    throw error instanceof Error ? withStackOf(error, origin) : error;
  });
}

async function open(protocol: unknown, dest: Destination | null, leaving: unknown, options: unknown, origin: { readonly stack?: string }): Promise<Pipe> {
  const kind = checkChoice('protocol', protocol, [TCP, UDP]) ?? wrong('protocol', "TCP ('tcp') or UDP ('udp')", protocol);
  const checked = checkPipeOptions(options);
  const { signal } = checked;
  if (signal?.aborted) throw abortError(signal);
  const route = checkRoute(leaving);
  if (dest === null || dest === undefined) {
    if (kind === TCP || dest === undefined) wrong('dest', kind === TCP ? 'a destination' : 'a destination, or null for a pipe that talks to anybody,', dest);
    const side = localSide(route, route === undefined ? 4 : undefined);
    return new Pipe(SocketChannel.udp({ ...checked.socket, ...side.socket }), checked, route);
  }
  const parsed = parseDestination(dest, kind);
  const families: readonly Family[] = route === undefined ? [4, 6] : [route instanceof BoundRoute ? route.route.af : route.af];
  const found = await resolveDestination(parsed, families, checked, origin);
  const remotes = found.map((each: ResolvedAddress) => Endpoint.of(each.address, each.port));
  const [first] = remotes;
  if (first === undefined) throw new RoutePoolError('ERR_ROUTEPOOL_INTERNAL', 'a destination without an address was not refused');
  if (kind === UDP) {
    if (checked.tls !== undefined) wrong('tls', 'no tls for UDP,', true);
    const side = localSide(route, undefined);
    return new Pipe(SocketChannel.udp({ ...checked.socket, ...side.socket }, first), checked, route);
  }
  const began = performance.now();
  const channel = await connectAny(remotes, localSide(route, undefined), checked);
  if (checked.tls === undefined) return new Pipe(channel, checked, route);
  const left = Math.max(1, checked.connectTimeoutMs - (performance.now() - began));
  const inner = new Pipe(channel, checked, route, { isInner: true });
  return new Pipe(await secure(inner, checked.tls, parsed.host, left, signal), checked, route);
}

function checkRoute(route: unknown): Route | BoundRoute | undefined {
  if (route === undefined || route instanceof Route || route instanceof BoundRoute) return route;
  if (route instanceof Interface) return asCaller(pipeOpen, () => route.route());
  return wrong('route', 'a route, a bound route, an interface, or nothing,', route);
}

/** The first of several addresses that can be connected to (RFC 8305); the error is that of the first. */
async function connectAny(remotes: readonly Endpoint[], side: LocalSide, options: CheckedPipeOptions): Promise<SocketChannel> {
  const [only] = remotes;
  const deadline = performance.now() + options.connectTimeoutMs;
  if (remotes.length === 1 && only !== undefined) return connect(only, side, options, options.connectTimeoutMs, options.signal);
  const attempts = new ConnectAttempts(Buffer.concat(remotes.map((remote) => remote.packed)));
  const packed = attempts.destinations();
  const order = Array.from({ length: packed.length / ENDPOINT_BYTES }, (_, i) => Endpoint.at(packed, i * ENDPOINT_BYTES));
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
          if (waitMs !== undefined && waitMs !== null) timer = setTimeout(step, Math.max(0, waitMs - performance.now()) + 1);
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
function connect(remote: Endpoint, side: LocalSide, options: CheckedPipeOptions, timeoutMs: number, signal: AbortSignal | undefined): Promise<SocketChannel> {
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
    const channel = SocketChannel.connect({ ...options.socket, ...side.socket }, remote, {
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
