/** What the socket of a pipe is bound to: routes, bound routes and interfaces say it themselves. */
import { Endpoint } from '../address/endpoint.ts';
import type { Family } from '../address/family.ts';
import { RoutePoolError } from '../errors/errors.ts';
import type { BoundRoute } from '../routes/bound-route.ts';
import type { Route } from '../routes/route.ts';
import type { LocalOptions } from './sockets/socket-request.ts';

/**
 * The method by which a value says what a pipe that leaves by it is bound to. A registered symbol and no class: it is
 * the same in two copies of the package in one process, and what is below the routes needs not to import them.
 */
const LOCAL_SIDE: unique symbol = Symbol.for('routepool.localSide');

/** What a pipe is bound to. @internal */
export interface LocalSide {
  /** The route that it leaves by. */
  readonly route: Route;
  /** The local address; undefined if the route has none. */
  readonly address: string | undefined;
  /** 0 leaves the choice to the system. */
  readonly port: number;
  /** The interface that the socket is bound to. */
  readonly interface: string | undefined;
  /** Whether the system has refused that once, so that it may do so again. */
  readonly bestEffort: boolean;
}

/** A value that pipes can leave by. */
interface HasLocalSide {
  [LOCAL_SIDE](): LocalSide;
}

/** Gives the instances of a class their local side. @internal */
export function defineLocalSide<T extends object>(prototype: T, side: (this: T) => LocalSide): void {
  Object.defineProperty(prototype, LOCAL_SIDE, { value: side });
}

/** The local side of a value that has one. @internal */
export function sideOf(value: object): LocalSide {
  return (value as HasLocalSide)[LOCAL_SIDE]();
}

/** @internal */
export function hasLocalSide(value: unknown): value is HasLocalSide {
  return typeof value === 'object' && value !== null && LOCAL_SIDE in value;
}

/** Whether a value is a route, and neither a bound one nor an interface. @internal */
export function isRoute(value: unknown): value is Route {
  return hasLocalSide(value) && 'extIps' in value;
}

/** @internal */
export function isBoundRoute(value: unknown): value is BoundRoute {
  return hasLocalSide(value) && 'tuple' in value;
}

/** The system chooses. */
const ANYWHERE: LocalOptions = {};
/** It chooses for each datagram. */
const ANY_IPV4: LocalOptions = { local: Endpoint.any(4) };
const ANY_IPV6: LocalOptions = { local: Endpoint.any(6) };

/**
 * The local side of a socket. Without a route the system chooses, for which a socket without a peer needs to know the
 * family.
 *
 * @throws RoutePoolError `ERR_ROUTEPOOL_NO_ROUTE` if the route has no local address
 */
export function localOptions(side: LocalSide | undefined, family: Family | undefined): LocalOptions {
  if (side === undefined) {
    if (family === undefined) return ANYWHERE;
    return family === 6 ? ANY_IPV6 : ANY_IPV4;
  }
  const { route, address, interface: name } = side;
  if (address === undefined)
    throw new RoutePoolError('ERR_ROUTEPOOL_NO_ROUTE', 'this route has no local address to bind');
  const isLinkLocal = route.linkLocalIps.some((range) => range.ip === address);
  // An address that the user chose may be of another interface, or of none.
  const anywhere = !isLinkLocal && !route.locals.some((range) => range.ip === address);
  const local = Endpoint.of(isLinkLocal && name !== undefined ? `${address}%${name}` : address, side.port);
  return { local, interface: anywhere ? undefined : name, bestEffort: side.bestEffort };
}
