/** Numbers that the engine takes: their bounds are in one table, which is Rust's. */
import { checkNumber, rangeText, wrong } from '../options/check.ts';
import { optionBounds } from './binding.ts';

type Bounds = ReturnType<typeof optionBounds>[number];

let table: ReadonlyMap<string, Bounds> | undefined;

function boundsOf(option: string): Bounds {
  table ??= new Map(optionBounds().map((bounds) => [bounds.option, bounds]));
  const bounds = table.get(option);
  if (bounds === undefined) throw new TypeError(`the engine has no bounds for ${option}`);
  return bounds;
}

/**
 * Checks a number that the engine takes.
 *
 * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` with the bounds
 */
export function checkBounded(option: string, value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const { min, max, integer } = boundsOf(option);
  return checkNumber(option, value, min, max, integer);
}

/** The same for one that must be given. */
export function requireBounded(option: string, value: unknown): number {
  const { min, max, integer } = boundsOf(option);
  return checkNumber(option, value, min, max, integer) ?? wrong(option, rangeText(min, max, integer), value);
}
