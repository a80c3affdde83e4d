/**
 * NAT and delta types with P2PD's numbers and texts: what the dict holds and shows. The spelling is P2PD's
 * (`var_names.py`).
 */

/**
 * What kind of NAT it is: 1 open internet, 2 symmetric UDP firewall, 3 full cone, 4 address-restricted, 5
 * port-restricted, 6 symmetric, 7 blocked.
 */
export type NatType = 1 | 2 | 3 | 4 | 5 | 6 | 7;

/**
 * How mapped ports follow from local ones: 1 not applicable, 2 equal, 3 preserving, 4 independent, 5 dependent, 6
 * random.
 */
export type DeltaType = 1 | 2 | 3 | 4 | 5 | 6;

/** The dict's `nat_info` of each NAT type. */
export const NAT_INFO: Readonly<Record<NatType, string>> = {
  1: 'open internet (no NAT)',
  2: 'possible firewall (no NAT)',
  3: 'full cone',
  4: 'restrict reuse',
  5: 'restrict port',
  6: 'symetric',
  7: 'unknown (all responses blocked)',
};

/** The dict's `delta_info` of each delta type. */
export const DELTA_INFO: Readonly<Record<DeltaType, string>> = {
  1: 'not applicable',
  2: 'equal delta (local port == mapped port)',
  3: 'preserving delta ((local port + dist) == (mapped_start + dist))',
  4: 'independent delta (rand port == (last_mapped += delta))',
  5: 'dependent delta ((local port += [1 to delta]) == (last_mapped += [1 to delta]))',
  6: 'random delta (local port == rand port)',
};

/** What P2PD assumes of a NAT that was not looked at: restrict port. */
export const DEFAULT_NAT_TYPE: NatType = 5;

/** What P2PD assumes of ports that were not looked at: random. */
export const DEFAULT_DELTA_TYPE: DeltaType = 6;

/** Whether a value is a NAT type. */
export function isNatType(value: unknown): value is NatType {
  return typeof value === 'number' && Object.hasOwn(NAT_INFO, value);
}

/** Whether a value is a delta type. */
export function isDeltaType(value: unknown): value is DeltaType {
  return typeof value === 'number' && Object.hasOwn(DELTA_INFO, value);
}
