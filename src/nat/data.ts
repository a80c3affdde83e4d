/** What the dict of an interface holds of its NAT. */
import type { DeltaType, NatType } from './p2pd-types.ts';

/** A NAT by P2PD's numbers. */
export interface NatData {
  /** P2PD's number, 1 to 7. */
  readonly type: NatType;
  /** `value` is the step between mapped ports for types 4 and 5, otherwise 0. */
  readonly delta: { readonly type: DeltaType; readonly value: number };
}
