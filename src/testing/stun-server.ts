/** A STUN server with faults as told. */
import { StunRules } from '../native/binding.ts';
import { isIPv4 } from '../address/is-ip.ts';
import { asCaller, checkNames, checkNumber, wrong } from '../options/check.ts';
import { endpointText, freshBlock, Sockets, splitEndpoint } from './loopback.ts';
import { checkPath, Path, type PathOptions } from './path.ts';

/**
 * What is wrong with a server: `plain` knows nothing of RFC 5780 and answers 420 to its attributes; `ignores-change`
 * neither, and ignores them; `other-same-ip` tells its own address as the other one; `other-dead` tells another one
 * where nothing answers; `dead` answers nothing; `wrong-id-first` sends each answer with a wrong id before the right
 * one; `noise` sends each cut short, from a wrong port, and three times; `rewritten` has MAPPED-ADDRESS as something on
 * the way would rewrite it; `no-response-port` refuses RESPONSE-PORT; `lies` adds to the mapped port; `saysAddress`
 * tells that endpoint in place of what it saw; `otherAddress` tells that other address, such as a private one.
 */
export type ServerFault =
  | 'plain'
  | 'ignores-change'
  | 'other-same-ip'
  | 'other-dead'
  | 'dead'
  | 'wrong-id-first'
  | 'noise'
  | 'rewritten'
  | 'no-response-port'
  | { readonly lies: number }
  | { readonly saysAddress: string }
  | { readonly otherAddress: string };

/** A datagram that a server has got. */
export interface ScriptedRequest {
  /** How many came before. */
  readonly number: number;
  /** Where it came from, as the server sees it: `ip:port`. */
  readonly from: string;
  /** Which of the server's endpoints it arrived at. */
  readonly at: string;
  /** The whole datagram. */
  readonly bytes: Uint8Array;
}

/** Where to listen, and what to do wrong. */
export interface StunServerOptions {
  /** Two IPv4 addresses of this machine; by default two of 127.0.0.0/8 that nothing else uses. */
  addresses?: readonly [string, string] | undefined;
  /** Two ports; free ones by default. */
  ports?: readonly [number, number] | undefined;
  /** What is wrong with it; nothing by default. */
  fault?: ServerFault | undefined;
  /** Says for each request what is wrong with its answer; undefined leaves it to `fault`, `none` is no fault. */
  script?: ((request: ScriptedRequest) => ServerFault | 'none' | undefined) | undefined;
  /** What the way to it and back does to datagrams. */
  path?: PathOptions | undefined;
  /** What is random about the way follows from it, 0 to 2^32 - 1; 1 by default. */
  seed?: number | undefined;
}

const NAMES = [
  'plain',
  'ignores-change',
  'other-same-ip',
  'other-dead',
  'dead',
  'wrong-id-first',
  'noise',
  'rewritten',
  'no-response-port',
] as const;

/** The fault's name and value in the addon. @internal */
export function faultForAddon(option: string, fault: unknown): [name?: string, value?: string] {
  if (fault === undefined || fault === 'none') return [];
  if (NAMES.some((name) => name === fault)) return [fault as string];
  if (typeof fault === 'object' && fault !== null) {
    const { lies, saysAddress, otherAddress } = fault as {
      lies?: unknown;
      saysAddress?: unknown;
      otherAddress?: unknown;
    };
    if (Number.isInteger(lies) && (lies as number) >= 0 && (lies as number) <= 65_535) return ['lies', String(lies)];
    if (isEndpoint(saysAddress)) return ['says-address', saysAddress];
    if (isEndpoint(otherAddress)) return ['other-private', otherAddress];
  }
  return wrong(
    option,
    `${NAMES.map((name) => `'${name}'`).join(', ')}, or { lies }, { saysAddress } or { otherAddress }`,
    fault,
  );
}

function isEndpoint(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  const { ip, port } = splitEndpoint(value);
  return isIPv4(ip) && Number.isInteger(port) && port >= 0 && port <= 65_535;
}

/** What such a server answers, without its sockets. @internal */
export class ServerRules {
  readonly #rules: StunRules;
  readonly #script: StunServerOptions['script'];
  /** What is wrong with it from now on. */
  fault: ServerFault | undefined;
  /** Datagrams that came. */
  requests = 0;

  constructor(
    addresses: readonly [string, string],
    ports: readonly [number, number],
    fault: ServerFault | undefined,
    script?: StunServerOptions['script'],
  ) {
    this.#rules = StunRules.at([...addresses], [...ports]);
    this.fault = fault;
    this.#script = script;
  }

  answer(bytes: Buffer, from: string, at: string): { from: string; to: string; bytes: Buffer }[] {
    const number = this.requests++;
    const scripted = this.#script?.({ number, from, at, bytes });
    return this.#rules.answer(from, at, bytes, ...faultForAddon('fault', scripted ?? this.fault));
  }
}

/**
 * A STUN server of RFC 5780 in this process, with two addresses, two ports, and faults as told: for testing clients. It
 * answers from JavaScript, one datagram at a time; for real use there is the `StunServer` of `routepool`.
 *
 * @example
 * const server = await StunServer.listen({ fault: 'other-dead' });
 * const nat = await Interface.find('lo').loadNat({ servers: server.url });
 * await server.close();
 */
export class StunServer implements AsyncDisposable {
  readonly #sockets: Sockets;
  readonly #rules: ServerRules;
  readonly #path: Path;
  /** Its four endpoints: first address with both ports, then the second. */
  readonly endpoints: readonly string[];

  private constructor(sockets: Sockets, rules: ServerRules, path: Path, endpoints: readonly string[]) {
    this.#sockets = sockets;
    this.#rules = rules;
    this.#path = path;
    this.endpoints = endpoints;
  }

  /**
   * Starts a server. Linux and Windows; elsewhere `addresses` must be named, since only 127.0.0.1 is there.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` for a wrong option; a system error like `bind EADDRINUSE` otherwise
   */
  static async listen(options: StunServerOptions = {}): Promise<StunServer> {
    const { addresses, ports, fault, script, path, seed } = asCaller(StunServer.listen, () =>
      checkServerOptions(options),
    );
    const way = new Path(path, seed);
    const started: { server?: StunServer } = {};
    const sockets = new Sockets((bytes, from, at) => {
      // Nothing can come before it is there.
      if (started.server !== undefined) started.server.#receive(bytes, from, at);
    });
    try {
      const bound = await bindFour(sockets, addresses, ports);
      const rules = new ServerRules(addresses, bound, fault, script);
      const endpoints = addresses.flatMap((ip) => bound.map((port) => endpointText(ip, port)));
      started.server = new StunServer(sockets, rules, way, endpoints);
      return started.server;
    } catch (error) {
      await sockets.close();
      throw error;
    }
  }

  /** What to name it by: its first endpoint, `ip:port`. */
  get url(): string {
    return this.endpoints[0] ?? '';
  }

  /** Datagrams that have come. */
  get requests(): number {
    return this.#rules.requests;
  }

  /** What is wrong with it; can be changed at any time. */
  get fault(): ServerFault | undefined {
    return this.#rules.fault;
  }

  /** Makes it do something else wrong from the next request on; undefined: nothing. */
  set fault(fault: ServerFault | undefined) {
    faultForAddon('fault', fault);
    this.#rules.fault = fault;
  }

  /** Lets the process exit while it listens. */
  unref(): this {
    this.#sockets.ref(false);
    return this;
  }

  /** Closes its sockets. Idempotent. */
  async close(): Promise<void> {
    this.#path.close();
    await this.#sockets.close();
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #receive(bytes: Buffer, from: string, at: string): void {
    this.#path.carry(() => {
      for (const answer of this.#rules.answer(bytes, from, at)) {
        this.#path.carry(() => this.#sockets.send(answer.bytes, answer.from, answer.to));
      }
    });
  }
}

/** Binds both addresses with the same two ports. @internal */
export async function bindFour(
  sockets: Sockets,
  addresses: readonly [string, string],
  ports: readonly [number, number],
): Promise<[number, number]> {
  const bound: number[] = [];
  for (const port of ports) bound.push(splitEndpoint(await sockets.listen(addresses[0], port)).port);
  for (const port of bound) await sockets.listen(addresses[1], port);
  return [bound[0] ?? 0, bound[1] ?? 0];
}

function checkServerOptions(options: unknown) {
  const given = checkNames(options, ['addresses', 'ports', 'fault', 'script', 'path', 'seed'], {
    host: 'addresses',
    address: 'addresses',
    port: 'ports',
  });
  const block = freshBlock();
  const addresses = given.addresses ?? [`${block}201`, `${block}202`];
  const twoIps =
    Array.isArray(addresses) &&
    addresses.length === 2 &&
    addresses.every((ip) => typeof ip === 'string' && isIPv4(ip)) &&
    addresses[0] !== addresses[1];
  if (!twoIps) wrong('addresses', 'two different IPv4 addresses', addresses);
  const ports = given.ports ?? [0, 0];
  const twoPorts =
    Array.isArray(ports) &&
    ports.length === 2 &&
    ports.every((port) => Number.isInteger(port) && port >= 0 && port <= 65_535);
  if (!twoPorts || (ports[0] !== 0 && ports[0] === ports[1]))
    wrong('ports', 'two different integers from 0 to 65535', ports);
  if (given.script !== undefined && typeof given.script !== 'function') wrong('script', 'a function', given.script);
  faultForAddon('fault', given.fault);
  return {
    addresses: addresses as [string, string],
    ports: ports as [number, number],
    fault: given.fault as ServerFault | undefined,
    script: given.script as StunServerOptions['script'],
    path: checkPath('path', given.path),
    seed: checkNumber('seed', given.seed, 0, 2 ** 32 - 1, true) ?? 1,
  };
}
