/** The dict of a NAT: P2PD's numbers, and with details the behaviour. */
import { own, readInteger, readObject, wrongField, type Fields } from '../options/fields.ts';
import { RoutePoolError } from '../errors/errors.ts';
import { FAMILIES } from '../address/family.ts';
import type { NatData } from './data.ts';
import { BEHAVIOUR_FIELDS, type NatBehaviour } from './behaviour.ts';
import { DEFAULT_DELTA_TYPE, DEFAULT_NAT_TYPE, isDeltaType, isNatType } from './p2pd-types.ts';
import type { NatSource } from './nat.ts';

/** A delta is a distance between ports. */
const MAX_DELTA = 65_535;

/** Reads P2PD's numbers; what is left out has P2PD's defaults. `path` is that of the dict within another. */
export function readNatData(value: unknown, path: string): NatData {
  const at = (field: string) => (path === '' ? field : `${path}.${field}`);
  const nat = readObject(value, path, 'an object like { type, delta }');
  const delta = readObject(own(nat, 'delta', {}), at('delta'));
  const type = own(nat, 'type', DEFAULT_NAT_TYPE);
  const deltaType = own(delta, 'type', DEFAULT_DELTA_TYPE);
  return {
    type: isNatType(type) ? type : wrongField(at('type'), 'an integer from 1 to 7', type),
    delta: {
      type: isDeltaType(deltaType) ? deltaType : wrongField(at('delta.type'), 'an integer from 1 to 6', deltaType),
      value: readInteger(own(delta, 'value', 0), at('delta.value'), 0, MAX_DELTA),
    },
  };
}

/**
 * Reads the dict of a NAT, or that of an interface, which holds one.
 *
 * @throws RoutePoolError `ERR_ROUTEPOOL_DICT` with the path of the field at fault
 */
export function readNat(value: unknown, caller: (...args: never[]) => unknown): NatSource {
  try {
    const whole = readObject(value, '', 'an object like { type, delta }');
    const nested = own(whole, 'nat');
    const path = nested === undefined ? '' : 'nat';
    const nat = nested === undefined ? whole : readObject(nested, 'nat');
    // An object that is no dict at all would be read as the default.
    if (own(nat, 'type') === undefined && own(nat, 'delta') === undefined)
      wrongField(path, 'an object like { type, delta }', nat);
    return {
      data: readNatData(nat, path),
      behaviours: readBehaviours(nat, path),
      report: undefined,
      isDefault: false,
      at: undefined,
    };
  } catch (error) {
    if (error instanceof RoutePoolError) Error.captureStackTrace(error, caller);
    throw error;
  }
}

function readBehaviours(nat: Fields, path: string): NatSource['behaviours'] {
  const value = own(nat, 'behaviour');
  if (value === undefined) return [];
  const at = path === '' ? 'behaviour' : `${path}.behaviour`;
  const families = readObject(value, at);
  return FAMILIES.flatMap((family) => {
    const found = own(families, String(family));
    return found === undefined ? [] : [{ family, behaviour: readBehaviour(found, `${at}.${family}`) }];
  });
}

function readBehaviour(value: unknown, path: string): NatBehaviour {
  const fields = readObject(value, path);
  const read: Record<string, unknown> = { mapping: 'unknown', filtering: 'unknown' };
  for (const [name, may] of Object.entries(BEHAVIOUR_FIELDS)) {
    const found = own(fields, name);
    if (found !== undefined) read[name] = readField(found, `${path}.${name}`, may);
  }
  return read as unknown as NatBehaviour;
}

function readField(value: unknown, path: string, may: readonly string[] | 'boolean' | 'step'): unknown {
  if (may === 'step') return readInteger(value, path, -MAX_DELTA, MAX_DELTA);
  if (may === 'boolean') return typeof value === 'boolean' ? value : wrongField(path, 'true or false', value);
  return may.some((word) => word === value)
    ? value
    : wrongField(path, may.map((word) => `'${word}'`).join(' or '), value);
}
