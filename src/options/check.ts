/** Options, checked by name before anything else happens. */
import { inspect } from 'node:util';
import type { LookupAddress, LookupAllOptions } from 'node:dns';
import type { NativeOptions } from '../native/binding.ts';
import { RoutePoolError } from '../errors/errors.ts';
import { nearestName } from './nearest-name.ts';

/**
 * Which addresses of a block are meant: `all` of them; the hosts of a `subnet` (without network and broadcast address, the
 * IPv6 subnet-router anycast address; /31, /32, /127 and /128 whole); or IPv4 addresses that end neither in 0 nor in 255
 * (`no-0-255`: 65,024 of a /16).
 */
export type HostPolicy = 'all' | 'subnet' | 'no-0-255';

/** Ask only some hosts of each sub-prefix, since an IPv6 /64 cannot be walked. */
export interface Sample {
  /** Length of the sub-prefixes. */
  perPrefix: number;
  /** Random hosts asked in each; 1 by default. */
  hosts?: number;
}

/** A resolver with the signature of `dns.lookup(hostname, { all: true, family }, callback)`. */
export type LookupFunction = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** How to validate. Everything is optional. */
export interface ValidateOptions {
  /**
   * STUN servers: `host`, `host:port`, `[v6]:port`, `stun:host:port`, or `'embedded'` for the responder inside this process.
   * By default the embedded one for loopback blocks, else a few public ones at 50 probes a second in all. With two or more
   * server addresses, a `mapped` verdict needs two of them to agree.
   */
  server?: string | readonly string[] | undefined;
  /** Most probes a second, 0.01 to 100,000,000. By default as fast as the network answers; 50 with public servers. */
  ratePerSecond?: number | undefined;
  /**
   * How many times a silent source is asked, 1 to 32. By default as often as the measured loss demands, at least three
   * times. If too few for the loss, silence is `unknown` and not `no-reply`.
   */
  passes?: number | undefined;
  /** How long a reply may take, in milliseconds, 1 to 600,000; 2,000 by default. */
  timeoutMs?: number | undefined;
  /** Which addresses of the blocks are meant. By default `all` of a block that a route holds, else `subnet`. */
  hosts?: HostPolicy | undefined;
  /** Ask only some hosts of each sub-prefix; the summary then tells the share. */
  sample?: Sample | undefined;
  /** Only send and receive through this network interface (Linux: `SO_BINDTODEVICE`). */
  interface?: string | undefined;
  /** Seed of the order in which sources are asked: a number, or text of one, up to 64 bits. Random by default. */
  seed?: bigint | number | string | undefined;
  /** A file that the state is kept in: a run of the same blocks, servers and interface that was killed goes on from there. */
  state?: string | undefined;
  /**
   * Bytes of receive buffer to ask the kernel for, 1,024 to 1,073,741,824; 4 MiB by default. The number of probes in flight
   * follows what the kernel grants (Linux: `net.core.rmem_max`).
   */
  receiveBuffer?: number | undefined;
  /**
   * `one` socket for all sources (the default on Linux; macOS, FreeBSD and Windows have it on request, with a system call for each
   * datagram) or one `per-source` (everywhere, the default elsewhere, ten times slower).
   */
  sockets?: 'one' | 'per-source' | undefined;
  /** Stops the run; iteration and summary then reject with an AbortError. */
  signal?: AbortSignal | undefined;
  /** How server names are resolved; `dns.lookup` by default. */
  lookup?: LookupFunction | undefined;
}

const KNOWN = [
  'server',
  'ratePerSecond',
  'passes',
  'timeoutMs',
  'hosts',
  'sample',
  'interface',
  'seed',
  'state',
  'receiveBuffer',
  'sockets',
  'signal',
  'lookup',
] as const satisfies readonly (keyof ValidateOptions)[];

export function wrong(option: string, expected: string, received: unknown): never {
  const shown = typeof received === 'string' ? `'${received}'` : inspect(received, { depth: 0, breakLength: Infinity });
  throw new RoutePoolError('ERR_ROUTEPOOL_OPTION', `expected ${expected} for \`${option}\` but received ${shown}`, { option });
}

export function checkNumber(option: string, value: unknown, min: number, max: number, integer: boolean): number | undefined {
  if (value === undefined) return undefined;
  const right = typeof value === 'number' && value >= min && value <= max && (!integer || Number.isInteger(value));
  if (right) return value;
  return wrong(option, `${integer ? 'an integer' : 'a number'} from ${min} to ${max}`, value);
}

export function checkText(option: string, value: unknown, expected: string): string | undefined {
  if (value === undefined) return undefined;
  return typeof value === 'string' && value.length > 0 ? value : wrong(option, expected, value);
}

/** Text that may be empty. */
export function checkString(option: string, value: unknown): string | undefined {
  return value === undefined || typeof value === 'string' ? value : wrong(option, 'text', value);
}

export function checkChoice<T extends string>(option: string, value: unknown, choices: readonly T[]): T | undefined {
  if (value === undefined) return undefined;
  const found = choices.find((choice) => choice === value);
  return found ?? wrong(option, choices.map((choice) => `'${choice}'`).join(' or '), value);
}

export function checkBoolean(option: string, value: unknown): boolean | undefined {
  return value === undefined || typeof value === 'boolean' ? value : wrong(option, 'true or false', value);
}

export function checkSignal(value: unknown, name = 'signal'): AbortSignal | undefined {
  return value === undefined || value instanceof AbortSignal ? value : wrong(name, 'an AbortSignal', value);
}

export function checkLookup(value: unknown): LookupFunction | undefined {
  return value === undefined || typeof value === 'function' ? (value as LookupFunction | undefined) : wrong('lookup', 'a function like dns.lookup', value);
}

const MAX_SEED = 2n ** 64n - 1n;

function checkSeed(value: unknown): bigint | undefined {
  if (value === undefined) return undefined;
  const usable =
    typeof value === 'bigint' ||
    (typeof value === 'number' && Number.isSafeInteger(value)) ||
    (typeof value === 'string' && /^(\d+|0x[\da-f]+)$/i.test(value));
  const seed = usable ? BigInt(value) : -1n;
  return seed >= 0n && seed <= MAX_SEED ? seed : wrong('seed', 'an integer from 0 to 2^64 - 1', value);
}

function checkSample(value: unknown): { perPrefix: number; hosts: number } | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'object' || value === null) return wrong('sample', 'an object like { perPrefix: 64, hosts: 1 }', value);
  const { perPrefix, hosts = 1 } = value as Partial<Sample>;
  for (const name of Object.keys(value)) {
    if (name !== 'perPrefix' && name !== 'hosts') unknown(`sample.${name}`, ['sample.perPrefix', 'sample.hosts']);
  }
  return {
    perPrefix: checkNumber('sample.perPrefix', perPrefix, 0, 128, true) ?? wrong('sample.perPrefix', 'an integer from 0 to 128', perPrefix),
    hosts: checkNumber('sample.hosts', hosts, 1, 2 ** 28, true) ?? 1,
  };
}

function unknown(name: string, known: readonly string[], synonyms: Readonly<Record<string, string>> = {}): never {
  const meant = Object.hasOwn(synonyms, name) ? synonyms[name] : nearestName(name, known);
  const hint = meant === undefined ? `known are ${known.join(', ')}` : `did you mean \`${meant}\`?`;
  throw new RoutePoolError('ERR_ROUTEPOOL_OPTION', `there is no option \`${name}\`; ${hint}`, { option: name });
}

/** @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` if they are no object */
export function asOptions(options: unknown): object {
  return typeof options === 'object' && options !== null ? options : wrong('options', 'an object', options);
}

/** Options as an object with known names only. `synonyms` are names that other libraries use. */
export function checkNames<K extends string>(options: unknown, known: readonly K[], synonyms?: Readonly<Record<string, string>>): { [P in K]?: unknown } {
  for (const name of Object.keys(asOptions(options))) {
    if (!known.some((candidate) => candidate === name)) unknown(name, known, synonyms);
  }
  return options as object;
}

/** Options of a `toJSON`, which JSON.stringify gives a key in their place. */
export function checkDetail(options: unknown, caller: (...args: never[]) => unknown): boolean {
  if (options === undefined || typeof options === 'string') return false;
  return asCaller(caller, () => checkBoolean('detail', checkNames(options, ['detail']).detail)) ?? false;
}

/** One server or several. */
export function checkServers(option: string, value: unknown): string[] | undefined {
  if (value === undefined) return undefined;
  const servers: unknown[] = Array.isArray(value) ? [...value] : [value];
  const right = servers.length > 0 && servers.every((server) => typeof server === 'string');
  return right ? (servers as string[]) : wrong(option, "a server like 'stun.example.net:3478' or a list of them", value);
}

/**
 * Checks blocks and options. Errors have the stack of the call of `caller`.
 *
 * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` or `ERR_ROUTEPOOL_BLOCK`, naming what is wrong
 */
export function checkOptions(blocks: unknown, options: unknown, caller: (...args: never[]) => unknown): NativeOptions {
  return asCaller(caller, () => check(blocks, options));
}

/** A listener must be a function: else it is only missed when it is called, with nobody to tell. */
export function checkListener(listener: unknown, caller: (...args: never[]) => unknown): void {
  if (typeof listener !== 'function') asCaller(caller, () => wrong('listener', 'a function', listener));
}

/** Runs a check; what it throws has the stack of the call of `caller`. */
export function asCaller<T>(caller: (...args: never[]) => unknown, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof Error) Error.captureStackTrace(error, caller);
    throw error;
  }
}

function check(blocks: unknown, options: unknown): NativeOptions {
  // Spread, so that holes of a sparse array count as the undefined that they are read as.
  const list: unknown[] = Array.isArray(blocks) ? [...blocks] : [blocks];
  if (!list.every((block) => typeof block === 'string')) {
    const message = `expected a block like '10.0.0.0/16' or a list of them but received ${inspect(blocks, { depth: 1 })}`;
    throw new RoutePoolError('ERR_ROUTEPOOL_BLOCK', message, { option: 'blocks' });
  }
  const given: { [K in keyof ValidateOptions]?: unknown } = checkNames(options, KNOWN);
  checkSignal(given.signal);
  checkLookup(given.lookup);
  return {
    blocks: list as string[],
    ...defined({
      hosts: checkChoice('hosts', given.hosts, ['all', 'subnet', 'no-0-255']),
      sample: checkSample(given.sample),
      servers: checkServers('server', given.server),
      ratePerSecond: checkNumber('ratePerSecond', given.ratePerSecond, 0.01, 1e8, false),
      passes: checkNumber('passes', given.passes, 1, 32, true),
      timeoutMs: checkNumber('timeoutMs', given.timeoutMs, 1, 600_000, false),
      interface: checkText('interface', given.interface, 'the name of a network interface'),
      seed: checkSeed(given.seed),
      state: checkText('state', given.state, 'the path of a file'),
      receiveBuffer: checkNumber('receiveBuffer', given.receiveBuffer, 1_024, 2 ** 30, true),
      sockets: checkChoice('sockets', given.sockets, ['one', 'per-source']),
    }),
  };
}

/** Only the properties that have a value: an explicit `undefined` is the same as leaving the option out. */
export function defined<T extends object>(object: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
