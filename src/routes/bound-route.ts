/** A route with the address and port that a socket is bound to. */
import { checkBounded } from '../native/option-bounds.ts';
import { inspect } from 'node:util';
import { isIP } from '../address/is-ip.ts';
import { asCaller, checkChoice, checkNames, wrong } from '../options/check.ts';
import { defineLocalSide } from '../pipe/local-side.ts';
import type { Route } from './route.ts';

/** How a route is bound. */
export interface BindOptions {
  /** Local port, 0 to 65535; 0, the default, leaves the choice to the system. */
  port?: number | undefined;
  /** A local address to bind instead of the route's own, also `'0.0.0.0'` or `'::'`. */
  ip?: string | undefined;
  /**
   * `strict`, the default: it is an error if the system refuses to bind the socket to the interface. `best-effort`:
   * then it is bound by its address alone, and {@link BoundRoute.interfaceBindError} says why.
   */
  interfaceBinding?: 'strict' | 'best-effort' | undefined;
}

/** Checks the options of a bind. @internal */
export function checkBindOptions(
  options: unknown,
  caller: (...args: never[]) => unknown,
): { port: number; ip: string | undefined; interfaceBinding: 'strict' | 'best-effort' } {
  return asCaller(caller, () => {
    const given = checkNames(options, ['port', 'ip', 'interfaceBinding']);
    const ip = given['ip'];
    if (ip !== undefined && (typeof ip !== 'string' || isIP(ip) === 0)) wrong('ip', 'an IP address', ip);
    return {
      port: checkBounded('port', given['port']) ?? 0,
      ip: ip as string | undefined,
      interfaceBinding:
        checkChoice('interfaceBinding', given['interfaceBinding'], ['strict', 'best-effort']) ?? 'strict',
    };
  });
}

/** A route, ready for a socket: what {@link Route.bind} gives. */
export class BoundRoute {
  /** The route. */
  readonly route: Route;
  /** The local address to bind. */
  readonly address: string;
  /** The local port to bind; 0 leaves the choice to the system. */
  readonly port: number;
  /** The interface to bind the socket to; undefined if none is known. */
  readonly interface: string | undefined;
  /** Why the system would not bind a socket to the interface; undefined if it does. */
  readonly interfaceBindError: string | undefined;

  /** @internal */
  constructor(
    route: Route,
    bound: { address: string; port: number; interface: string | undefined; interfaceBindError: string | undefined },
  ) {
    this.route = route;
    this.address = bound.address;
    this.port = bound.port;
    this.interface = bound.interface;
    this.interfaceBindError = bound.interfaceBindError;
  }

  /** Address and port, as `bind()` of most libraries takes them. */
  get tuple(): readonly [address: string, port: number] {
    return [this.address, this.port];
  }

  /** The external address that it leaves as; undefined while that is not known. */
  ext(): string | undefined {
    return this.route.ext();
  }

  /** Where it is bound and what it leaves as: `10.0.0.7:4000 -> 203.0.113.9`. */
  toString(): string {
    const local = this.address.includes(':') ? `[${this.address}]:${this.port}` : `${this.address}:${this.port}`;
    return `${local} -> ${this.ext() ?? 'unknown'}`;
  }

  static {
    // What a pipe that leaves by it is bound to.
    defineLocalSide(this.prototype, function (this: BoundRoute) {
      return {
        route: this.route,
        address: this.address,
        port: this.port,
        interface: this.interface,
        bestEffort: this.interfaceBindError !== undefined,
      };
    });
    Object.defineProperty(this.prototype, inspect.custom, {
      value(this: BoundRoute): string {
        return `BoundRoute ${String(this)}`;
      },
    });
  }
}
