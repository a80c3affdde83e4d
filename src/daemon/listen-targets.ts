/** Where a daemon listens: addresses, blocks, routes, pools and interfaces, as users give them. */
import { rangeText } from '../address/text.ts';
import { BoundRoute } from '../routes/bound-route.ts';
import { wrong } from '../options/check.ts';
import { RoutePoolError } from '../errors/errors.ts';
import { FAMILIES } from '../address/family.ts';
import { Interface } from '../interface/interface.ts';
import { isIP } from '../address/is-ip.ts';
import { canonicalAddress } from '../address/host.ts';
import { Route } from '../routes/route.ts';
import { RoutePool } from '../routes/route-pool.ts';

/**
 * Addresses of this machine: an address (`'192.0.2.1'`, `'fe80::1%eth0'`), a prefix (`'198.18.0.0/16'`), a range
 * (`'10.0.0.5-10.0.0.9'`), a wildcard (`'0.0.0.0'`, `'::'`), a route, a bound route, a pool, an interface, or several
 * of these.
 */
export type ListenTargets = ListenTarget | readonly ListenTarget[];
/** One place where a daemon can listen. */
export type ListenTarget = string | Route | BoundRoute | RoutePool | Interface;

/** What was asked for, by how it is listened at. */
export interface Served {
  /** Addresses, prefixes and ranges. */
  readonly ranges: string[];
  /** Addresses that belong to an interface: each has a socket of its own. */
  readonly scoped: string[];
  /** Wildcard addresses. */
  readonly wildcards: string[];
  /** The port of a bound route, if one was given. */
  readonly port: number | undefined;
  /** The route of a local address; undefined where none was given. */
  routeOf(ip: string): Route | undefined;
}

/**
 * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` for `where`, `ERR_ROUTEPOOL_NO_ROUTE` for a route without local address
 */
export function readListenTargets(where: unknown): Served {
  const items: unknown[] = Array.isArray(where) ? [...where] : [where];
  if (items.length === 0) wrongTargets(where);
  const served = {
    ranges: [] as string[],
    scoped: [] as string[],
    wildcards: [] as string[],
    port: undefined as number | undefined,
  };
  const finders: ((ip: string) => Route | undefined)[] = [];
  const addPool = (pool: RoutePool) => {
    const { ranges, routeOf } = RoutePool.localsOf(pool);
    served.ranges.push(...ranges);
    finders.push(routeOf);
  };
  const addRoute = (route: Route) => {
    if (route.locals.length === 0)
      throw new RoutePoolError('ERR_ROUTEPOOL_NO_ROUTE', 'this route has no local address to listen at');
    served.ranges.push(...route.locals.map(rangeText));
    finders.push(routeFinder(route));
  };
  for (const item of items) {
    if (typeof item === 'string') addText(served, item, where);
    else if (item instanceof RoutePool) addPool(item);
    else if (item instanceof Route) addRoute(item);
    else if (item instanceof Interface)
      for (const family of FAMILIES)
        item.rp[family].routes.filter((route) => route.locals.length > 0).forEach(addRoute);
    else if (item instanceof BoundRoute) {
      addText(served, item.address, where);
      if (item.port > 0) served.port = item.port;
      finders.push(routeFinder(item.route));
    } else wrongTargets(where);
  }
  if (served.ranges.length + served.scoped.length + served.wildcards.length === 0) {
    throw new RoutePoolError(
      'ERR_ROUTEPOOL_NO_ROUTE',
      'there is no address to listen at: the pool or interface that was given has none',
      { option: 'where' },
    );
  }
  return {
    ...served,
    routeOf: (ip) => {
      for (const find of finders) {
        const route = find(ip);
        if (route !== undefined) return route;
      }
      return undefined;
    },
  };
}

function addText(
  served: { ranges: string[]; scoped: string[]; wildcards: string[] },
  text: string,
  where: unknown,
): void {
  const address = canonicalAddress(text);
  if (isIP(address) !== 0 && address.includes('%')) served.scoped.push(address);
  else if (address === '0.0.0.0' || address === '::') served.wildcards.push(address);
  else if (isIP(address) !== 0) served.ranges.push(address);
  else if (/^[\da-f:.]+[/-][\da-f:.]+$/i.test(text)) served.ranges.push(text);
  else wrongTargets(where);
}

/** Of a route with external addresses the one item for a local address, else the route itself. */
function routeFinder(route: Route): (ip: string) => Route | undefined {
  const pool = RoutePool.of(route.af, [route]);
  const { routeOf } = RoutePool.localsOf(pool);
  const isLocal = new Set(route.locals.filter((range) => rangeText(range) === range.ip).map((range) => range.ip));
  // Of several addresses that leave as one, a pool has only the first.
  return (ip) => routeOf(ip) ?? (isLocal.has(ip) ? route : undefined);
}

function wrongTargets(where: unknown): never {
  return wrong('where', "addresses like '192.0.2.1' or '198.18.0.0/16', routes, a pool or an interface", where, 1);
}
