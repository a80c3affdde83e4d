/**
 * All codes of routepool's own errors, in one table: what happened, and what to do. Documents are written from it
 * (`npm run docs:codes`).
 */

/**
 * A code of routepool's own errors; {@link ERROR_CODES} says what each means. Match on these; messages are for people
 * and may change.
 */
export type RoutePoolErrorCode =
  | 'ERR_ROUTEPOOL_BLOCK'
  | 'ERR_ROUTEPOOL_NOT_LOCAL'
  | 'ERR_ROUTEPOOL_SERVER'
  | 'ERR_ROUTEPOOL_RESOLVE'
  | 'ERR_ROUTEPOOL_SERVER_SILENT'
  | 'ERR_ROUTEPOOL_SERVER_REFUSED'
  | 'ERR_ROUTEPOOL_UNREACHABLE'
  | 'ERR_ROUTEPOOL_OPTION'
  | 'ERR_ROUTEPOOL_NO_INTERFACE'
  | 'ERR_ROUTEPOOL_NO_ROUTE'
  | 'ERR_ROUTEPOOL_STATE'
  | 'ERR_ROUTEPOOL_DICT'
  | 'ERR_ROUTEPOOL_CLOSED'
  | 'ERR_ROUTEPOOL_MISUSE'
  | 'ERR_ROUTEPOOL_BINDING'
  | 'ERR_ROUTEPOOL_INTERNAL';

/** What an error code means. */
export interface ErrorCodeFacts {
  /** What happened. */
  readonly what: string;
  /** What to do. */
  readonly advice: string;
}

/**
 * The codes of routepool's own errors, each with what happened and what to do. Programs match on the code; the message
 * of an error is more exact than the texts here, and may change from version to version as they may.
 *
 * Errors of the system are no `RoutePoolError`: they have the shape and the codes that Node gives them
 * (`bind EADDRNOTAVAIL 192.0.2.1`).
 *
 * @example
 * ```js
 * import { ERROR_CODES, RoutePoolError, validate } from 'routepool';
 *
 * try {
 *   await validate('127.16.0.0/33').summary();
 * } catch (error) {
 *   if (!(error instanceof RoutePoolError)) throw error;
 *   console.log(error.message, ERROR_CODES[error.code].advice);
 * }
 * ```
 */
export const ERROR_CODES: Readonly<Record<RoutePoolErrorCode, ErrorCodeFacts>> = {
  ERR_ROUTEPOOL_BLOCK: {
    what: 'A block that is none (`127.0.0.0/33`), blocks of both families in one run, too many addresses for one run, or a pool scattered over too many ranges.',
    advice: 'Correct the block as the message says. Of an IPv6 block take a /112 at a time, or a sample.',
  },
  ERR_ROUTEPOOL_NOT_LOCAL: {
    what: 'This machine does not hold an address that packets were to leave from. Nothing was sent.',
    advice: 'Run the `ip route add local …` line of the message, or name addresses that `ip addr` shows.',
  },
  ERR_ROUTEPOOL_SERVER: {
    what: 'The name or address of a server cannot be read, or does not fit the family of the block.',
    advice:
      'Write `host`, `host:port`, `[IPv6]:port` or `stun:host:port`; for an IPv6 block name a server that has an IPv6 address.',
  },
  ERR_ROUTEPOOL_RESOLVE: {
    what: "A name does not resolve, or has no address of the family that is needed. The resolver's own error is the `cause`.",
    advice: 'Check the name and the resolver (`getent ahosts NAME`), or use an address.',
  },
  ERR_ROUTEPOOL_SERVER_SILENT: {
    what: 'No server answered, neither this machine itself nor any source that was asked, so nothing is known of the sources.',
    advice:
      'Is the server running, and is UDP to it and back let through? Try `routepool nat --server SERVER`, or another server.',
  },
  ERR_ROUTEPOOL_SERVER_REFUSED: {
    what: "The server's machine answers that nothing listens at the port (ICMP port unreachable).",
    advice: 'Check the port (STUN is 3478), and start the server.',
  },
  ERR_ROUTEPOOL_UNREACHABLE: {
    what: 'There is no route to the servers.',
    advice: '`ip route get ADDRESS` shows what the kernel would do: add a route, or name servers of the other family.',
  },
  ERR_ROUTEPOOL_OPTION: {
    what: 'An option or argument that cannot be used. `error.option` names it; nothing was sent or opened.',
    advice: 'The message says what was expected and what came; for a wrong name it says which one is nearest.',
  },
  ERR_ROUTEPOOL_NO_INTERFACE: {
    what: 'There is no interface of that name, none that holds that address, or no default one.',
    advice: 'Take one of those that the message lists, or name one where there is no default route.',
  },
  ERR_ROUTEPOOL_NO_ROUTE: {
    what: 'No route for what was asked: no external address is known for that family, a pool is empty, or a route has no local address.',
    advice:
      'The message says why. `nic.rp[af].routes` also has the routes without a proven external address, and `nic.noRouteReason(af)` the reason.',
  },
  ERR_ROUTEPOOL_STATE: {
    what: 'The state file is damaged, of another sweep (other blocks, servers or interface), in use by another run, no regular file, or cannot be written.',
    advice: 'Go on with the same arguments as before, name another file, or delete it to begin anew.',
  },
  ERR_ROUTEPOOL_DICT: {
    what: 'A dict of an interface or a NAT that cannot be restored.',
    advice: 'Correct the field whose path the message has.',
  },
  ERR_ROUTEPOOL_CLOSED: {
    what: 'Something was sent by a pipe, or asked of a daemon, that is closed. What closed it is the `cause`.',
    advice: 'Open another one. To be told in time, use `pipe.addEndListener()` or the `close` event.',
  },
  ERR_ROUTEPOOL_MISUSE: {
    what: 'Something was used in a way that it does not offer: two loops over one run, receiving from a pipe whose stream was taken, pools of two families in one.',
    advice: 'The message says what to use in its place.',
  },
  ERR_ROUTEPOOL_BINDING: {
    what: 'The addon could not be loaded: its package is missing, damaged or for another system, glibc is too old, or Node is not allowed to load addons.',
    advice: 'Run the command that the message has. `ROUTEPOOL_BINDING=PATH` loads a file of your own.',
  },
  ERR_ROUTEPOOL_INTERNAL: {
    what: 'A defect of routepool itself.',
    advice: 'Please report it, with the message and the stack.',
  },
};
