/** A NAT in this process, with real sockets on loopback addresses. */
import { simulateNat, type NatRules } from '../native/binding.ts';
import { RoutePoolError } from '../errors/errors.ts';
import { unwrap } from '../native/failure.ts';
import { asCaller, checkBoolean, checkChoice, checkNames, checkNumber, wrong } from '../options/check.ts';
import { endpointText, freshBlock, Sockets, splitEndpoint } from './loopback.ts';
import { checkPath, Path, type PathOptions } from './path.ts';
import { bindFour, faultForAddon, ServerRules, type ServerFault } from './stun-server.ts';

/** What kind of NAT. Everything is optional; by default it is a home router's: port-restricted, ports kept. */
export interface SimulatedNatOptions {
  /** How the mapped port follows from the destination; `none` is a firewall that translates nothing. */
  mapping?: 'none' | 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent' | undefined;
  /** Who is let in. */
  filtering?: 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent' | undefined;
  /** How mapped ports are chosen; `equal` by default, `random` if the mapping depends on the destination. */
  allocation?: 'equal' | 'preserving' | 'independent' | 'dependent' | 'random' | undefined;
  /** The distance or step of `preserving`, `independent` and `dependent`, in ports, 1 to 65,535; 2 by default. */
  step?: number | undefined;
  /**
   * How many external addresses it has, 1 to 90; 1 by default. With `arbitrary` pooling each mapping takes one of them
   * at random.
   */
  externals?: number | undefined;
  /** Whether a host keeps one external address (`paired`, the default), or each mapping takes any. */
  pooling?: 'paired' | 'arbitrary' | undefined;
  /** How long a mapping is kept without a packet from inside, in ms, 1 to 86,400,000; 300,000 by default. */
  lifetimeMs?: number | undefined;
  /** Whether hosts inside reach each other by their external addresses; false by default. */
  hairpin?: boolean | undefined;
  /** It lets through nothing. */
  blocked?: boolean | undefined;
  /** What the way to the NAT and back does to datagrams. */
  path?: PathOptions | undefined;
  /** STUN servers of RFC 5780 beyond it, 0 to 10; 1 by default. */
  servers?: number | undefined;
  /** What is wrong with each of them. */
  faults?: readonly (ServerFault | undefined)[] | undefined;
  /** What is random follows from it, 0 to 2^32 - 1; 1 by default. */
  seed?: number | undefined;
}

/** What a NAT has done so far. */
export interface SimulatedNatCounters {
  /** Datagrams from inside that were passed on. */
  readonly outbound: number;
  /** Datagrams from outside that were let in. */
  readonly inbound: number;
  /** Datagrams from outside that were not let in. */
  readonly filtered: number;
  /** Datagrams that the way has lost. */
  readonly lost: number;
}

/**
 * The NATs of this process by the beginning of their addresses: a host behind one may send to the outside of another.
 */
const nats = new Map<string, SimulatedNat>();

/** The parts of a block: hosts inside are .1 to .99, external addresses from .101, servers from .201. */
const FIRST_EXTERNAL = 101;
const FIRST_SERVER = 201;

/**
 * A NAT for tests. Hosts behind it are sockets that are bound to its inside addresses ({@link SimulatedNat.host}); what
 * they send to its STUN servers, to the external address of another SimulatedNat of this process, or to an address that
 * stands for a host outside ({@link SimulatedNat.reach}) is translated and filtered as a NAT of that kind does. All of
 * it is UDP over real sockets on 127.0.0.0/8; nothing leaves the machine.
 *
 * The 1,024 external ports that were used last are held open; an older one is opened again when a host inside sends
 * from it.
 *
 * Linux and Windows. With mapping `none`, hosts outside reach inside addresses without being filtered, since these are
 * the same; its own STUN servers are filtered.
 *
 * @example
 * const nat = await SimulatedNat.listen({ mapping: 'address-and-port-dependent' });
 * const found = await Interface.find('lo').loadNat({ from: nat.host(1), servers: nat.servers });
 * console.log(found.natInfo);                          // symetric
 * await nat.close();
 */
export class SimulatedNat implements AsyncDisposable {
  readonly #rules: NatRules;
  readonly #sockets: Sockets;
  readonly #path: Path;
  readonly #block: string;
  readonly #blocked: boolean;
  readonly #servers = new Map<string, ServerRules>();
  /** Which host outside an address stands for, and the other way round. */
  readonly #hosts = new Map<string, string>();
  readonly #stands = new Map<string, Promise<string>>();
  readonly #count = { outbound: 0, inbound: 0, filtered: 0 };
  #closed = false;
  /** The STUN servers beyond it, `ip:port`. */
  readonly servers: readonly string[];
  /** Its external addresses. */
  readonly externals: readonly string[];

  private constructor(
    rules: NatRules,
    sockets: Sockets,
    path: Path,
    block: string,
    blocked: boolean,
    servers: ReadonlyMap<string, ServerRules>,
    externals: readonly string[],
  ) {
    this.#rules = rules;
    this.#sockets = sockets;
    this.#path = path;
    this.#block = block;
    this.#blocked = blocked;
    this.#servers = new Map(servers);
    // Each server stands in the map with its four endpoints, the first one first.
    this.servers = [...servers.keys()].filter((_, i) => i % 4 === 0);
    this.externals = externals;
    nats.set(block, this);
  }

  /**
   * Makes a NAT.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` for a wrong option; a system error if loopback addresses cannot be
   *   bound
   */
  static async listen(options: SimulatedNatOptions = {}): Promise<SimulatedNat> {
    const { kind, blocked, servers, faults, path, seed } = asCaller(SimulatedNat.listen, () =>
      checkNatOptions(options),
    );
    const block = freshBlock();
    const externals = Array.from({ length: kind.externals }, (_, i) => `${block}${FIRST_EXTERNAL + i}`);
    const rules = unwrap(simulateNat({ ...kind, externals, seed: BigInt(seed) }), SimulatedNat.listen);
    const started: { nat?: SimulatedNat } = {};
    const sockets = new Sockets((bytes, from, at) => {
      // Nothing can come before it is there.
      if (started.nat !== undefined) started.nat.#receive(bytes, from, at);
    });
    try {
      const endpoints = new Map<string, ServerRules>();
      for (let i = 0; i < servers; i++) {
        const addresses = [`${block}${FIRST_SERVER + 2 * i}`, `${block}${FIRST_SERVER + 2 * i + 1}`] as const;
        const ports = await bindFour(sockets, addresses, [0, 0]);
        const server = new ServerRules(addresses, ports, faults[i]);
        for (const ip of addresses) for (const port of ports) endpoints.set(endpointText(ip, port), server);
      }
      started.nat = new SimulatedNat(rules, sockets, new Path(path, seed), block, blocked, endpoints, externals);
      return started.nat;
    } catch (error) {
      await sockets.close();
      throw error;
    }
  }

  /**
   * An address inside: a socket bound to it is a host behind the NAT.
   *
   * @param n 1 to 99
   */
  host(n = 1): string {
    if (!Number.isInteger(n) || n < 1 || n >= FIRST_EXTERNAL - 1) {
      throw new RoutePoolError(
        'ERR_ROUTEPOOL_OPTION',
        `expected an integer from 1 to ${FIRST_EXTERNAL - 2} for \`n\` but received ${String(n)}`,
        { option: 'n' },
      );
    }
    return `${this.#block}${n}`;
  }

  /**
   * The address and port by which hosts inside reach a host outside that is no part of a simulation, such as a server
   * of your own at `127.0.0.1:5000`. It sees the NAT's external address; hosts inside see its answers come from what is
   * given here.
   */
  async reach(endpoint: string): Promise<string> {
    const { ip, port } = splitEndpoint(endpoint);
    if (ip === '' || !Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new RoutePoolError(
        'ERR_ROUTEPOOL_OPTION',
        `expected an endpoint like '127.0.0.1:5000' for \`endpoint\` but received '${endpoint}'`,
        { option: 'endpoint' },
      );
    }
    return this.#standFor(endpoint);
  }

  /** What it has done so far. */
  counters(): SimulatedNatCounters {
    return { ...this.#count, lost: this.#path.lost };
  }

  /** Lets the process exit while it is there. */
  unref(): this {
    this.#sockets.ref(false);
    return this;
  }

  /** Closes all of its sockets. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    nats.delete(this.#block);
    this.#path.close();
    await this.#sockets.close();
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Whether an endpoint is that of a host inside. */
  #isInside(endpoint: string): boolean {
    const { ip } = splitEndpoint(endpoint);
    return ip.startsWith(this.#block) && Number(ip.slice(this.#block.length)) < FIRST_EXTERNAL - 1;
  }

  /** A datagram at one of this NAT's sockets: a server's, an external one, or one that stands for a host outside. */
  #receive(bytes: Buffer, from: string, at: string): void {
    if (this.#isInside(from)) {
      const target = this.#hosts.get(at) ?? at;
      this.#path.carry(() => this.#fromInside(bytes, from, target));
      return;
    }
    const sender = behind(from);
    // A host behind another NAT: it is translated there before it comes here.
    if (sender !== undefined) sender.#path.carry(() => sender.#fromInside(bytes, from, at));
    // The servers are beyond the NAT: from outside it they are not to be reached.
    else if (!this.#servers.has(at)) this.#toInside(bytes, from, at);
  }

  #fromInside(bytes: Buffer, from: string, to: string): void {
    if (this.#closed || this.#blocked) return;
    const now = performance.now();
    if (this.externals.includes(splitEndpoint(to).ip)) {
      const passed = this.#rules.hairpin(now, from, to);
      if (passed) this.#sockets.send(bytes, passed.from, passed.to);
      else this.#count.filtered++;
      return;
    }
    const external = this.#rules.outbound(now, from, to);
    if (external === null) return;
    this.#count.outbound++;
    const server = this.#servers.get(to);
    if (server !== undefined) {
      // Once a client knows its external port, others may send there.
      const ready = this.#isInside(external) ? Promise.resolve() : this.#sockets.open(external);
      void ready.then(() => {
        for (const answer of server.answer(bytes, external, to)) this.#toInside(answer.bytes, answer.from, answer.to);
      });
      return;
    }
    const other = behind(to);
    if (other !== undefined) other.#toInside(bytes, external, to);
    else this.#sockets.send(bytes, external, to);
  }

  /** A datagram from outside to an external endpoint. */
  #toInside(bytes: Buffer, from: string, to: string): void {
    if (this.#closed) return;
    const inside = this.#rules.inbound(performance.now(), from, to);
    if (inside === null) {
      this.#count.filtered++;
      return;
    }
    this.#count.inbound++;
    this.#path.carry(() => {
      // Endpoints of simulations can be sent from; for any other host an address of ours stands.
      if (behind(from) !== undefined) this.#sender(from).#sockets.send(bytes, from, inside);
      else
        void this.#standFor(from).then(
          (stand) => this.#sockets.send(bytes, stand, inside),
          () => undefined,
        );
    });
  }

  #sender(endpoint: string): SimulatedNat {
    return behind(endpoint) ?? this;
  }

  /** The endpoint that stands for a host outside. */
  #standFor(host: string): Promise<string> {
    let stand = this.#stands.get(host);
    if (stand === undefined) {
      stand = this.#sockets.listen(`${this.#block}250`).then((endpoint) => {
        this.#hosts.set(endpoint, host);
        return endpoint;
      });
      this.#stands.set(host, stand);
    }
    return stand;
  }
}

/** The NAT that an endpoint belongs to, inside or outside. */
function behind(endpoint: string): SimulatedNat | undefined {
  return nats.get(endpoint.slice(0, splitEndpoint(endpoint).ip.lastIndexOf('.') + 1));
}

const DEPENDENCE = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const;

function checkNatOptions(options: unknown) {
  const given = checkNames(options, [
    'mapping',
    'filtering',
    'allocation',
    'step',
    'externals',
    'pooling',
    'lifetimeMs',
    'hairpin',
    'blocked',
    'path',
    'servers',
    'faults',
    'seed',
  ] as const satisfies readonly (keyof SimulatedNatOptions)[]);
  const mapping = checkChoice('mapping', given.mapping, ['none', ...DEPENDENCE]) ?? 'endpoint-independent';
  const symmetric = mapping === 'address-dependent' || mapping === 'address-and-port-dependent';
  const servers = checkNumber('servers', given.servers, 0, 10, true) ?? 1;
  const faults: unknown = given.faults ?? [];
  if (!Array.isArray(faults) || faults.length > servers)
    wrong('faults', `a list of at most ${servers}, one for each server,`, faults);
  faults.forEach((fault, i) => void faultForAddon(`faults[${i}]`, fault));
  return {
    kind: {
      mapping,
      filtering: checkChoice('filtering', given.filtering, DEPENDENCE) ?? 'address-and-port-dependent',
      allocation:
        checkChoice('allocation', given.allocation, ['equal', 'preserving', 'independent', 'dependent', 'random']) ??
        (symmetric ? 'random' : 'equal'),
      step: checkNumber('step', given.step, 1, 65_535, true) ?? 2,
      externals: checkNumber('externals', given.externals, 1, 90, true) ?? (given.pooling === 'arbitrary' ? 2 : 1),
      arbitrary: checkChoice('pooling', given.pooling, ['paired', 'arbitrary']) === 'arbitrary',
      lifetimeMs: checkNumber('lifetimeMs', given.lifetimeMs, 1, 86_400_000, false) ?? 300_000,
      hairpin: checkBoolean('hairpin', given.hairpin) ?? false,
    },
    blocked: checkBoolean('blocked', given.blocked) ?? false,
    servers,
    faults: faults as (ServerFault | undefined)[],
    path: checkPath('path', given.path),
    seed: checkNumber('seed', given.seed, 0, 2 ** 32 - 1, true) ?? 1,
  };
}
