/** What was found out about a NAT, in the terms of RFC 4787 and RFC 5780, with the evidence. */
import type { NatFamily as NativeFamily, NatReport as NativeReport } from '../native/binding.ts';
import type { SameShape } from '../native/same-shape.ts';
import type { Family } from '../address/family.ts';
import type { DeltaType, NatType } from './p2pd-types.ts';

/**
 * How the mapped address and port follow from the destination (RFC 4787, section 4.1): the same for all, one for each
 * address, or one for each address and port; `none` without a NAT.
 */
export type NatMapping =
  'none' | 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent' | 'unknown';

/**
 * Who is let in to a mapped port (RFC 4787, section 5): everybody, addresses it has sent to, or these with that port
 * only.
 */
export type NatFiltering = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent' | 'unknown';

/**
 * How mapped ports are chosen: `equal` to the local one, at a constant distance from it (`preserving`), a step further
 * with each new mapping (`independent`), a step further with each local port further (`dependent`), or without a
 * pattern (`random`).
 */
export type PortAllocation =
  'not-applicable' | 'equal' | 'preserving' | 'independent' | 'dependent' | 'random' | 'unknown';

/** Whether all that one host sends leaves as one address (RFC 4787, section 4.1: `paired`) or not. */
export type NatPooling = 'paired' | 'arbitrary' | 'not-applicable' | 'unknown';

/** Whether two hosts behind the NAT reach each other by their mapped addresses (RFC 4787, section 6). */
export type NatHairpin = 'not-asked' | 'yes' | 'internal-source' | 'no' | 'not-applicable' | 'unknown';

/** Whether servers could be asked at all, and if not, why. */
export type NatConnectivity =
  'ok' | 'udp-blocked' | 'dns-failed' | 'no-route' | 'captive-portal' | 'no-reply' | 'no-server' | 'stopped';

/**
 * A conclusion. `reason` (a code) and `why` (a sentence) are there when it is `unknown`, and whenever there is more to
 * say.
 */
export interface NatFinding<T extends string> {
  /** What was concluded. */
  readonly value: T;
  /** A code for programs, such as `loss`. */
  readonly reason?: string;
  /** The same in a sentence. */
  readonly why?: string;
}

/** The pattern of mapped ports. */
export interface NatAllocation extends NatFinding<PortAllocation> {
  /** The step of `independent` and `dependent`, in ports; otherwise 0. */
  readonly step: number;
  /** The share of the samples that fit the pattern, 0 to 1. */
  readonly confidence: number;
  /** `kind`: `scattered` and `consecutive` sockets, or `destinations` of one socket; `sentAt` in ms since the start. */
  readonly samples: readonly {
    readonly kind: string;
    readonly localPort: number;
    readonly mapped: string;
    readonly sentAt: number;
  }[];
}

/** How long an idle mapping is kept. */
export interface NatLifetime extends NatFinding<'not-asked' | 'measured' | 'at-least' | 'unknown'> {
  /** It was still there after so many milliseconds of silence: the true lifetime is longer. */
  readonly aliveMs?: number;
  /** And gone after so many: the true lifetime is not longer, whatever was late on the way. */
  readonly deadMs?: number;
}

/** What one server's answers say. */
export interface ServerVerdict {
  /** `ip:port`, or `[ip]:port`. */
  readonly server: string;
  /** As it was named. */
  readonly name: string;
  /** Its second address, where it told one (OTHER-ADDRESS, RFC 5780, section 7.4). */
  readonly other?: string;
  /**
   * Whether it answers from other addresses when asked to; without that it can tell the mapping, and nothing of the
   * filter.
   */
  readonly canTest: boolean;
  /** Why not, in a sentence. That is a property of the server, never of the NAT. */
  readonly cannotTest?: string;
  /** Whether it answered at all. */
  readonly answered: boolean;
  /** The mapping by its answers alone. */
  readonly mapping: NatFinding<NatMapping>;
  /** The filter by its answers alone. */
  readonly filtering: NatFinding<NatFiltering>;
}

/** One sub-test. Times are in ms since the start. */
export interface NatEvidence {
  /** The family it was sent by. */
  readonly family: Family;
  /** `mapping-1` to `-3`, `filtering-2` and `-3` are the tests of RFC 5780, sections 4.3 and 4.4. */
  readonly test: string;
  /** Where the request went. */
  readonly server: string;
  /** Where the answer came from. */
  readonly from?: string;
  /** Own address and port. */
  readonly local: string;
  /** What the server saw. */
  readonly mapped?: string;
  /** The code of a STUN error response. */
  readonly errorCode?: number;
  /** Why the system refused to send, as Node has it: negative. */
  readonly errno?: number;
  /** When it was sent last. */
  readonly sentAt?: number;
  /** When the first answer came. */
  readonly receivedAt?: number;
  /** Requests sent. */
  readonly attempts: number;
  /** Of these, how many were answered. */
  readonly answers: number;
  /** Whether it counts as silence: asked often enough, between two answers of the same server. */
  readonly silent: boolean;
}

/** What the derived numbers of a behaviour are. */
export interface NatNumbers {
  /** P2PD's number of the NAT, 1 to 7. */
  readonly type: NatType;
  /** The name by RFC 3489: `port restricted cone`. */
  readonly rfc3489: string;
  /** Whether a careful default stands in for something that is not known. */
  readonly assumed: boolean;
  /** P2PD's number of the pattern of ports, 1 to 6. */
  readonly deltaType: DeltaType;
  /** The step of delta types 4 and 5, in ports; otherwise 0. */
  readonly deltaValue: number;
}

/** The NAT of one address family. */
export interface NatFamily {
  /** 4 or 6. */
  readonly family: Family;
  /** The address that was asked from. */
  readonly local: string;
  /** Why packets could not be bound to the interface. */
  readonly interfaceBindError?: string;
  /** P2PD's numbers and the name of RFC 3489, derived from the rest. */
  readonly numbers: NatNumbers;
  /** The external address; the most frequent one if there are several. */
  readonly external?: string;
  /** All of them, the most frequent first. */
  readonly externals: readonly string[];
  /** Whether servers could be asked at all. */
  readonly connectivity: NatFinding<NatConnectivity>;
  /** Which external port packets get (RFC 4787, section 4.1). */
  readonly mapping: NatFinding<NatMapping>;
  /** Who is let in (RFC 4787, section 5). */
  readonly filtering: NatFinding<NatFiltering>;
  /** The pattern of mapped ports. */
  readonly allocation: NatAllocation;
  /** Whether a host keeps one external address (RFC 4787, REQ-2). */
  readonly pooling: NatFinding<NatPooling>;
  /** Whether one mapped port was used for several sockets at once. */
  readonly overloading: NatFinding<'no' | 'yes' | 'unknown'>;
  /** Whether something rewrites addresses inside of packets (MAPPED-ADDRESS against XOR-MAPPED-ADDRESS). */
  readonly alg: NatFinding<'none' | 'rewrites' | 'unknown'>;
  /** Whether hosts inside reach each other by external addresses (RFC 4787, section 6); only if asked for. */
  readonly hairpin: NatFinding<NatHairpin>;
  /** How long an idle mapping is kept; only if asked for. */
  readonly lifetime: NatLifetime;
  /** The mapping of TCP connections. */
  readonly tcpMapping: NatFinding<NatMapping | 'not-asked'>;
  /** What each server's answers say. */
  readonly servers: readonly ServerVerdict[];
  /** Whether two servers that can test gave different verdicts; what they disagree on is `unknown`. */
  readonly disagree: boolean;
  /** Plain requests sent and answered: the loss of the path. */
  readonly loss: { readonly sent: number; readonly answered: number };
  /** Replies that had no effect, by what was wrong with them. */
  readonly ignored: {
    readonly garbage: number;
    readonly forged: number;
    readonly misdirected: number;
    readonly duplicates: number;
    readonly otherFamily: number;
  };
  /** Each sub-test. */
  readonly evidence: readonly NatEvidence[];
}

/** All that a run of `loadNat()` found. */
export interface NatReport {
  /** How long was waited before silence was treated as filtering. */
  readonly profile: NatProfile;
  /** How long it took. */
  readonly elapsedMs: number;
  /** IPv4 first. */
  readonly families: readonly NatFamily[];
}

/** How long to wait before treating silence as filtering. */
export type NatProfile = 'fast' | 'normal' | 'patient';

/** The report of the addon: the same, without the fields that have no value. @internal */
export function toReport(report: NativeReport): NatReport {
  return {
    profile: report.profile as NatProfile,
    elapsedMs: report.elapsedMs,
    families: report.families.map((found) => toFamily(found)),
  };
}

function toFamily({ family, behaviour: _, ...found }: NativeFamily): NatFamily {
  const af: Family = family === 6 ? 6 : 4;
  const evidence = found.evidence.map((test) => ({ family: af, ...test }));
  const whole = { family: af, ...found, evidence };
  true satisfies SameShape<typeof whole, NatFamily>;
  return compact(whole) as unknown as NatFamily;
}

/** Without null and undefined, at any depth: what has no value is not there. */
function compact(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(compact);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, field]) => field !== undefined && field !== null);
  return Object.fromEntries(entries.map(([name, field]) => [name, compact(field)]));
}
