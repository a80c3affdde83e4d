/** Options of a validation. */
import { checkBounded, requireBounded } from '../native/option-bounds.ts';
import { inspect } from 'node:util';
import type { NativeOptions } from '../native/binding.ts';
import { RoutePoolError } from '../errors/errors.ts';
import {
  asCaller,
  checkChoice,
  checkLookup,
  checkNames,
  checkServers,
  checkSignal,
  checkText,
  omitUndefined,
  unknownOption,
  wrong,
  type LookupFunction,
} from '../options/check.ts';

/**
 * Which addresses of a block are meant: `all` of them; the hosts of a `subnet` (without network and broadcast address,
 * the IPv6 subnet-router anycast address; /31, /32, /127 and /128 whole); or IPv4 addresses that end neither in 0 nor
 * in 255 (`no-0-255`: 65,024 of a /16).
 */
export type HostPolicy = 'all' | 'subnet' | 'no-0-255';

/** Ask only some hosts of each sub-prefix, since an IPv6 /64 cannot be walked. */
export interface ValidateSample {
  /** Length of the sub-prefixes. */
  perPrefix: number;
  /** Random hosts asked in each; 1 by default. */
  hosts?: number;
}

/** How to validate. Everything is optional. */
export interface ValidateOptions {
  /**
   * STUN servers: `host`, `host:port`, `[v6]:port`, `stun:host:port`, or `'embedded'` for the STUN server inside this
   * process. By default the embedded one for loopback blocks, else a few public ones at 50 probes a second in all. With
   * two or more server addresses, a `mapped` verdict needs two of them to agree.
   */
  servers?: string | readonly string[] | undefined;
  /** Most probes a second, 0.01 to 100,000,000. By default as fast as the network answers; 50 with public servers. */
  ratePerSecond?: number | undefined;
  /**
   * How many times a silent source is probed, 1 to 32. By default as often as the measured loss demands, up to 160
   * times, and more while nothing gets through. If too few for the loss, silence is `unknown` and not `no-reply`; one
   * pass proves nothing about silence.
   */
  passes?: number | undefined;
  /**
   * How long to wait before probing again, in milliseconds, 1 to 600,000; 2,000 by default. Later replies still count.
   */
  timeoutMs?: number | undefined;
  /** Which addresses of the blocks are meant. By default `all` of a block that a route holds, else `subnet`. */
  hosts?: HostPolicy | undefined;
  /** Ask only some hosts of each sub-prefix; the summary then tells the share. */
  sample?: ValidateSample | undefined;
  /** Only send and receive through this network interface (Linux: `SO_BINDTODEVICE`). */
  interface?: string | undefined;
  /** Seed of the order in which sources are asked: a number, or text of one, up to 64 bits. Random by default. */
  seed?: bigint | number | string | undefined;
  /**
   * A file that the state is kept in: a run of the same blocks, servers and interface that was killed goes on from
   * there.
   */
  state?: string | undefined;
  /**
   * Bytes of receive buffer to ask the kernel for, 1,024 to 1,073,741,824; 4 MiB by default. The number of probes in
   * flight follows what the kernel grants (Linux: `net.core.rmem_max`).
   */
  receiveBuffer?: number | undefined;
  /**
   * `one` socket for all sources (the default on Linux; macOS, FreeBSD and Windows have it on request, with a system
   * call for each datagram) or one `per-source` (everywhere, the default elsewhere, ten times slower).
   */
  sockets?: 'one' | 'per-source' | undefined;
  /** Stops the run; iteration and summary then reject with an AbortError. */
  signal?: AbortSignal | undefined;
  /** How server names are resolved; `dns.lookup` by default. One that is not resolved within 6 s is given up. */
  lookup?: LookupFunction | undefined;
}

const KNOWN = [
  'servers',
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
  if (typeof value !== 'object' || value === null)
    return wrong('sample', 'an object like { perPrefix: 64, hosts: 1 }', value);
  const { perPrefix, hosts = 1 } = value as Partial<ValidateSample>;
  for (const name of Object.keys(value)) {
    if (name !== 'perPrefix' && name !== 'hosts') unknownOption(`sample.${name}`, ['sample.perPrefix', 'sample.hosts']);
  }
  return {
    perPrefix: requireBounded('sample.perPrefix', perPrefix),
    hosts: checkBounded('sample.hosts', hosts) ?? 1,
  };
}

/**
 * Checks blocks and options. Errors have the stack of the call of `caller`.
 *
 * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` or `ERR_ROUTEPOOL_BLOCK`, naming what is wrong
 */
export function checkValidateOptions(
  blocks: unknown,
  options: unknown,
  caller: (...args: never[]) => unknown,
): NativeOptions {
  return asCaller(caller, () => checkBlocksAndOptions(blocks, options));
}

function checkBlocksAndOptions(blocks: unknown, options: unknown): NativeOptions {
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
    ...omitUndefined({
      hosts: checkChoice('hosts', given.hosts, ['all', 'subnet', 'no-0-255']),
      sample: checkSample(given.sample),
      servers: checkServers('servers', given.servers),
      ratePerSecond: checkBounded('ratePerSecond', given.ratePerSecond),
      passes: checkBounded('passes', given.passes),
      timeoutMs: checkBounded('timeoutMs', given.timeoutMs),
      interface: checkText('interface', given.interface, 'the name of a network interface'),
      seed: checkSeed(given.seed),
      state: checkText('state', given.state, 'the path of a file'),
      receiveBuffer: checkBounded('receiveBuffer', given.receiveBuffer),
      sockets: checkChoice('sockets', given.sockets, ['one', 'per-source']),
    }),
  };
}
