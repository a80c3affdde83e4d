/** What a run found, counted. */
import type { NativeSummary } from '../native/binding.ts';
import type { SameShape } from '../native/same-shape.ts';
import { errorName, type VerdictStatus } from './verdict.ts';

/** What a run found. Times in milliseconds; counts are of sources unless said otherwise. */
export interface ValidationSummary {
  /** The blocks, in canonical form. */
  readonly blocks: readonly string[];
  /** 4 or 6. */
  readonly family: 4 | 6;
  /** Sources that were to be asked. */
  readonly sources: number;
  /** Verdicts by status. */
  readonly counts: Readonly<Record<VerdictStatus, number>>;
  /** Sources without a verdict, because the run was stopped. */
  readonly untested: number;
  /** Whether every source is `ok`; for a sample this says nothing about the rest of the block. */
  readonly allOk: boolean;
  /** Whether the run was stopped before its end. */
  readonly stopped: boolean;
  /** Whether it went on from a saved state. */
  readonly resumed: boolean;
  /** For a sample: how it was taken, the addresses that it stands for, and the share of them that was asked. */
  readonly sample:
    | { readonly perPrefix: number; readonly hosts: number; readonly addresses: bigint; readonly share: number }
    | undefined;
  /** Proven sources whose port was rewritten on the way. */
  readonly portRewritten: number;
  /** How many times a silent source was asked. */
  readonly passes: number;
  /** Seed of the order: give it again to repeat the run. */
  readonly seed: bigint;
  /** Duration of the sweep. */
  readonly elapsedMs: number;
  /** Where the servers come from: inside this process, named by the caller, or public ones. */
  readonly serverOrigin: 'embedded' | 'named' | 'public';
  /** The servers that were asked, with their addresses. */
  readonly servers: readonly { readonly name: string; readonly address: string; readonly port: number }[];
  /** The rate limit, in probes a second, if there was one. */
  readonly ratePerSecond: number | undefined;
  /** Probes sent and datagrams received. */
  readonly traffic: {
    readonly probesSent: number;
    readonly received: number;
    /** Second and late replies. */
    readonly duplicates: number;
    /** Not STUN. */
    readonly garbage: number;
    /** STUN, but with an id that is not of this run. */
    readonly forged: number;
    /** Genuine, but from the wrong server or to the wrong address. */
    readonly misdirected: number;
    /** Dropped by the kernel because a receive buffer was full. */
    readonly drops: number;
    /** Measured loss per probe and reply, 0 to 1. */
    readonly loss: number;
  };
  /** Round-trip times. */
  readonly rttMs: { readonly median: number; readonly p99: number; readonly max: number };
  /** Bytes of receive buffer that the kernel granted, and probes in flight that it allowed, at the end and at least. */
  readonly window: { readonly receiveBuffer: number; readonly last: number; readonly smallest: number };
  /** External addresses other than the source, with the number of sources behind each, most first, at most ten. */
  readonly externals: readonly { readonly address: string; readonly count: number }[];
  /** Refused system calls, counted by probe. */
  readonly errors: readonly {
    readonly syscall: string;
    readonly code: string;
    readonly errno: number;
    readonly count: number;
  }[];
  /** Verdicts with a reason. */
  readonly reasons: readonly { readonly status: string; readonly reason: string; readonly count: number }[];
  /**
   * Places where the network carries few probes, and sources are left open because of it: the first and the last
   * source, probes a second that came through, how many sources are open (`unknown` for `rate-limited`; `untested`
   * after a stop), and about how long probing these would take. A limit that was worked around is not listed.
   */
  readonly limits: readonly {
    readonly first: string;
    readonly last: string;
    readonly ratePerSecond: number;
    readonly unknown: number;
    readonly neededMs: number;
  }[];
  /** What the run noticed, in plain sentences that say what to do. */
  readonly notes: readonly string[];
  /** For `JSON.stringify`: bigints as text, since JSON numbers would round them. */
  toJSON(): Record<string, unknown>;
}

/**
 * The summary from what the addon says, which has the same fields but for those written here: the compiler refuses one
 * that is missing or of another type on either side.
 */
export function toSummary({ totalAddresses: addresses, sample, notes, ...told }: NativeSummary): ValidationSummary {
  const facts = {
    ...told,
    sample: sample && { ...sample, addresses, share: told.sources / Number(addresses) },
    ratePerSecond: told.ratePerSecond,
    errors: told.errors.map((error) => ({ ...error, code: errorName(error.errno) })),
    notes,
  } satisfies Omit<ValidationSummary, 'toJSON'>;
  true satisfies SameShape<typeof facts, Omit<ValidationSummary, 'toJSON'>>;
  const plain = sample && { ...facts.sample, addresses: String(addresses) };
  const toJSON = (): Record<string, unknown> => ({ ...facts, seed: String(facts.seed), sample: plain });
  // Not enumerable: console.log and a spread show facts only.
  return Object.defineProperty(facts as Omit<ValidationSummary, 'toJSON'>, 'toJSON', {
    value: toJSON,
  }) as ValidationSummary;
}
