/** Opens the sockets for what is to be served: all of them, or, if that is allowed, those that can be. */
import { asError, RoutePoolError } from '../errors/errors.ts';
import { planListeners } from '../native/binding.ts';
import { PORT_TRIES } from '../defaults.ts';
import { unwrap } from '../native/failure.ts';
import { Endpoint } from '../address/endpoint.ts';
import { type Protocol, TCP, UDP } from '../pipe/protocol.ts';
import { AddressSet } from './address-set.ts';
import type { CheckedListenOptions } from './options.ts';
import { DaemonServer, type ServerOwner, type ServerPlan } from './server.ts';
import type { Served } from './listen-targets.ts';

/** An address that could not be listened at, and why. */
export interface ListenFailure {
  /** The address that could not be listened at. */
  readonly address: string;
  /** The port there. */
  readonly port: number;
  /** Why: a system error in Node's shape. */
  readonly error: Error;
}

/** What was opened, and what could not be. */
export interface Opened {
  readonly servers: DaemonServer[];
  readonly failed: ListenFailure[];
}

interface Planned {
  readonly address: string;
  readonly served: AddressSet | undefined;
  readonly isWildcard: boolean;
  readonly dualStack: boolean;
}

/**
 * @throws RoutePoolError `ERR_ROUTEPOOL_NOT_LOCAL`, `ERR_ROUTEPOOL_OPTION`; system errors in Node's shape, with
 * `failures`
 */
export function openServers(
  owner: ServerOwner,
  protocol: Protocol,
  port: number,
  served: Served,
  options: CheckedListenOptions,
  caller: (...args: never[]) => unknown,
): Opened {
  const planned = plan(protocol, served, options, caller);
  const open = (at: number) => openAt(owner, protocol, at, planned, served, options);
  // One port for all: what the first was given must be free at the others too.
  for (let tries = 0; ; tries++) {
    const opened = open(port);
    const isTaken = opened.failed.some(({ error }) => (error as NodeJS.ErrnoException).code === 'EADDRINUSE');
    if (port !== 0 || !isTaken || opened.servers.length === 0 || tries === PORT_TRIES)
      return settle(opened, options, caller);
    for (const server of opened.servers) server.destroy();
  }
}

function plan(
  protocol: Protocol,
  served: Served,
  options: CheckedListenOptions,
  caller: (...args: never[]) => unknown,
): Planned[] {
  const single = (address: string): Planned => ({ address, served: undefined, isWildcard: false, dualStack: false });
  const listeners = unwrap(planListeners(served.ranges, options.sockets), caller).map(
    ({ address, ranges }): Planned => {
      const set = ranges === undefined || ranges === null ? undefined : new AddressSet(ranges);
      return { address, served: set, isWildcard: set !== undefined, dualStack: false };
    },
  );
  // Datagrams of both families over one socket would hide the address that was asked: two sockets do the same and tell
  // it.
  const isDual = !options.v6only && served.wildcards.includes('::');
  const wildcards = new Set(
    isDual && protocol === UDP
      ? [...served.wildcards, '0.0.0.0']
      : isDual
        ? served.wildcards.filter((each) => each !== '0.0.0.0')
        : served.wildcards,
  );
  const any = [...wildcards].map((address): Planned => ({
    address,
    served: undefined,
    isWildcard: true,
    dualStack: isDual && protocol === TCP && address === '::',
  }));
  return [...any, ...served.scoped.map(single), ...listeners];
}

function openAt(
  owner: ServerOwner,
  protocol: Protocol,
  port: number,
  planned: Planned[],
  served: Served,
  options: CheckedListenOptions,
): Opened {
  const servers: DaemonServer[] = [];
  const failed: ListenFailure[] = [];
  for (const { address, served: set, isWildcard, dualStack } of planned) {
    const chosen = servers[0]?.port ?? port;
    const socket: ServerPlan['socket'] = {
      ...owner.options.pipe.socket,
      local: Endpoint.of(address, chosen),
      dualStack,
      ...(options.interface === undefined ? {} : { interface: options.interface }),
    };
    try {
      servers.push(new DaemonServer(owner, { protocol, socket, served: set, isWildcard, routeOf: served.routeOf }));
    } catch (error) {
      failed.push({
        address,
        port: chosen,
        error: asError(error),
      });
      // Thousands of addresses would fail for the same reason: one is enough to give up.
      if (!options.allowPartial) break;
    }
  }
  return { servers, failed };
}

function settle(opened: Opened, options: CheckedListenOptions, caller: (...args: never[]) => unknown): Opened {
  const [first] = opened.failed;
  if (first === undefined || (options.allowPartial && opened.servers.length > 0)) return opened;
  for (const server of opened.servers) server.destroy();
  const error =
    first.error instanceof RoutePoolError
      ? first.error
      : Object.assign(first.error, { address: first.address, port: first.port });
  Error.captureStackTrace(error, caller);
  throw Object.assign(error, { failures: opened.failed });
}
