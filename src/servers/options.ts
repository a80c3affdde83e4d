/** Options of asking servers what addresses leave as. */
import { checkBounded } from '../native/option-bounds.ts';
import { asCaller, checkLookup, checkNames, checkServers, checkSignal, type LookupFunction } from '../options/check.ts';

/** Whom to ask, and how long. Everything is optional. */
export interface LoadOptions {
  /**
   * STUN servers: `host`, `host:port`, `[v6]:port`, `stun:host:port`. By default a few public ones. Two that agree are
   * believed; with one, the result says `single-server`.
   */
  servers?: string | readonly string[] | undefined;
  /**
   * When a server is given up, in milliseconds, 1 to 600,000; 5,000 by default. A name may take as long to resolve
   * before, by default 6,000.
   */
  timeoutMs?: number | undefined;
  /** Cancels: the promise then rejects with an AbortError. */
  signal?: AbortSignal | undefined;
  /** How server names are resolved; `dns.lookup` by default. */
  lookup?: LookupFunction | undefined;
}

/** Checked options. @internal */
export interface CheckedLoadOptions {
  readonly servers: string[] | undefined;
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly lookup: LookupFunction | undefined;
  /** Whether the process stays alive meanwhile; true by default. */
  readonly holds?: boolean | undefined;
}

/** @internal */
export const LOAD_OPTIONS: readonly ['servers', 'timeoutMs', 'signal', 'lookup'] = [
  'servers',
  'timeoutMs',
  'signal',
  'lookup',
];

/** @internal */
export function checkLoadOptions(options: unknown, caller: (...args: never[]) => unknown): CheckedLoadOptions {
  return asCaller(caller, () => {
    const given = checkNames(options, LOAD_OPTIONS);
    return {
      servers: checkServers('servers', given['servers']),
      timeoutMs: checkBounded('timeoutMs', given['timeoutMs']),
      signal: checkSignal(given['signal']),
      lookup: checkLookup(given['lookup']),
    };
  });
}
