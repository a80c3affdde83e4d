/** Options of a watch. */
import { checkBounded } from '../native/option-bounds.ts';
import { chooseServers } from '../native/binding.ts';
import { PUBLIC_INTERVAL_MS } from '../defaults.ts';
import { unwrap } from '../native/failure.ts';
import { checkLoadOptions, type CheckedLoadOptions, type LoadOptions } from '../servers/options.ts';
import { asCaller, checkNames, checkNumber, checkSignal, wrong } from '../options/check.ts';

/** How external addresses are watched. */
export interface WatchExternalOptions extends Omit<LoadOptions, 'signal'> {
  /**
   * Ask again after so many milliseconds to 1.3 times as many (a random share, so that machines do not ask together),
   * 100 to 86,400,000; with public servers at least 20,000. By default only after a change, since nothing tells of a
   * NAT's new address but asking.
   */
  intervalMs?: number | undefined;
  /**
   * Names of the interfaces to ask for. By default those that are up and have a gateway or a block, loopback left out.
   */
  interfaces?: readonly string[] | undefined;
}

/** How to watch. Everything is optional. */
export interface WatchOptions {
  /**
   * Also tell of external addresses: servers are asked at the beginning and after each change. Nothing is sent without
   * it. `true` asks public servers, not more often than each 5 s.
   */
  external?: boolean | WatchExternalOptions | undefined;
  /**
   * Look so often, in milliseconds, 10 to 86,400,000, instead of being told. By default Linux tells, and elsewhere
   * interfaces are looked at each 2,000.
   */
  pollMs?: number | undefined;
  /** Ends the watch; a loop over it then rejects with an AbortError. */
  signal?: AbortSignal | undefined;
}

/** Checked. @internal */
export interface CheckedExternalOptions {
  readonly load: CheckedLoadOptions;
  readonly intervalMs: number | undefined;
  readonly interfaces: readonly string[] | undefined;
  readonly isPublic: boolean;
}

/** Checked. @internal */
export interface CheckedWatchOptions {
  readonly external: CheckedExternalOptions | undefined;
  readonly pollMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** @internal */
export function checkWatchOptions(options: unknown, caller: (...args: never[]) => unknown): CheckedWatchOptions {
  return asCaller(caller, () => {
    const given = checkNames(options, ['external', 'pollMs', 'signal'], {
      interval: 'pollMs',
      intervalMs: 'external.intervalMs',
    });
    const { signal, external } = given;
    if (
      external !== undefined &&
      typeof external !== 'boolean' &&
      (typeof external !== 'object' || external === null)
    ) {
      wrong('external', 'a boolean or an object like { intervalMs: 20000 }', external);
    }
    return {
      external:
        external === undefined || external === false
          ? undefined
          : checkExternal(external === true ? {} : external, caller),
      pollMs: checkBounded('pollMs', given['pollMs']),
      signal: checkSignal(signal),
    };
  });
}

function checkExternal(options: object, caller: (...args: never[]) => unknown): CheckedExternalOptions {
  const given = checkNames(options, ['intervalMs', 'interfaces', 'servers', 'timeoutMs', 'lookup']);
  const { intervalMs, interfaces, ...rest } = given;
  const load = checkLoadOptions(rest, caller);
  // A wrong server is told now, and not when it is asked.
  const isPublic = unwrap(chooseServers(load.servers ?? []), caller).origin === 'public';
  if (
    interfaces !== undefined &&
    !(Array.isArray(interfaces) && interfaces.every((name) => typeof name === 'string'))
  ) {
    wrong('external.interfaces', 'a list of names of interfaces', interfaces);
  }
  const checked = checkNumber('external.intervalMs', intervalMs, 100, 86_400_000, false);
  if (isPublic && checked !== undefined && checked < PUBLIC_INTERVAL_MS) {
    wrong(
      'external.intervalMs',
      `at least ${PUBLIC_INTERVAL_MS} with public servers (name a server of your own for more)`,
      checked,
    );
  }
  return { load, intervalMs: checked, interfaces: interfaces as readonly string[] | undefined, isPublic };
}
