/** What the socket of a pipe is bound to. */
import type { SocketOptions } from '../binding.ts';
import { BoundRoute } from '../bound-route.ts';
import { RoutePoolError } from '../errors.ts';
import type { Family } from '../families.ts';
import type { Route } from '../route.ts';
import { Endpoint } from './endpoint.ts';

/** The local side of a socket. */
export interface LocalSide {
  /** Undefined: the system chooses. */
  readonly local: Endpoint | undefined;
  /** For the addon. */
  readonly socket: Pick<SocketOptions, 'local' | 'interface' | 'bestEffort'>;
}

/**
 * The local side of a route. Without one the system chooses, for which a socket without a peer needs to know the family.
 *
 * @throws RoutePoolError `ERR_ROUTEPOOL_NO_ROUTE` if the route has no local address
 */
export function localSide(route: Route | BoundRoute | undefined, family: Family | undefined): LocalSide {
  if (route === undefined) {
    if (family === undefined) return { local: undefined, socket: {} };
    const any = Endpoint.of(family === 6 ? '::' : '0.0.0.0', 0);
    return { local: any, socket: { local: any.packed } };
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
  return {
    local,
    socket: {
      local: local.packed,
      ...(name === undefined || anywhere ? {} : { interface: name }),
      bestEffort: bound?.interfaceRefused !== undefined,
    },
  };
}
