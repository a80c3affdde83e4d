/** A NAT's behaviour in a few words: what two machines tell each other of their NATs. */
import { behaviourOfType, natNumbers, type NatBehaviour as NativeBehaviour } from '../native/binding.ts';
import type { NatFiltering, NatHairpin, NatMapping, NatNumbers, PortAllocation, NatPooling } from './report.ts';
import { unwrap } from '../native/failure.ts';
import type { NatData } from './data.ts';

/** The axes that decide how two peers can connect. What is left out is not known. */
export interface NatBehaviour {
  /** Which external port packets get (RFC 4787, section 4.1). */
  readonly mapping: NatMapping;
  /** Who is let in (RFC 4787, section 5). */
  readonly filtering: NatFiltering;
  /** The mapping depends on the destination, but it is not known in which way. */
  readonly endpointDependent?: boolean;
  /** No UDP comes back. */
  readonly blocked?: boolean;
  /** The pattern of mapped ports. */
  readonly allocation?: PortAllocation;
  /** The step of `independent` and `dependent`, in ports. */
  readonly step?: number;
  /** Whether hosts inside reach each other by external addresses. */
  readonly hairpin?: NatHairpin;
  /** Whether a host keeps one external address. */
  readonly pooling?: NatPooling;
}

const MAPPINGS: readonly NatMapping[] = [
  'none',
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
  'unknown',
];
const FILTERINGS: readonly NatFiltering[] = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
  'unknown',
];
const ALLOCATIONS: readonly PortAllocation[] = [
  'not-applicable',
  'equal',
  'preserving',
  'independent',
  'dependent',
  'random',
  'unknown',
];
const HAIRPINS: readonly NatHairpin[] = ['not-asked', 'yes', 'internal-source', 'no', 'not-applicable', 'unknown'];
const POOLINGS: readonly NatPooling[] = ['paired', 'arbitrary', 'not-applicable', 'unknown'];

/** What each field of a behaviour may hold: one of some words, true or false, or a step. @internal */
export const BEHAVIOUR_FIELDS: Record<keyof NatBehaviour, readonly string[] | 'boolean' | 'step'> = {
  mapping: MAPPINGS,
  filtering: FILTERINGS,
  endpointDependent: 'boolean',
  blocked: 'boolean',
  allocation: ALLOCATIONS,
  step: 'step',
  hairpin: HAIRPINS,
  pooling: POOLINGS,
};

/** What P2PD's numbers say of the axes. @internal */
export function behaviourOf({ type, delta }: NatData): NatBehaviour {
  return toBehaviour(unwrap(behaviourOfType(type, delta.type, delta.value), behaviourOf));
}

/** P2PD's numbers of a behaviour. @internal */
export function numbersOf(behaviour: NatBehaviour): NatNumbers {
  return unwrap(natNumbers(behaviour), numbersOf) as NatNumbers;
}

/** @internal */
export function toBehaviour(found: NativeBehaviour): NatBehaviour {
  const entries = Object.entries(found).filter(([, value]) => value !== undefined && value !== null && value !== false);
  return Object.fromEntries(entries) as unknown as NatBehaviour;
}
