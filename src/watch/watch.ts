/** Changes of the network. */
import { callSite } from '../errors/call-site.ts';
import { NetworkWatch } from './network-watch.ts';
import { checkWatchOptions, type WatchOptions } from './options.ts';

/**
 * Watches the interfaces of this machine: addresses that come and go, links up and down, default routes that move, and,
 * if asked for, what addresses leave as. What is there at the beginning is not told. Changes are told when interfaces
 * have been quiet for 250 ms, or after a second at the latest; what comes and goes in between is not.
 *
 * Linux tells of changes by itself (netlink); other systems are looked at each 2 s. Sleep is found on Linux and macOS.
 *
 * @example
 * for await (const change of watch()) console.log(change.type, change);
 * // or
 * watch().on('default-changed', ({ now }) => console.log('leaves by', now?.interface));
 * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION`, `ERR_ROUTEPOOL_SERVER`; a system error if interfaces cannot be read
 */
export function watch(options: WatchOptions = {}): NetworkWatch {
  const origin = callSite(watch);
  return NetworkWatch.start(checkWatchOptions(options, watch), origin, watch);
}
