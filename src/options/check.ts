/** Options, checked by name before anything else happens. */
import { inspect } from 'node:util';
import type { LookupAddress, LookupAllOptions } from 'node:dns';
import { RoutePoolError } from '../errors/errors.ts';
import { nearestName } from './nearest-name.ts';

/** A resolver with the signature of `dns.lookup(hostname, { all: true, family }, callback)`. */
export type LookupFunction = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * Refuses the value of an option, in the form that callers know.
 *
 * @param depth how much of an object is shown
 * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION`
 */
export function wrong(option: string, expected: string, received: unknown, depth = 0): never {
  const shown = typeof received === 'string' ? `'${received}'` : inspect(received, { depth, breakLength: Infinity });
  throw new RoutePoolError('ERR_ROUTEPOOL_OPTION', `expected ${expected} for \`${option}\` but received ${shown}`, {
    option,
  });
}

export function checkNumber(
  option: string,
  value: unknown,
  min: number,
  max: number,
  integer: boolean,
): number | undefined {
  if (value === undefined) return undefined;
  const right = typeof value === 'number' && value >= min && value <= max && (!integer || Number.isInteger(value));
  if (right) return value;
  return wrong(option, rangeText(min, max, integer), value);
}

/** What numbers are expected. */
export function rangeText(min: number, max: number, integer: boolean): string {
  return `${integer ? 'an integer' : 'a number'} from ${min} to ${max}`;
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
  return value === undefined || typeof value === 'function'
    ? (value as LookupFunction | undefined)
    : wrong('lookup', 'a function like dns.lookup', value);
}

export function unknownOption(
  name: string,
  known: readonly string[],
  synonyms: Readonly<Record<string, string>> = {},
): never {
  const meant = Object.hasOwn(synonyms, name) ? synonyms[name] : nearestName(name, known);
  const hint = meant === undefined ? `valid options: ${known.join(', ')}` : `did you mean \`${meant}\`?`;
  throw new RoutePoolError('ERR_ROUTEPOOL_OPTION', `unknown option \`${name}\`; ${hint}`, { option: name });
}

/** @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` if they are no object */
export function asOptions(options: unknown): object {
  return typeof options === 'object' && options !== null ? options : wrong('options', 'an object', options);
}

/** Options as an object with known names only. `synonyms` are names that other libraries use. */
export function checkNames<K extends string>(
  options: unknown,
  known: readonly K[],
  synonyms?: Readonly<Record<string, string>>,
): { [P in K]?: unknown } {
  for (const name of Object.keys(asOptions(options))) {
    if (!known.some((candidate) => candidate === name)) unknownOption(name, known, synonyms);
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
  return right
    ? (servers as string[])
    : wrong(option, "a server like 'stun.example.net:3478' or a list of them", value);
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

/** Only the properties that have a value: an explicit `undefined` is the same as leaving the option out. */
export function omitUndefined<T extends object>(object: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
