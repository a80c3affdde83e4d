/** All external addresses of a family as one thing to index, count and iterate. */
import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import { inspect } from 'node:util';
import { misuse, RoutePoolError } from '../errors/errors.ts';
import { poolAgent, type RouteAgentOptions, type RouteHttpsAgentOptions } from '../http/agents.ts';
import { AddressPool, makePool, type NativePool } from '../native/binding.ts';
import { poolConnector, type Connector, type ConnectorOptions } from '../http/connectors.ts';
import { ITEM_BYTES, POOL_CHUNK } from '../defaults.ts';
import { unwrap } from '../native/failure.ts';
import type { Family } from '../address/family.ts';
import type { RouteData } from './data.ts';
import { asCaller, wrong } from '../options/check.ts';
import type { RoutePickerOptions } from '../http/pick.ts';
import { Route, type RouteSource } from './route.ts';

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** Ranges that one validation takes: more would be a list, not a block. */
const MAX_RUNS = 65_536;

/** More ranges than a pool can have: what is saved is whole. */
const ALL_RUNS = 2 ** 32 - 1;

/**
 * Single items lie side by side in bytes that are made for many: an allocation for each would cost more than all the
 * rest.
 */
const SLAB_ITEMS = 256;
let slab: Buffer = Buffer.alloc(0);
let slabAt = 0;

/** Routes have numbers of their own in the process, so that pools of several interfaces can be joined. */
let nextNumber = 0;

/**
 * The external addresses of routes, as one lazy sequence from one address to a /64 and beyond: each is a {@link Route}
 * with that single external address and the local one to bind for it. An address that two routes hold counts once.
 *
 * @example
 * const pool = nic.rp[IP4];
 * console.log(pool.length, pool.at(0)?.ext(), pool.at(-1)?.ext(), pool.has('192.0.2.7'));
 * const bound = await pool.random()?.bind({ port: 8080 });
 */
export class RoutePool implements Iterable<Route> {
  /** 4 or 6. */
  readonly af: Family;
  /** The routes that the addresses are of, also those without an external address yet. */
  readonly routes: readonly Route[];
  /** How many external addresses there are, exactly; of `::/0` one less than there are. */
  readonly size: bigint;
  readonly #native: AddressPool;
  readonly #sources: ReadonlyMap<number, RouteSource>;
  /** The size as a number; infinite where a number is not exact. */
  readonly #count: number;

  private constructor(
    af: Family,
    routes: readonly Route[],
    native: AddressPool,
    sources: ReadonlyMap<number, RouteSource>,
  ) {
    this.af = af;
    this.routes = routes;
    this.#native = native;
    this.#sources = sources;
    this.size = native.size;
    this.#count = this.size > MAX_SAFE ? Infinity : Number(this.size);
  }

  /** @internal */
  static of(af: Family, routes: readonly Route[]): RoutePool {
    const sources = new Map<number, RouteSource>();
    const parts = routes.flatMap((route) => {
      const source = Route.sourceOf(route);
      const number = nextNumber++;
      sources.set(number, source);
      return source.external.map((range) => {
        // A block leaves as itself, address by address. Otherwise the first local address stands for the external one.
        const same = source.local.some((local) => local.ip === range.ip && local.cidr === range.cidr);
        const first = source.local[0]?.ip;
        const external = `${range.ip}/${range.cidr}`;
        return same || first === undefined ? { route: number, external } : { route: number, external, local: first };
      });
    });
    return new RoutePool(af, routes, unwrap(makePool(af, parts), RoutePool.of), sources);
  }

  /** The proven sources of a run: each leaves as itself. @internal */
  static ofProven(proven: NativePool): RoutePool {
    const af: Family = proven.family() === 6 ? 6 : 4;
    const number = nextNumber++;
    const source: RouteSource = {
      af,
      interface: undefined,
      index: 0,
      local: [],
      external: [],
      linkLocal: [],
      // Each answer proves itself, but one server gave it.
      certainty: 'single-server',
      assumed: false,
      asked: new Set(),
      evidence: { at: Date.now(), observations: [], interfaceBindError: undefined },
    };
    return new RoutePool(af, [], AddressPool.ofProven(proven, number), new Map([[number, source]]));
  }

  /**
   * The local addresses that its items are bound to, as addresses and ranges, and the way from one of them to its item.
   *
   * @internal
   */
  static localsOf(pool: RoutePool): { ranges: string[]; routeOf: (ip: string) => Route | undefined } {
    const runs = pool.#native.runs(MAX_RUNS + 1);
    if (runs.length > MAX_RUNS) {
      throw new RoutePoolError(
        'ERR_ROUTEPOOL_BLOCK',
        `this pool is scattered over more than ${MAX_RUNS} ranges: name the blocks that it came from`,
      );
    }
    /** Of addresses that are used from another one: that one, and the first that it leaves as. */
    const mapped = new Map<string, string>();
    const ranges: string[] = [];
    for (const { first, last, route, same } of runs) {
      const local = pool.#sources.get(route)?.local[0]?.ip;
      if (same) ranges.push(first === last ? first : `${first}-${last}`);
      else if (local !== undefined && !mapped.has(local)) {
        mapped.set(local, first);
        ranges.push(local);
      }
    }
    const routeOf = (ip: string) => {
      const position = pool.position(mapped.get(ip) ?? ip);
      const route = position === undefined ? undefined : pool.at(position);
      return route?.local() === ip ? route : undefined;
    };
    return { ranges, routeOf };
  }

  /** The addresses that are bound as themselves, as ranges: what can be proven of it. @internal */
  static blocksOf(pool: RoutePool): string[] {
    const runs = pool.#native.runs(MAX_RUNS + 1);
    if (runs.length > MAX_RUNS) {
      throw new RoutePoolError(
        'ERR_ROUTEPOOL_BLOCK',
        `this pool is scattered over more than ${MAX_RUNS} ranges: validate the blocks that it came from`,
      );
    }
    const blocks = runs
      .filter((run) => run.same)
      .map((run) => (run.first === run.last ? run.first : `${run.first}-${run.last}`));
    if (blocks.length === 0) {
      throw new RoutePoolError(
        'ERR_ROUTEPOOL_NO_ROUTE',
        'no address of this pool is held by this machine itself: they are those of a NAT, which leaves nothing to validate',
      );
    }
    return blocks;
  }

  /**
   * How many external addresses there are, as a number.
   *
   * @throws RangeError beyond 2^53 - 1, where only {@link RoutePool.size} is exact
   */
  get length(): number {
    if (this.#count === Infinity)
      throw new RangeError(
        `this pool has ${this.size} addresses, more than a number can count: use \`size\`, a bigint`,
      );
    return this.#count;
  }

  /** The item with this number, from 0; a negative one counts from the end; undefined outside, as arrays do. */
  at(k: number | bigint): Route | undefined {
    if (typeof k === 'number' && this.#count !== Infinity) {
      const number = Math.trunc(k) || 0;
      const index = number < 0 ? number + this.#count : number;
      return index >= 0 && index < this.#count ? this.#one(index) : undefined;
    }
    const number =
      typeof k === 'bigint' ? k : Number.isFinite(k) ? BigInt(Math.trunc(k)) : Number.isNaN(k) ? 0n : this.size;
    const index = number < 0n ? number + this.size : number;
    return index >= 0n && index < this.size ? this.#one(index) : undefined;
  }

  #one(index: number | bigint): Route | undefined {
    if (slabAt + ITEM_BYTES > slab.length) [slab, slabAt] = [Buffer.alloc(SLAB_ITEMS * ITEM_BYTES), 0];
    const at = slabAt;
    slabAt += ITEM_BYTES;
    return this.#native.fill(index, slab, at, 1) === 1 ? this.#item(slab, at) : undefined;
  }

  #item(bytes: Uint8Array, at: number): Route {
    const route =
      (bytes[at + 32] ?? 0) |
      ((bytes[at + 33] ?? 0) << 8) |
      ((bytes[at + 34] ?? 0) << 16) |
      ((bytes[at + 35] ?? 0) << 24);
    const source = this.#sources.get(route >>> 0);
    if (source === undefined) throw new RoutePoolError('ERR_ROUTEPOOL_INTERNAL', 'an item of a pool has no route');
    return new Route(source, { bytes, at });
  }

  /** Whether an external address is there; false for what is no address. */
  has(ip: string): boolean {
    return this.position(ip) !== undefined;
  }

  /** The number of an external address; -1 if it is not there. */
  indexOf(ip: string): number {
    const position = this.position(ip);
    if (position === undefined) return -1;
    if (position > MAX_SAFE)
      throw new RangeError(`${ip} has the number ${position}, more than a number can count: use \`position()\``);
    return Number(position);
  }

  /** The number of an external address as a bigint; undefined if it is not there. */
  position(ip: string): bigint | undefined {
    return this.#native.indexOf(String(ip)) ?? undefined;
  }

  /** Each item in order. */
  *[Symbol.iterator](): IterableIterator<Route> {
    for (let start = 0n; start < this.size; start += BigInt(POOL_CHUNK)) yield* this.#chunk(start, POOL_CHUNK);
  }

  /** Each item from the last to the first. */
  *reversed(): IterableIterator<Route> {
    for (let end = this.size; end > 0n; end -= BigInt(POOL_CHUNK)) {
      const start = end > BigInt(POOL_CHUNK) ? end - BigInt(POOL_CHUNK) : 0n;
      yield* [...this.#chunk(start, Number(end - start))].toReversed();
    }
  }

  *#chunk(start: bigint, most: number): Generator<Route> {
    // Each chunk has bytes of its own: items that somebody keeps point into them.
    const bytes = Buffer.alloc(most * ITEM_BYTES);
    const count = this.#native.fill(start, bytes, 0, most);
    for (let i = 0; i < count; i++) yield this.#item(bytes, i * ITEM_BYTES);
  }

  /** The items from number `start` to before number `end`, as a pool; negative numbers count from the end. */
  slice(start: number | bigint = 0, end: number | bigint = this.size): RoutePool {
    const bound = (k: number | bigint) => {
      const number = typeof k === 'bigint' ? k : k === Infinity ? this.size : BigInt(Math.trunc(k) || 0);
      const index = number < 0n ? number + this.size : number;
      return index < 0n ? 0n : index > this.size ? this.size : index;
    };
    return this.#with(this.#native.slice(bound(start), bound(end)));
  }

  /** A random item; always the same for the same seed. Undefined for an empty pool. */
  random(seed?: number | bigint): Route | undefined {
    if (this.size === 0n) return undefined;
    let number = 0n;
    if (seed === undefined) {
      for (const word of crypto.getRandomValues(new BigUint64Array(3))) number = (number << 64n) | word;
    } else {
      const whole = typeof seed === 'bigint' || Number.isInteger(seed);
      if (!whole) asCaller(this.random, () => wrong('seed', 'an integer', seed));
      // SplitMix64 (Steele, Lea, Flood 2014), three times: the numbers of pools have up to 128 bits.
      let state = BigInt.asUintN(64, BigInt(seed));
      for (let i = 0; i < 3; i++) {
        state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
        let z = state;
        z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
        z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
        number = (number << 64n) | (z ^ (z >> 31n));
      }
    }
    return this.at(number % this.size);
  }

  /** Own items, then those that only the other has. */
  concat(other: RoutePool): RoutePool {
    return this.union(other);
  }

  /**
   * Own items, then those that only the other has.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_MISUSE` for what is no pool, or one of the other family
   */
  union(other: RoutePool): RoutePool {
    const af = this.#sameFamily(other);
    const sources = new Map([...this.#sources, ...other.#sources]);
    return new RoutePool(af, [...this.routes, ...other.routes], this.#native.union(other.#native), sources);
  }

  /**
   * The items that the other has too.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_MISUSE` for what is no pool, or one of the other family
   */
  intersection(other: RoutePool): RoutePool {
    this.#sameFamily(other);
    return this.#with(this.#native.intersection(other.#native));
  }

  /** The items that the other does not have. */
  difference(other: RoutePool): RoutePool {
    this.#sameFamily(other);
    return this.#with(this.#native.difference(other.#native));
  }

  /** The items that only one of both has. */
  symmetricDifference(other: RoutePool): RoutePool {
    this.#sameFamily(other);
    return this.difference(other).union(other.difference(this));
  }

  /** Whether the other has all of these external addresses. */
  isSubsetOf(other: RoutePool): boolean {
    poolOnly(other);
    return this.#native.isSubsetOf(other.#native);
  }

  /** Whether all external addresses of the other are here. */
  isSupersetOf(other: RoutePool): boolean {
    poolOnly(other);
    return other.isSubsetOf(this);
  }

  /** Whether both have no external address in common. */
  isDisjointFrom(other: RoutePool): boolean {
    poolOnly(other);
    return this.#native.isDisjointFrom(other.#native);
  }

  /** Whether both have the same external addresses, in whatever order. */
  equals(other: unknown): boolean {
    return other instanceof RoutePool && other.af === this.af && this.#native.sameAs(other.#native);
  }

  #with(native: AddressPool): RoutePool {
    return new RoutePool(this.af, this.routes, native, this.#sources);
  }

  #sameFamily(other: RoutePool): Family {
    poolOnly(other);
    if (other.af !== this.af)
      throw misuse(`a pool of IPv${this.af} and one of IPv${other.af} have no address in common`);
    return this.af;
  }

  /**
   * An agent for `http`, or with `protocol: 'https:'` for `https`, that gives each request a route of this pool: one
   * after the other, `pick: 'random'`, or by a function. An idle connection is used again only by a request with its
   * route.
   *
   * @example
   * http.get('http://example.net/', { agent: pool.agent({ pick: 'random', maxTotalSockets: 1000 }) });
   * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION`
   */
  agent(options?: RouteAgentOptions & RoutePickerOptions): HttpAgent;
  agent(options: RouteHttpsAgentOptions & RoutePickerOptions): HttpsAgent;
  agent(options: (RouteAgentOptions | RouteHttpsAgentOptions) & RoutePickerOptions = {}): HttpAgent {
    return poolAgent(this, options, this.agent);
  }

  /**
   * A connector for undici that gives each connection a route of this pool: `new Agent({ connect: pool.connector() })`.
   * undici sends many requests over one connection; with `pipelining: 0` and `connections` there are as many sources as
   * connections.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION`
   */
  connector(options: ConnectorOptions & RoutePickerOptions = {}): Connector {
    return poolConnector(this, options, this.connector);
  }

  /** Family, size, routes as the dict of an interface has them, and the external addresses as ranges. */
  toJSON(): { af: Family; size: string; routes: RouteData[]; external: string[] } {
    const external = this.#native
      .runs(ALL_RUNS)
      .map(({ first, last }) => (first === last ? first : `${first}-${last}`));
    return { af: this.af, size: String(this.size), routes: this.routes.map((route) => route.toJSON()), external };
  }

  /** `192.0.2.7, 198.18.0.0-198.18.255.255`: the external addresses, at most ten ranges of them. */
  toString(): string {
    const runs = this.#native.runs(11).map(({ first, last }) => (first === last ? first : `${first}-${last}`));
    return runs.length > 10 ? `${runs.slice(0, 10).join(', ')}, …` : runs.join(', ');
  }

  static {
    Object.defineProperty(this.prototype, inspect.custom, {
      value(this: RoutePool): string {
        return `RoutePool(${this.size}) [ ${String(this)} ]`;
      },
    });
  }
}

/** Sets of other kinds cannot be worked with: what they hold is no routes. */
function poolOnly(other: unknown): void {
  if (!(other instanceof RoutePool)) {
    throw misuse(`expected a RoutePool but received ${inspect(other, { depth: 0, breakLength: Infinity })}`);
  }
}
