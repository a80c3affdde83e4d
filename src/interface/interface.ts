/** A network interface with its routes. */
import { inspect } from 'node:util';
import { misuse, RoutePoolError } from '../errors/errors.ts';
import { planLoad, type LoadedFamily, type LoadedInterface, type NativeLoad } from '../native/binding.ts';
import { callSite, type CallSite } from '../errors/call-site.ts';
import { unwrap } from '../native/failure.ts';
import { FAMILIES, type Family } from '../address/family.ts';
import { DIALECTS, readDict, writeDict, type Dialect, type InterfaceData } from './dict.ts';
import type { RouteData } from '../routes/data.ts';
import { toFacts, type InterfaceFacts } from './facts.ts';
import { asCaller, checkChoice, checkDetail, checkNames, checkText } from '../options/check.ts';
import { checkLoadOptions, type CheckedLoadOptions, type LoadOptions } from '../servers/options.ts';
import { measureNat } from '../nat/measure.ts';
import { Nat, NAT_NOT_LOOKED_AT } from '../nat/nat.ts';
import { checkNatOptions, type LoadNatOptions } from '../nat/options.ts';
import { awaitWork } from '../native/await-work.ts';
import { defineLocalSide, sideOf } from '../pipe/local-side.ts';
import { probed } from '../diagnostics.ts';
import { resolveAll } from '../servers/resolve.ts';
import { RoutePool } from '../routes/route-pool.ts';
import { Route, type RouteSource } from '../routes/route.ts';
import { toObservation, type Certainty } from '../routes/observation.ts';

/** Version of {@link Interface.toJSON} with `detail`. */
const DETAIL_VERSION = 1;

/**
 * A network interface: its addresses and blocks, and the routes that tell what they leave as.
 *
 * @example
 * const nic = await Interface.load();
 * console.log(nic.name, nic.rp[IP4].length, nic.route(IP4).ext());
 */
export class Interface {
  /** Its name. */
  readonly name: string;
  /** What the system says of it; undefined for a restored interface. */
  readonly facts: InterfaceFacts | undefined;
  /** The external addresses, by family: `nic.rp[IP4]`. */
  readonly rp: { readonly 4: RoutePool; readonly 6: RoutePool };
  #nat: Nat;
  readonly #data: Omit<InterfaceData, 'routes' | 'nat' | 'name'>;
  readonly #noRouteReason: { readonly 4: string | undefined; readonly 6: string | undefined };

  private constructor(
    data: Omit<InterfaceData, 'routes'>,
    rp: { 4: RoutePool; 6: RoutePool },
    noRouteReason: { 4: string | undefined; 6: string | undefined },
    facts: InterfaceFacts | undefined,
  ) {
    const { name, nat, ...rest } = data;
    this.name = name;
    this.#nat = new Nat(
      nat === NAT_NOT_LOOKED_AT.data ? NAT_NOT_LOOKED_AT : { ...NAT_NOT_LOOKED_AT, data: nat, isDefault: false },
    );
    this.facts = facts;
    this.rp = rp;
    this.#data = rest;
    this.#noRouteReason = noRouteReason;
  }

  /**
   * Loads an interface: asks STUN servers what each of its addresses leaves as, all at once, and makes routes of what
   * they say. It takes about one round trip where all is well, and up to `timeoutMs` where an address gets no answer.
   * Without any network it loads all the same: its routes are then `unverified`.
   *
   * Linux: everything. macOS, FreeBSD and Windows: all but blocks that are held by a route alone; not yet run on those
   * systems. An abort of `options.signal` rejects at once, and closes what was opened.
   *
   * @param which its name, or an address that it holds; the default interface if left out
   * @throws RoutePoolError `ERR_ROUTEPOOL_NO_INTERFACE` (with the names there are), `ERR_ROUTEPOOL_SERVER`,
   *   `ERR_ROUTEPOOL_RESOLVE`, `ERR_ROUTEPOOL_OPTION`; AbortError
   */
  static async load(which?: string | LoadOptions, options: LoadOptions = {}): Promise<Interface> {
    const origin = callSite(Interface.load);
    if (typeof which === 'object' && which !== null)
      return Interface.#load(undefined, checkLoadOptions(which, Interface.load), origin);
    if (which !== undefined && typeof which !== 'string') wrongName(which);
    return Interface.#load(which, checkLoadOptions(options, Interface.load), origin);
  }

  /**
   * Loads for a watch: `onJob` is given the native job before it is over; the process is not kept alive.
   *
   * @internal
   */
  static loadFor(
    which: string,
    options: CheckedLoadOptions,
    origin: CallSite,
    onLoad: (load: NativeLoad) => void,
  ): Promise<Interface> {
    return Interface.#load(which, options, origin, onLoad);
  }

  static async #load(
    which: string | undefined,
    options: CheckedLoadOptions,
    origin: CallSite,
    onLoad?: (load: NativeLoad) => void,
  ): Promise<Interface> {
    const plan = unwrap(
      planLoad({
        ...(which === undefined ? {} : { interface: which }),
        ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
      }),
      Interface.load,
    );
    const holds = onLoad === undefined;
    const { asksIpv4, asksIpv6 } = plan.facts();
    const families = FAMILIES.filter((family) => (family === 4 ? asksIpv4 : asksIpv6));
    const { servers, isPublic, unresolved } = await resolveAll({ ...options, holds }, families, origin);
    const load = await probed('load', which, () =>
      awaitWork((cancel) => plan.load(servers, isPublic, cancel), { signal: options.signal, origin, holds }),
    );
    onLoad?.(load);
    const names = (family: Family) =>
      servers.filter((server) => server.address.includes(':') === (family === 6)).map((server) => server.name);
    return Interface.#of(load.found(), names, (family) =>
      names(family).length === 0 && families.includes(family) ? unresolved : undefined,
    );
  }

  /**
   * Finds an interface without asking anybody: {@link Interface.facts} are there, and {@link Interface.loadNat} can be
   * called, but `rp` is empty.
   *
   * @param which its name, or an address that it holds; the default interface if left out
   * @throws RoutePoolError `ERR_ROUTEPOOL_NO_INTERFACE`, `ERR_ROUTEPOOL_OPTION`
   */
  static find(which?: string): Interface {
    if (which !== undefined && typeof which !== 'string') wrongName(which);
    const plan = unwrap(planLoad(which === undefined ? {} : { interface: which }), Interface.find);
    const facts = toFacts(plan.facts().interface);
    const none = 'no server was asked: Interface.load() does that';
    return new Interface(
      dataOf(facts),
      { 4: RoutePool.of(4, []), 6: RoutePool.of(6, []) },
      { 4: none, 6: none },
      facts,
    );
  }

  static #of(
    loaded: LoadedInterface,
    servers: (family: Family) => string[],
    unresolved: (family: Family) => string | undefined,
  ): Interface {
    const facts = toFacts(loaded.facts);
    const at = Date.now();
    const pool = (family: Family) => {
      const found = family === 4 ? loaded.ipv4 : loaded.ipv6;
      return RoutePool.of(family, routesOf(found, family, facts, loaded.linkLocal, servers(family), at));
    };
    const noRouteReason = {
      4: unresolved(4) ?? loaded.ipv4.noRouteReason ?? undefined,
      6: unresolved(6) ?? loaded.ipv6.noRouteReason ?? undefined,
    };
    return new Interface(dataOf(facts), { 4: pool(4), 6: pool(6) }, noRouteReason, facts);
  }

  /**
   * Restores an interface from its dict, in either dialect, also after JSON. Nothing is asked.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_DICT`, with the path of the wrong field
   */
  static fromDict(dict: unknown): Interface {
    const { routes, ...data } = asCaller(Interface.fromDict, () => readDict(dict));
    const pool = (af: Family) =>
      RoutePool.of(
        af,
        routes[af].map((route) => restored(route, data.name)),
      );
    return new Interface(
      data,
      { 4: pool(4), 6: pool(6) },
      { 4: 'the restored dict has none', 6: 'the restored dict has none' },
      undefined,
    );
  }

  /**
   * The NAT that the interface is behind; until {@link Interface.loadNat} P2PD's default: restrict port, random delta.
   */
  get nat(): Nat {
    return this.#nat;
  }

  /**
   * Finds out what kind of NAT the interface is behind (RFC 5780): how it maps, whom it lets in, how it picks ports,
   * for each family that the interface has. {@link Interface.nat} is the result from then on, and so is the `nat` of
   * the dict.
   *
   * It takes a few round trips where nothing is silent, and about half a second where one silence must be waited for.
   * What could not be found out is `unknown`, with the reason; that no server answers, resolves or can be reached is a
   * result too (`nat.family(4).connectivity`), and no error.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_SERVER`, `ERR_ROUTEPOOL_OPTION`, `ERR_ROUTEPOOL_NOT_LOCAL` for a `from` that
   *   this machine does not hold, `ERR_ROUTEPOOL_MISUSE` for an interface that was restored from a dict; AbortError,
   *   which leaves `nat` as it was
   */
  async loadNat(options: LoadNatOptions = {}): Promise<Nat> {
    const origin = callSite(this.loadNat);
    const checked = checkNatOptions(options, this.loadNat);
    const { facts } = this;
    if (facts === undefined) {
      const message = `this interface was restored from a dict and not loaded: load it with Interface.load('${this.name}') on the machine that has it`;
      throw misuse(message);
    }
    const routes = { 4: this.rp[4].routes, 6: this.rp[6].routes };
    this.#nat = await measureNat(facts, routes, checked, origin, this.loadNat);
    return this.#nat;
  }

  /** The families that have a route with an external address. */
  supported(): Family[] {
    return FAMILIES.filter((family) => this.rp[family].size > 0n);
  }

  /** Whether the traffic of a family that no other route takes leaves by this interface. */
  isDefault(af: Family): boolean {
    return this.#data.isDefault[af];
  }

  /** Why a family has no route with an external address; undefined if it has one. */
  noRouteReason(af: Family): string | undefined {
    return this.#noRouteReason[af];
  }

  /**
   * A copy of the first route.
   *
   * @param af by default the first family that has one
   * @throws RoutePoolError `ERR_ROUTEPOOL_NO_ROUTE` if none has an external address; the message says why, and
   *   `rp[af].routes` has those that are not verified
   */
  route(af?: Family): Route {
    const family = af ?? this.supported()[0] ?? 4;
    if (family !== 4 && family !== 6)
      throw new RoutePoolError('ERR_ROUTEPOOL_OPTION', `expected IP4 or IP6 but received ${inspect(af)}`, {
        option: 'af',
      });
    const first = this.rp[family].routes.find((route) => route.extIps.length > 0);
    if (first === undefined) {
      const why = this.#noRouteReason[family] ?? 'nothing is known of its external addresses';
      throw new RoutePoolError('ERR_ROUTEPOOL_NO_ROUTE', `${this.name} has no IPv${family} route: ${why}`);
    }
    return new Route(Route.sourceOf(first));
  }

  /**
   * The plain dict of P2PD, to print, to save and to restore.
   *
   * @param options `dialect`: `documentation` (the default), `complete`, or `p2pd-3.1`, which P2PD 3.1.9 itself reads;
   *   `platform`: whose number of AF_INET6 is written
   */
  toDict(options: { dialect?: Dialect; platform?: NodeJS.Platform } = {}): object {
    const given = asCaller(this.toDict, () => checkNames(options, ['dialect', 'platform']));
    asCaller(this.toDict, () => [
      checkChoice('dialect', given.dialect, DIALECTS),
      checkText('platform', given.platform, "a platform like 'linux' or 'win32'"),
    ]);
    const routes = { 4: this.rp[4].toJSON().routes, 6: this.rp[6].toJSON().routes };
    return writeDict({ ...this.#data, name: this.name, nat: this.#nat, routes }, options);
  }

  /**
   * The dict; with `{ detail: true }` what it has no room for too: facts of the system, certainty and evidence of the
   * routes.
   */
  toJSON(options?: { detail?: boolean } | string): object {
    if (!checkDetail(options, this.toJSON)) return this.toDict({ dialect: 'complete' });
    const routes = (af: Family) =>
      this.rp[af].routes.map((route) => ({
        ...route.toJSON(),
        locals: route.locals,
        certainty: route.certainty,
        assumed: route.assumed,
        evidence: route.evidence,
      }));
    const dict = { ...this.toDict({ dialect: 'complete' }), nat: this.#nat.toJSON({ detail: true }) };
    return {
      version: DETAIL_VERSION,
      ...dict,
      facts: this.facts,
      routes: { 4: routes(4), 6: routes(6) },
      noRouteReason: this.#noRouteReason,
    };
  }

  static {
    // What a pipe that leaves by it is bound to: that of its first route.
    defineLocalSide(this.prototype, function (this: Interface) {
      return sideOf(this.route());
    });
    Object.defineProperty(this.prototype, inspect.custom, {
      value(this: Interface): string {
        return `Interface.fromDict(${JSON.stringify(this.toDict(), null, 2)})`;
      },
    });
  }
}

function wrongName(which: unknown): never {
  throw new RoutePoolError(
    'ERR_ROUTEPOOL_OPTION',
    `expected the name of an interface or an address but received ${inspect(which)}`,
    { option: 'interface' },
  );
}

function dataOf(facts: InterfaceFacts): Omit<InterfaceData, 'routes'> {
  return {
    name: facts.name,
    index: facts.index,
    id: facts.name,
    nicNumber: process.platform === 'win32' ? facts.index : 0,
    mac: facts.mac ?? null,
    isDefault: { 4: facts.default[4], 6: facts.default[6] },
    nat: NAT_NOT_LOOKED_AT.data,
  };
}

function routesOf(
  found: LoadedFamily,
  af: Family,
  facts: InterfaceFacts,
  linkLocal: readonly string[],
  servers: readonly string[],
  at: number,
): Route[] {
  const seen = new Map(found.seen.map((address) => [address.ip, toObservation(address, servers)]));
  return found.routes.map(
    (route) =>
      new Route({
        af,
        interface: facts.name,
        index: facts.index,
        local: route.local,
        external: route.external ? [route.external] : [],
        linkLocal: af === 6 ? linkLocal.map((ip) => ({ ip, cidr: 128 })) : [],
        certainty: route.certainty as Certainty,
        assumed: route.assumed,
        asked: new Set(route.asked),
        evidence: {
          at,
          observations: route.asked.flatMap((ip) => seen.get(ip) ?? []),
          interfaceBindError: found.interfaceBindError ?? undefined,
        },
      }),
  );
}

/** A route of a dict: what is written there is believed as little as anything that was not asked now. */
function restored(route: RouteData, name: string): Route {
  const source: RouteSource = {
    af: route.af,
    interface: name,
    index: 0,
    // The IPv6 form of P2PD shows link-local addresses at the interface's side; the external ones are what is bound.
    local: route.af === 6 && route.extIps.length > 0 ? route.extIps : route.nicIps,
    external: route.extIps,
    linkLocal: route.af === 6 ? (route.linkLocalIps.length > 0 ? route.linkLocalIps : route.nicIps) : [],
    certainty: 'unverified',
    assumed: false,
    asked: new Set(),
    evidence: { at: undefined, observations: [], interfaceBindError: undefined },
  };
  return new Route(source);
}
