/** Which route of a pool is next. */
import { RoutePoolError } from '../errors/errors.ts';
import { wrong } from '../options/check.ts';
import { isRoute } from '../pipe/local-side.ts';
import type { Route } from '../routes/route.ts';
import type { RoutePool } from '../routes/route-pool.ts';

/**
 * How a route of a pool is chosen: one after the other, at random, or by a function that is given the pool and what is
 * about to be requested (for agents Node's request options, for connectors undici's).
 */
export type RoutePicker = 'round-robin' | 'random' | ((pool: RoutePool, request: unknown) => Route | undefined);

/** How a route of a pool is chosen. */
export interface RoutePickerOptions {
  /** `round-robin` by default. */
  pick?: RoutePicker | undefined;
}

/** @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` */
export function checkPick(pick: unknown): RoutePicker {
  if (pick === undefined) return 'round-robin';
  if (pick === 'round-robin' || pick === 'random' || typeof pick === 'function') return pick as RoutePicker;
  return wrong('pick', "'round-robin', 'random' or a function", pick);
}

/**
 * Chooses routes of a pool; each picker begins its round with the first.
 *
 * @throws from what it gives: RoutePoolError `ERR_ROUTEPOOL_NO_ROUTE` for an empty pool or a function that gives no
 *   route
 */
export function picker(pool: RoutePool, pick: RoutePicker): (request: unknown) => Route {
  let next = 0n;
  return (request) => {
    let route: Route | undefined;
    if (typeof pick === 'function') route = pick(pool, request);
    else if (pick === 'random') route = pool.random();
    else if (pool.size > 0n) route = pool.at(next++ % pool.size);
    if (isRoute(route)) return route;
    const why = pool.size === 0n ? 'this pool has no address' : '`pick` gave no route of the pool';
    throw new RoutePoolError('ERR_ROUTEPOOL_NO_ROUTE', why, typeof pick === 'function' ? { option: 'pick' } : {});
  };
}
