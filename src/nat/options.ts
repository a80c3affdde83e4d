/** Options of looking at a NAT. */
import { checkBounded } from '../native/option-bounds.ts';
import { isIP } from '../address/is-ip.ts';
import type { NatProfile } from './report.ts';
import {
  asCaller,
  checkBoolean,
  checkChoice,
  checkLookup,
  checkNames,
  checkServers,
  checkSignal,
  wrong,
  type LookupFunction,
} from '../options/check.ts';

/** Whom to ask, and what. Everything is optional. */
export interface LoadNatOptions {
  /**
   * STUN servers: `host`, `host:port`, `[v6]:port`, `stun:host:port`. By default a few public ones. A server that
   * speaks RFC 5780 (two addresses) tells the filter too; with two of them their verdicts are compared. With plain
   * servers the mapping is told by comparing at least two.
   */
  servers?: string | readonly string[] | undefined;
  /**
   * How long to wait before treating silence as filtering. `fast`: no part takes longer than 1.5 s, no TCP; `normal`,
   * the default: about half a second where nothing is lost, no part longer than 5 s; `patient`: the whole schedule of
   * RFC 8489, 39.5 s, and up to 120 s amid loss.
   */
  profile?: NatProfile | undefined;
  /** Also measure how long an idle mapping is kept. Slow: up to twice {@link LoadNatOptions.lifetimeMaxMs}. */
  lifetime?: boolean | undefined;
  /** The longest idle time that is tried, in ms, 1,000 to 3,600,000; 150,000 by default. */
  lifetimeMaxMs?: number | undefined;
  /**
   * Also ask whether two hosts behind the NAT reach each other by their external addresses. Some firewalls take it for
   * an attack.
   */
  hairpin?: boolean | undefined;
  /** Also look at the mapping of TCP connections; true by default, but for `fast`. */
  tcp?: boolean | undefined;
  /** The address of the interface to ask from, or one for each family; by default that of the first route. */
  from?: string | readonly string[] | undefined;
  /**
   * An `http:` URL that answers 204, asked only when STUN is silent, to tell a captive portal; false asks none. By
   * default one is asked if the servers are the public ones.
   */
  portal?: string | false | undefined;
  /** Cancels: the promise then rejects with an AbortError. */
  signal?: AbortSignal | undefined;
  /**
   * Ends the tests early: the promise resolves with what was found until then. What is not settled is `unknown` with
   * the reason `stopped`; the sub-tests so far are in the evidence. Before the first test it cancels, as `signal` does.
   */
  stop?: AbortSignal | undefined;
  /** How server names are resolved; `dns.lookup` by default. */
  lookup?: LookupFunction | undefined;
}

/** Checked options. @internal */
export interface CheckedNatOptions extends Omit<LoadNatOptions, 'servers' | 'from' | 'portal'> {
  readonly servers: string[] | undefined;
  readonly from: string[] | undefined;
  readonly portal: URL | false | undefined;
}

const KNOWN = [
  'servers',
  'profile',
  'lifetime',
  'lifetimeMaxMs',
  'hairpin',
  'tcp',
  'from',
  'portal',
  'signal',
  'stop',
  'lookup',
] as const satisfies readonly (keyof LoadNatOptions)[];

/** What `Interface.load()`, `validate()` and binding call them. */
const SYNONYMS = { address: 'from', local: 'from', timeoutMs: 'profile' };

/** @internal */
export function checkNatOptions(options: unknown, caller: (...args: never[]) => unknown): CheckedNatOptions {
  return asCaller(caller, () => {
    const given = checkNames(options, KNOWN, SYNONYMS);
    return {
      servers: checkServers('servers', given.servers),
      profile: checkChoice('profile', given.profile, ['fast', 'normal', 'patient']),
      lifetime: checkBoolean('lifetime', given.lifetime),
      lifetimeMaxMs: checkBounded('lifetimeMaxMs', given.lifetimeMaxMs),
      hairpin: checkBoolean('hairpin', given.hairpin),
      tcp: checkBoolean('tcp', given.tcp),
      from: checkFrom(given.from),
      portal: checkPortal(given.portal),
      signal: checkSignal(given.signal),
      stop: checkSignal(given.stop, 'stop'),
      lookup: checkLookup(given.lookup),
    };
  });
}

function checkFrom(value: unknown): string[] | undefined {
  if (value === undefined) return undefined;
  const list: unknown[] = Array.isArray(value) ? [...value] : [value];
  const families = list.map((ip) => (typeof ip === 'string' ? isIP(ip) : 0));
  const right = families.length > 0 && !families.includes(0) && new Set(families).size === families.length;
  return right ? (list as string[]) : wrong('from', 'an IP address, or one for each family,', value);
}

function checkPortal(value: unknown): URL | false | undefined {
  if (value === undefined || value === false) return value;
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  return url?.protocol === 'http:'
    ? url
    : wrong('portal', "a URL like 'http://portal.example.net/generate_204' or false", value);
}
