/** What kind of NAT an interface is behind. */
import { inspect } from 'node:util';
import { RoutePoolError } from '../errors/errors.ts';
import { checkDetail } from '../options/check.ts';
import type { Family } from '../address/family.ts';
import type { NatData } from './data.ts';
import { behaviourOf, numbersOf, type NatBehaviour } from './behaviour.ts';
import { readNat } from './dict.ts';
import { explainNat, explanationText, type NatExplanation } from './explain.ts';
import {
  DEFAULT_DELTA_TYPE,
  DEFAULT_NAT_TYPE,
  DELTA_INFO,
  NAT_INFO,
  type DeltaType,
  type NatType,
} from './p2pd-types.ts';
import type {
  NatFiltering,
  NatMapping,
  NatEvidence,
  NatFamily,
  NatProfile,
  NatReport,
  PortAllocation,
} from './report.ts';
import { violationsOf, type NatViolation } from './requirements.ts';

/** Version of {@link Nat.toJSON} with `detail`. */
const DETAIL_VERSION = 1;

/** What a {@link Nat} is made of. @internal */
export interface NatSource {
  readonly data: NatData;
  /** The behaviour of each family that was looked at; empty for what nobody has looked at. */
  readonly behaviours: readonly { readonly family: Family; readonly behaviour: NatBehaviour }[];
  readonly report: NatReport | undefined;
  /** Nobody has looked: the numbers are P2PD's default. */
  readonly isDefault: boolean;
  /** When it was measured, in ms since 1970. */
  readonly at: number | undefined;
}

/**
 * A NAT: P2PD's numbers, and behind them the two axes of RFC 4787 with the evidence. Made by `nic.loadNat()`, or
 * restored from a dict. Where several families were asked, the fields are those of IPv4, or of IPv6 if IPv4 is not
 * there; {@link Nat.families} has each.
 *
 * @example
 * const nat = await nic.loadNat();
 * console.log(nat.mapping, nat.filtering, nat.explain());
 */
export class Nat implements NatData {
  readonly #source: NatSource;
  readonly #behaviour: NatBehaviour;

  /** @internal */
  constructor(source: NatSource) {
    this.#source = source;
    this.#behaviour = source.behaviours[0]?.behaviour ?? behaviourOf(source.data);
  }

  /**
   * Restores a NAT from its dict, with or without details, also after JSON. The dict of an interface will do too.
   *
   * @throws RoutePoolError `ERR_ROUTEPOOL_DICT`, with the path of the wrong field
   */
  static fromDict(dict: unknown): Nat {
    return new Nat(readNat(dict, Nat.fromDict));
  }

  /** By P2PD's numbers, 1 to 7. What is not known counts as its strictest form; see {@link Nat.assumed}. */
  get type(): NatType {
    return this.#source.data.type;
  }

  /** How mapped ports follow from local ones, by P2PD's numbers; `value` is the step of types 4 and 5. */
  get delta(): { readonly type: DeltaType; readonly value: number } {
    return this.#source.data.delta;
  }

  /** P2PD's text of the type. */
  get natInfo(): string {
    return NAT_INFO[this.type];
  }

  /** P2PD's text of the delta. */
  get deltaInfo(): string {
    return DELTA_INFO[this.delta.type];
  }

  /** The name by RFC 3489, such as `port restricted cone`; `unknown` where the type is a careful default. */
  get rfc3489(): string {
    return numbersOf(this.#behaviour).rfc3489;
  }

  /** Whether a careful default stands in for something that is not known. */
  get assumed(): boolean {
    return this.#source.isDefault || (this.#source.behaviours.length > 0 && numbersOf(this.#behaviour).assumed);
  }

  /** Whether it was measured by this process, and not assumed or restored. */
  get measured(): boolean {
    return this.#source.report !== undefined;
  }

  /** How the mapped port follows from the destination. */
  get mapping(): NatMapping {
    return this.#behaviour.mapping;
  }

  /** Who is let in. */
  get filtering(): NatFiltering {
    return this.#behaviour.filtering;
  }

  /** How mapped ports are chosen. */
  get allocation(): PortAllocation {
    return this.#behaviour.allocation ?? 'unknown';
  }

  /** The axes in a few words: what two machines tell each other of their NATs. */
  get behaviour(): NatBehaviour {
    return this.#behaviour;
  }

  /** What was measured, IPv4 first; empty if nothing was. */
  get families(): readonly NatFamily[] {
    return this.#source.report?.families ?? [];
  }

  /** What was measured of one family. */
  family(af: Family): NatFamily | undefined {
    return this.families.find(({ family }) => family === af);
  }

  /** The behaviour of one family; undefined if it is not known. */
  behaviourOf(af: Family): NatBehaviour | undefined {
    const { behaviours } = this.#source;
    // Numbers alone have no family; P2PD's are of IPv4.
    if (behaviours.length === 0) return af === 4 ? this.#behaviour : undefined;
    return behaviours.find(({ family }) => family === af)?.behaviour;
  }

  /** Each sub-test, in the order of the families. */
  get evidence(): readonly NatEvidence[] {
    return this.families.flatMap(({ evidence }) => evidence);
  }

  /** How patiently it was measured. */
  get profile(): NatProfile | undefined {
    return this.#source.report?.profile;
  }

  /** How long that took, in ms. */
  get elapsedMs(): number | undefined {
    return this.#source.report?.elapsedMs;
  }

  /** When it was measured, in ms since 1970. */
  get at(): number | undefined {
    return this.#source.at;
  }

  /** The requirements of RFC 4787 and RFC 5382 that are known not to be met. */
  get violations(): readonly NatViolation[] {
    return violationsOf(this.#behaviour, this.families[0]);
  }

  /**
   * What it means in plain words: can others reach me, can two peers connect directly, will a port mapping survive;
   * what could not be found out, and which requirements are not met. One line for each.
   *
   * @param af by default the family of {@link Nat.type}
   */
  explain(af?: Family): string {
    return explanationText(this.explanation(af));
  }

  /** The same, part by part. */
  explanation(af?: Family): NatExplanation {
    const behaviour = af === undefined ? this.#behaviour : this.behaviourOf(af);
    const family = af === 6 ? 6 : 4;
    if (behaviour === undefined)
      return { headline: `Nothing is known of the IPv${family} NAT.`, answers: [], notes: [] };
    if (this.#source.isDefault) return NOT_LOOKED_AT;
    const found = af === undefined ? this.families[0] : this.family(family);
    const numbers =
      this.#source.behaviours.length === 0
        ? { ...numbersOf(behaviour), type: this.type, assumed: false }
        : numbersOf(behaviour);
    const explanation = explainNat({ behaviour, numbers, found });
    const mayBeDefault =
      this.#source.behaviours.length === 0 && this.type === DEFAULT_NAT_TYPE && this.delta.type === DEFAULT_DELTA_TYPE;
    return mayBeDefault ? { ...explanation, notes: [...explanation.notes, MAY_BE_DEFAULT] } : explanation;
  }

  /** P2PD's dict: `type`, `nat_info`, `delta`, `delta_info`. */
  toDict(): { type: NatType; nat_info: string; delta: { type: DeltaType; value: number }; delta_info: string } {
    return { type: this.type, nat_info: this.natInfo, delta: { ...this.delta }, delta_info: this.deltaInfo };
  }

  /**
   * The dict; with `{ detail: true }` the behaviour of each family too, which {@link Nat.fromDict} reads, and the
   * report with all evidence.
   */
  toJSON(options?: { detail?: boolean } | string): object {
    const dict = this.toDict();
    if (!checkDetail(options, this.toJSON)) return dict;
    const { behaviours, report, at } = this.#source;
    const behaviour = Object.fromEntries(behaviours.map(({ family, behaviour }) => [family, behaviour]));
    return {
      version: DETAIL_VERSION,
      ...dict,
      rfc3489: this.rfc3489,
      assumed: this.assumed,
      behaviour,
      violations: this.violations,
      at,
      report,
    };
  }

  static {
    Object.defineProperty(this.prototype, inspect.custom, {
      value(this: Nat): string {
        const source = this.measured ? '' : this.#source.isDefault ? ', not looked at' : ', restored';
        return `Nat { type: ${this.type} '${this.natInfo}', delta: ${this.delta.type} (${this.delta.value}), mapping: ${this.mapping}, filtering: ${this.filtering}${source} }`;
      },
    });
  }
}

/** The NAT of an interface that was not looked at: P2PD's default, restrict port with random delta. @internal */
export const NAT_NOT_LOOKED_AT: NatSource = {
  data: { type: DEFAULT_NAT_TYPE, delta: { type: DEFAULT_DELTA_TYPE, value: 0 } },
  behaviours: [],
  report: undefined,
  isDefault: true,
  at: undefined,
};

const NOT_LOOKED_AT: NatExplanation = {
  headline:
    'The NAT was not looked at: until then it is taken for a port-restricted one with random ports (loadNat() finds out).',
  answers: [],
  notes: [],
};

const MAY_BE_DEFAULT = 'The same numbers stand in dicts for a NAT that nobody has looked at.';

/**
 * Explains the NAT of a dict in plain words: a dict of an interface or of a NAT, of routepool or of P2PD, or a
 * {@link Nat}.
 *
 * @throws RoutePoolError `ERR_ROUTEPOOL_DICT`, with the path of the wrong field
 */
export function describeNat(nat: unknown): string {
  return asNat(nat, describeNat).explain();
}

/** A Nat of one, of an interface that has one, or of a dict. @internal */
export function asNat(value: unknown, caller: (...args: never[]) => unknown): Nat {
  if (value instanceof Nat) return value;
  if (typeof value !== 'object' || value === null) {
    const error = new RoutePoolError(
      'ERR_ROUTEPOOL_DICT',
      `expected a Nat or a dict like { type, delta } but received ${inspect(value, { depth: 0 })}`,
      { option: 'nat' },
    );
    Error.captureStackTrace(error, caller);
    throw error;
  }
  // An interface has a Nat; a dict of one has a dict.
  if ('nat' in value && value.nat instanceof Nat) return value.nat;
  return new Nat(readNat(value, caller));
}

/** A Nat of what was measured. @internal */
export function natOf(
  report: NatReport,
  numbers: { type: number; deltaType: number; deltaValue: number },
  behaviours: NatSource['behaviours'],
  at: number,
): Nat {
  const data = {
    type: numbers.type as NatType,
    delta: { type: numbers.deltaType as DeltaType, value: numbers.deltaValue },
  };
  return new Nat({ data, behaviours, report, isDefault: false, at });
}
