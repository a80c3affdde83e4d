/** Reading fields of dicts, with errors that name the path of what is wrong. */
import { inspect } from 'node:util';
import { RoutePoolError } from '../errors/errors.ts';

/** A plain object. */
export type Fields = Readonly<Record<string, unknown>>;

export function readInteger(value: unknown, path: string, min: number, max: number): number {
  const right = typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
  return right ? value : wrongField(path, `an integer from ${min} to ${max}`, value);
}

export function readObject(value: unknown, path: string, expected = 'an object like { name, nat, rp }'): Fields {
  const right = typeof value === 'object' && value !== null && !Array.isArray(value);
  return right ? (value as Fields) : wrongField(path, path === '' ? expected : 'an object', value);
}

/**
 * A property of the object itself: what a prototype has is not in the dict. Undefined is the same as leaving it out.
 */
export function own(fields: Fields, key: string, fallback?: unknown): unknown {
  const value = Object.hasOwn(fields, key) ? fields[key] : undefined;
  return value === undefined ? fallback : value;
}

export function wrongField(path: string, expected: string, received: unknown): never {
  const shown = inspect(received, {
    depth: 0,
    breakLength: Infinity,
    maxStringLength: 80,
    maxArrayLength: 8,
    customInspect: false,
  });
  throw new RoutePoolError(
    'ERR_ROUTEPOOL_DICT',
    `expected ${expected} ${path === '' ? 'as the dict' : `at ${path}`} but received ${shown}`,
    { option: 'dict' },
  );
}
