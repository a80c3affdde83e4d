/** What a run found, counted. */
import type { NativeResult } from '../native/binding.ts';
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
  /** What the run noticed, in plain sentences that say what to do. */
  readonly notes: readonly string[];
  /** For `JSON.stringify`: bigints as text, since JSON numbers would round them. */
  toJSON(): Record<string, unknown>;
}

/** The summary from what the addon counted. */
export function toSummary(result: NativeResult): ValidationSummary {
  const { sample } = result;
  const addresses = BigInt(result.totalAddresses);
  const facts: Omit<ValidationSummary, 'toJSON'> = {
    blocks: result.blocks,
    family: result.family === 6 ? 6 : 4,
    sources: result.sources,
    counts: {
      'ok': result.ok,
      'mapped': result.mapped,
      'no-reply': result.noReply,
      'send-error': result.sendError,
      'bind-error': result.bindError,
      'bad-reply': result.badReply,
      'unknown': result.unknown,
    },
    untested: result.untested,
    allOk: result.ok === result.sources,
    stopped: result.stopped,
    resumed: result.resumed,
    sample: sample && { ...sample, addresses, share: result.sources / Number(addresses) },
    portRewritten: result.portRewritten,
    passes: result.passes,
    seed: result.seed,
    elapsedMs: result.elapsedMs,
    serverOrigin: result.serverOrigin as ValidationSummary['serverOrigin'],
    servers: result.servers,
    ratePerSecond: result.ratePerSecond,
    traffic: {
      probesSent: result.probesSent,
      received: result.repliesReceived,
      duplicates: result.duplicates,
      garbage: result.garbage,
      forged: result.forged,
      misdirected: result.misdirected,
      drops: result.receiveDrops,
      loss: result.lossEstimate,
    },
    rttMs: { median: result.rttP50Us / 1_000, p99: result.rttP99Us / 1_000, max: result.rttMaxUs / 1_000 },
    window: { receiveBuffer: result.receiveBuffer, last: result.window, smallest: result.windowMin },
    externals: result.externals,
    errors: result.errors.map((error) => ({ ...error, code: errorName(error.errno) })),
    reasons: result.reasons,
    notes: result.notes,
  };
  const plain = sample && { ...facts.sample, addresses: String(addresses) };
  const toJSON = (): Record<string, unknown> => ({ ...facts, seed: String(facts.seed), sample: plain });
  // Not enumerable: console.log and a spread show facts only.
  return Object.defineProperty(facts, 'toJSON', { value: toJSON }) as ValidationSummary;
}
