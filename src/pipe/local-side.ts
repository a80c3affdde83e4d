/** What the socket of a pipe is bound to. */
import { BoundRoute } from '../routes/bound-route.ts';
import { RoutePoolError } from '../errors/errors.ts';
import type { Family } from '../address/family.ts';
import type { Route } from '../routes/route.ts';
import { Endpoint } from '../address/endpoint.ts';
import type { LocalOptions } from './sockets/socket-request.ts';

/** The system chooses. */
const ANYWHERE: LocalOptions = {};
/** It chooses for each datagram. */
const ANY_IPV4: LocalOptions = { local: Endpoint.any(4) };
const ANY_IPV6: LocalOptions = { local: Endpoint.any(6) };

/**
 * The local side of a route. Without one the system chooses, for which a socket without a peer needs to know the family.
 *
 * @throws RoutePoolError `ERR_ROUTEPOOL_NO_ROUTE` if the route has no local address
 */
export function localSide(route: Route | BoundRoute | undefined, family: Family | undefined): LocalOptions {
  if (route === undefined) {
    if (family === undefined) return ANYWHERE;
    return family === 6 ? ANY_IPV6 : ANY_IPV4;
  }
  const bound = route instanceof BoundRoute ? route : undefined;
  const address = bound?.address ?? (route as Route).local();
  if (address === undefined) throw new RoutePoolError('ERR_ROUTEPOOL_NO_ROUTE', 'this route has no local address to bind');
  const source = bound?.route ?? (route as Route);
  const name = bound === undefined ? source.interface : bound.interface;
  const isLinkLocal = source.linkLocalIps.some((range) => range.ip === address);
  // An address that the user chose may be of another interface, or of none.
  const anywhere = !isLinkLocal && !source.locals.some((range) => range.ip === address);
  const local = Endpoint.of(isLinkLocal && name !== undefined ? `${address}%${name}` : address, bound?.port ?? 0);
  return { local, interface: anywhere ? undefined : name, bestEffort: bound?.interfaceRefused !== undefined };
}
