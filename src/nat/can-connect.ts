/** Which ways of connecting work between two NATs. */
import { canConnect as matchNats } from '../native/binding.ts';
import { unwrap } from '../native/failure.ts';
import { FAMILIES, type Family } from '../address/family.ts';
import type { Interface } from '../interface/interface.ts';
import { asNat, type Nat } from './nat.ts';

/**
 * A way to connect: `direct` (the first opens to the second), `reverse` (the second opens to the first, asked to
 * through somebody else), `punch` (both send at the same time to the address and port that a STUN server saw),
 * `predict` (the same with guessed ports), `relay` (through a TURN server).
 */
export type ConnectTechnique = 'direct' | 'reverse' | 'punch' | 'predict' | 'relay';

/** What two NATs let through. */
export interface NatMatch {
  /** The best that works for sure; `unknown` if a better one than the relay might and none is sure. */
  readonly verdict: 'direct' | 'punch' | 'predict' | 'relay' | 'unknown';
  /** The family that the verdict is of; undefined if the two have none in common. */
  readonly family: Family | undefined;
  /** Each way, whether it works, and why. */
  readonly techniques: readonly {
    readonly name: ConnectTechnique;
    readonly works: 'yes' | 'no' | 'maybe';
    readonly why: string;
  }[];
}

/** The better, the earlier. */
const RANK: readonly NatMatch['verdict'][] = ['direct', 'punch', 'predict', 'unknown', 'relay'];

/**
 * Tells which ways of connecting over UDP work between two hosts, from their NATs. Of the families that both have, the
 * better one counts. It is a conclusion from the behaviour, nothing is sent; the table with its reasons is in the
 * documentation.
 *
 * @param a the first: a Nat, an interface, or a dict of either
 * @param b the second
 * @throws RoutePoolError `ERR_ROUTEPOOL_DICT`
 *
 * @example
 * const { verdict } = canConnect(nic.nat, theirs);   // theirs: JSON of nat.toJSON({ detail: true }), or P2PD's dict
 */
export function canConnect(a: Nat | Interface | object, b: Nat | Interface | object): NatMatch {
  const [first, second] = [asNat(a, canConnect), asNat(b, canConnect)];
  const matches = FAMILIES.flatMap((family) => matchIn(first, second, family));
  matches.sort((x, y) => RANK.indexOf(x.verdict) - RANK.indexOf(y.verdict));
  return matches[0] ?? NOTHING_IN_COMMON;
}

function matchIn(a: Nat, b: Nat, family: Family): NatMatch[] {
  const [first, second] = [a.behaviourOf(family), b.behaviourOf(family)];
  if (first === undefined || second === undefined) return [];
  const { verdict, techniques } = unwrap(matchNats(first, second), canConnect);
  return [
    { verdict: verdict as NatMatch['verdict'], family, techniques: techniques as unknown as NatMatch['techniques'] },
  ];
}

const NOTHING_IN_COMMON: NatMatch = {
  verdict: 'relay',
  family: undefined,
  techniques: [
    {
      name: 'relay',
      works: 'yes',
      why: 'The two have no address family in common; a relay that has both can pass packets on.',
    },
  ],
};
