/** A route: addresses of an interface, and the external ones that they leave as. */
import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import { inspect } from 'node:util';
import { addressText, rangeText } from '../address/text.ts';
import { routeAgent, type RouteAgentOptions, type RouteHttpsAgentOptions } from '../http/agents.ts';
import { checkBind, observe } from '../native/binding.ts';
import { BoundRoute, checkBindOptions, type BindOptions } from './bound-route.ts';
import { routeConnector, type Connector, type ConnectorOptions } from '../http/connectors.ts';
import { callSite } from '../errors/call-site.ts';
import { RoutePoolError } from '../errors/errors.ts';
import { unwrap } from '../native/failure.ts';
import type { Family } from '../address/family.ts';
import type { RouteData } from './data.ts';
import type { AddressRange } from '../address/range.ts';
import { checkLoadOptions, type LoadOptions } from '../servers/options.ts';
import { defineLocalSide } from '../pipe/local-side.ts';
import { awaitWork } from '../native/await-work.ts';
import { toObservation, type Certainty, type Evidence, type Observation } from './observation.ts';
import { probed } from '../diagnostics.ts';
import { resolveAll } from '../servers/resolve.ts';

/** What all items of a route share. @internal */
export interface RouteSource {
  readonly af: Family;
  /** Name of the interface; undefined where none is known. */
  readonly interface: string | undefined;
  /** Number of the interface, for link-local addresses. */
  readonly index: number;
  readonly local: readonly AddressRange[];
  readonly external: readonly AddressRange[];
  readonly linkLocal: readonly AddressRange[];
  readonly certainty: Certainty;
  readonly assumed: boolean;
  readonly asked: ReadonlySet<string>;
  readonly evidence: Evidence;
}

/** One item of a pool, packed: see {@link ITEM_BYTES}. @internal */
export interface PackedItem {
  readonly bytes: Uint8Array;
  readonly at: number;
}

/**
 * Addresses of an interface that leave as the same external address, or a block whose every address leaves as itself.
 * An item of a pool is a route with a single external address.
 */
export class Route {
  readonly #source: RouteSource;
  readonly #item: PackedItem | undefined;

  /** @internal */
  constructor(source: RouteSource, item?: PackedItem) {
    this.#source = source;
    this.#item = item;
  }

  /** 4 or 6. */
  get af(): Family {
    return this.#source.af;
  }

  /** Name of the interface; undefined where none is known, as for proven blocks that no interface was asked for. */
  get interface(): string | undefined {
    return this.#source.interface;
  }

  /**
   * The interface's side. For IPv6 routes with an external side these are its link-local addresses, if it has any: they
   * belong to every route, as P2PD has it; see {@link Route.locals} for what is bound.
   */
  get nicIps(): readonly AddressRange[] {
    const { af, linkLocal, external } = this.#source;
    const isP2pdForm = af === 6 && linkLocal.length > 0 && (this.#item !== undefined || external.length > 0);
    return isP2pdForm ? linkLocal : this.locals;
  }

  /** The addresses that leave as the external side: what a socket is bound to. */
  get locals(): readonly AddressRange[] {
    const ip = this.#local();
    return ip === undefined ? this.#source.local : [single(ip, this.af)];
  }

  /** The external side; empty while it is not known. */
  get extIps(): readonly AddressRange[] {
    return this.#item ? [single(this.ext() ?? '', this.af)] : this.#source.external;
  }

  /** The interface's link-local IPv6 addresses, for routes of IPv6. */
  get linkLocalIps(): readonly AddressRange[] {
    return this.#source.linkLocal;
  }

  /** How sure the external side is. `unverified`: nobody answered, or nobody was asked. */
  get certainty(): Certainty {
    return this.#source.certainty;
  }

  /** Whether it was not asked itself: its block was asked at its ends and at a few random hosts. */
  get assumed(): boolean {
    const ip = this.#local();
    return this.#source.assumed && (ip === undefined || !this.#source.asked.has(ip));
  }

  /** Why it is believed. */
  get evidence(): Evidence {
    return this.#source.evidence;
  }

  /** The first address of the interface's side; undefined if there is none. */
  nic(): string | undefined {
    return this.nicIps[0]?.ip;
  }

  /** The first external address; undefined while it is not known. */
  ext(): string | undefined {
    return this.#item ? addressText(this.#item.bytes, this.#item.at, this.af === 6) : this.#source.external[0]?.ip;
  }

  /** The address that a socket is bound to, to leave as {@link Route.ext}. */
  local(): string | undefined {
    return this.#local() ?? this.#source.local[0]?.ip;
  }

  #local(): string | undefined {
    return this.#item && addressText(this.#item.bytes, this.#item.at + 16, this.af === 6);
  }

  /**
   * Checks that its address can be bound now, and gives the tuple to bind.
   *
   * A socket is bound to the address and the interface (Linux: `SO_BINDTODEVICE`), looked at and closed again.
   * Port 0 stays 0: the system chooses when the socket is made. IPv6 servers bind the external side, which is what the
   * interface holds; behind an IPv6 NAT it is the address that leaves as it.
   *
   * @throws system errors in Node's shape: `bind EADDRNOTAVAIL` for an address that is gone, `bind EADDRINUSE`,
   *   `setsockopt EPERM` if the system refuses the interface; RoutePoolError `ERR_ROUTEPOOL_OPTION`,
   *   `ERR_ROUTEPOOL_NO_ROUTE`
   */
  async bind(options: BindOptions = {}): Promise<BoundRoute> {
    const { port, ip, interfaceBinding } = checkBindOptions(options, this.bind);
    const address = ip ?? this.local();
    if (address === undefined) {
      throw new RoutePoolError('ERR_ROUTEPOOL_NO_ROUTE', 'this route has no local address to bind');
    }
    const isLinkLocal = this.#source.linkLocal.some((range) => range.ip === address);
    const anywhere = ip !== undefined && !this.locals.some((range) => range.ip === ip) && !isLinkLocal;
    const bound = unwrap(
      checkBind({
        ip: address,
        port,
        ...(isLinkLocal ? { scopeId: this.#source.index } : {}),
        // An address that the user chose may be of another interface, or of none.
        ...(this.interface === undefined || anywhere ? {} : { interface: this.interface }),
        bestEffort: interfaceBinding === 'best-effort',
      }),
      this.bind,
    );
    return new BoundRoute(this, {
      address,
      port,
      interface: this.interface,
      interfaceBindError: bound.interfaceBindError ?? undefined,
    });
  }

  /**
   * Asks STUN servers what this route's address leaves as now, through a socket like that of {@link Route.bind}.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_NOT_LOCAL` if the machine does not hold the address any more,
   *   `ERR_ROUTEPOOL_SERVER`, `ERR_ROUTEPOOL_RESOLVE`, `ERR_ROUTEPOOL_OPTION`; AbortError
   */
  async observe(options: LoadOptions = {}): Promise<Observation> {
    const origin = callSite(this.observe);
    const checked = checkLoadOptions(options, this.observe);
    const address = this.local();
    if (address === undefined)
      throw new RoutePoolError('ERR_ROUTEPOOL_NO_ROUTE', 'this route has no local address to ask from');
    const { servers, isPublic } = await resolveAll(checked, [this.af], origin);
    const question = {
      addresses: [address],
      public: isPublic,
      ...(this.interface === undefined ? {} : { interface: this.interface }),
      ...(checked.timeoutMs === undefined ? {} : { timeoutMs: checked.timeoutMs }),
    };
    const seen = await probed('observe', this, () =>
      awaitWork((cancel) => observe(question, servers, cancel), { signal: checked.signal, origin }),
    );
    const names = servers.map((server) => server.name);
    const first = seen[0];
    if (first === undefined) throw new RoutePoolError('ERR_ROUTEPOOL_INTERNAL', 'an address was asked and not seen');
    return toObservation(first, names);
  }

  /**
   * An agent for `http`, or with `protocol: 'https:'` for `https`, whose connections leave by this route. It takes the
   * options of Node's agents, and keeps connections alive unless `keepAlive` is false.
   *
   * @example
   * http.get('http://example.net/', { agent: route.agent() });
   * https.get('https://example.net/', { agent: route.agent({ protocol: 'https:' }) });
   * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION`
   */
  agent(options?: RouteAgentOptions): HttpAgent;
  agent(options: RouteHttpsAgentOptions): HttpsAgent;
  agent(options: RouteAgentOptions | RouteHttpsAgentOptions = {}): HttpAgent {
    return routeAgent(this, options, this.agent);
  }

  /**
   * A connector for undici, whose connections leave by this route: `new Agent({ connect: route.connector() })`. It
   * takes the options of `tls.connect` for https. (undici's own `connect: { localAddress }` is ignored by undici.)
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION`
   */
  connector(options: ConnectorOptions = {}): Connector {
    return routeConnector(this, options, this.connector);
  }

  /** Whether both have the same family and the same external addresses; without these, the same local ones. */
  equals(other: unknown): boolean {
    if (!(other instanceof Route) || other.af !== this.af) return false;
    const text = (route: Route) => {
      const ranges = route.extIps.length > 0 ? route.extIps : route.locals;
      return `${route.extIps.length > 0} ${ranges.map(rangeText).join()}`;
    };
    return text(this) === text(other);
  }

  /** `[10.0.0.20, 10.0.1.0/24] -> [192.0.2.7]`. */
  toString(): string {
    return `[${this.nicIps.map(rangeText).join(', ')}] -> [${this.extIps.map(rangeText).join(', ')}]`;
  }

  /** What the dict of an interface has of it. */
  toJSON(): RouteData {
    return { af: this.af, nicIps: this.nicIps, extIps: this.extIps, linkLocalIps: this.linkLocalIps };
  }

  /** What a pool is made of. @internal */
  static sourceOf(route: Route): RouteSource {
    return route.#source;
  }

  static {
    // What a pipe that leaves by it is bound to.
    defineLocalSide(this.prototype, function (this: Route) {
      return { route: this, address: this.local(), port: 0, interface: this.interface, bestEffort: false };
    });
    Object.defineProperty(this.prototype, inspect.custom, {
      value(this: Route): string {
        const doubt = this.certainty === 'agreed' ? '' : ` (${this.certainty})`;
        return `Route ${String(this)}${doubt}${this.assumed ? ' (assumed)' : ''}`;
      },
    });
  }
}

function single(ip: string, af: Family): AddressRange {
  return { ip, cidr: af === 6 ? 128 : 32 };
}
