/** Connectors for undici: `new Agent({ connect: route.connector() })`. undici itself is not needed here. */
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { asError } from '../errors/errors.ts';
import { isIP } from '../address/is-ip.ts';
import { tls as nodeTls } from '../node-modules.ts';
import { checkConnectorOptions } from './options.ts';
import { asCaller, asOptions, wrong, type LookupFunction } from '../options/check.ts';
import { checkPick, picker, type RoutePickerOptions } from './pick.ts';
import { openStream } from './open-stream.ts';
import type { Route } from '../routes/route.ts';
import type { RoutePool } from '../routes/route-pool.ts';

/** How connections are made: options of `tls.connect` for https, and these. */
export interface ConnectorOptions extends Omit<
  ConnectionOptions,
  'socket' | 'host' | 'port' | 'path' | 'localAddress' | 'lookup' | 'timeout'
> {
  /**
   * When a connection is given up, handshake included, in milliseconds; 10,000 by default, as undici's own; 0: never.
   */
  timeout?: number | undefined;
  /** How names are resolved; `dns.lookup` by default. */
  lookup?: LookupFunction | undefined;
  /** Asks a silent server whether it is still there (`SO_KEEPALIVE`); true by default, as for undici. */
  keepAlive?: boolean | undefined;
  /** After how many milliseconds of silence; 60,000 by default. */
  keepAliveInitialDelay?: number | undefined;
  /** TLS sessions that are kept for later connections, one for each server name; 100 by default, 0 keeps none. */
  maxCachedSessions?: number | undefined;
  /** Offers HTTP/2 as well. False by default; set it where undici's `allowH2` is. */
  allowH2?: boolean | undefined;
}

/** What undici asks for. */
export interface ConnectRequest {
  /** Where to, without port; IPv6 without brackets. */
  hostname: string;
  /** The same with port. */
  host?: string | undefined;
  /** `http:` or `https:`. */
  protocol: string;
  /** Decimal; empty for the port of the protocol. */
  port: string;
  /** The name that the certificate must have (SNI, RFC 6066); the host name if left out. */
  servername?: string | null | undefined;
  /** Refused if it is there: the route is the source. */
  localAddress?: string | null | undefined;
  /** A connection to a proxy that TLS is to be spoken over. */
  httpSocket?: Socket | undefined;
}

/** What undici takes as `connect`. */
export type Connector = (
  request: ConnectRequest,
  callback: (...result: [error: null, socket: Socket] | [error: Error, socket: null]) => void,
) => void;

const CONNECT_TIMEOUT_MS = 10_000;

/** @internal */
export function routeConnector(
  route: Route,
  options: ConnectorOptions,
  caller: (...args: never[]) => unknown,
): Connector {
  return asCaller(caller, () => {
    checkConnectorOptions(asOptions(options), false);
    return connector(() => route, options);
  });
}

/** @internal */
export function poolConnector(
  pool: RoutePool,
  options: ConnectorOptions & RoutePickerOptions,
  caller: (...args: never[]) => unknown,
): Connector {
  return asCaller(caller, () => {
    checkConnectorOptions(asOptions(options), true);
    const { pick, ...rest } = options;
    return connector(picker(pool, checkPick(pick)), rest);
  });
}

function connector(pick: (request: unknown) => Route, options: ConnectorOptions): Connector {
  const {
    timeout,
    lookup,
    allowH2 = false,
    keepAlive = true,
    keepAliveInitialDelay = KEEP_ALIVE_MS,
    maxCachedSessions = MAX_SESSIONS,
    ...tls
  } = options;
  /** TLS sessions by server name, so that a second connection costs no second handshake. */
  const sessions = new Map<string, Buffer>();
  return (request, callback) => {
    let socket: Socket;
    try {
      socket = begin(request);
    } catch (error) {
      callback(asError(error), null);
      return;
    }
    const timeoutMs = timeout ?? CONNECT_TIMEOUT_MS;
    const giveUp = () => socket.destroy(connectTimeout(request, timeoutMs));
    const timer = timeoutMs > 0 ? setTimeout(giveUp, timeoutMs) : undefined;
    const settle = (error?: Error) => {
      clearTimeout(timer);
      socket.removeListener('error', settle);
      if (error === undefined) callback(null, socket);
      else callback(error, null);
    };
    socket.once(request.protocol === 'https:' ? 'secureConnect' : 'connect', () => settle());
    socket.once('error', settle);
  };

  function begin(request: ConnectRequest): Socket {
    const { hostname, protocol, port, servername, httpSocket, localAddress } = request;
    if (localAddress) wrong('localAddress', 'nothing, since the route is what a connection leaves by', localAddress);
    const isTls = protocol === 'https:';
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    const stream =
      httpSocket ??
      (openStream([host, Number(port) || (isTls ? 443 : 80)], pick(request), {
        lookup,
        noDelay: true,
        keepAlive,
        keepAliveInitialDelay,
      }) as unknown as Socket);
    if (!isTls) return stream;
    const name = servername || tls.servername || (isIP(host) === 0 ? host : undefined);
    const key = name ?? host;
    const session = tls.session ?? sessions.get(key);
    const secure = nodeTls().connect({
      ALPNProtocols: allowH2 ? ['http/1.1', 'h2'] : ['http/1.1'],
      ...tls,
      ...(name === undefined ? {} : { servername: name }),
      ...(session === undefined ? {} : { session }),
      host,
      socket: stream,
    });
    secure.on('session', (fresh: Buffer) => {
      // The names of a run are few; one that knows very many must not keep all their sessions.
      sessions.delete(key);
      if (sessions.size >= maxCachedSessions) sessions.delete(sessions.keys().next().value ?? '');
      if (maxCachedSessions > 0) sessions.set(key, fresh);
    });
    return secure;
  }
}

const MAX_SESSIONS = 100;
const KEEP_ALIVE_MS = 60_000;

function connectTimeout(request: ConnectRequest, timeoutMs: number): Error {
  const error = new Error(`connect ETIMEDOUT ${request.hostname}:${request.port} (given up after ${timeoutMs} ms)`);
  // undici's own code of the same, which callers may look for.
  error.name = 'ConnectTimeoutError';
  return Object.assign(error, { code: 'UND_ERR_CONNECT_TIMEOUT' });
}
