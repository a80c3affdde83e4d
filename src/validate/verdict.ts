/** What was found for one source. */
import { getSystemErrorName, inspect } from 'node:util';
import { addressText } from '../address/text.ts';
import { RECORD_BYTES } from '../defaults.ts';

/** What was found for a source. */
export type VerdictStatus = 'ok' | 'mapped' | 'no-reply' | 'send-error' | 'bind-error' | 'bad-reply' | 'unknown';

/** Why a reply proves nothing. */
export type BadReplyReason = 'wrong-destination' | 'error-response' | 'no-mapped-address' | 'not-stun' | 'wrong-server';

/** Why it could not be found out. */
export type UnknownReason =
  | 'loss'
  | 'nat-ports'
  | 'network-lost'
  | 'servers-disagree'
  | 'rate-limited'
  | 'flow-table'
  | 'unprotected-reply'
  | 'sometimes-refused';

/**
 * What every verdict has.
 *
 * **A verdict is a view of a packed record: all of its fields but `status` are getters, read when they are looked at.**
 * Spread, `structuredClone` and `Object.keys` do not see getters, so `{ ...verdict }` has a status and nothing else.
 * Use {@link Common.toJSON} for a plain copy, to spread or to post to a worker.
 */
interface Common {
  /** The source. */
  readonly ip: string;
  /** Its number in the run, from 0. */
  readonly index: number;
  /** How many times it was asked; 0 when the verdict comes from a saved state. */
  readonly asked: number;
  /** Whether the verdict comes from a saved state. */
  readonly resumed: boolean;
  /** A plain object with all fields that have a value: the way to copy a verdict. `JSON.stringify` uses it too. */
  toJSON(): Omit<this, 'toJSON'>;
}

/** A server saw the source as itself, and its reply reached the source. */
interface Ok extends Common {
  readonly status: 'ok';
  /** The address that the server saw: the source itself. */
  readonly external: string;
  /** The port that the server saw; undefined when the verdict comes from a saved state. */
  readonly externalPort: number | undefined;
  /** Whether that is another port than the one sent from: something on the way translates ports. */
  readonly portRewritten: boolean;
  /** Round-trip time in milliseconds, if it was measured. */
  readonly rttMs: number | undefined;
}

/** A server saw another address. */
interface Mapped extends Common {
  readonly status: 'mapped';
  /** The address that the server saw. */
  readonly external: string;
  /** The port that the server saw. */
  readonly externalPort: number;
  /** True if no second server address confirmed it. */
  readonly singleServer: boolean;
  /** True if two servers saw two different addresses, neither of them the source. */
  readonly externalVaries: boolean;
  readonly rttMs: number | undefined;
}

/** Never replied, although enough probes were sent over a working network. */
interface NoReply extends Common {
  readonly status: 'no-reply';
}

/** The system refused to send from the source, or to bind it. */
interface Refused extends Common {
  readonly status: 'send-error' | 'bind-error';
  /** `sendmsg` or `bind`. */
  readonly syscall: string;
  /** Negative error number, as in Node's errors. */
  readonly errno: number;
  /** Its name, such as `ENETUNREACH`. */
  readonly code: string;
}

/** Something came back, but nothing that proves anything. */
interface BadReply extends Common {
  readonly status: 'bad-reply';
  readonly reason: BadReplyReason;
  /** The STUN error code, for the reason `error-response`. */
  readonly stunError: number | undefined;
}

/** It could not be found out. */
interface Unknown extends Common {
  readonly status: 'unknown';
  readonly reason: UnknownReason;
  /** The address that a server told, for the reasons `servers-disagree` and `unprotected-reply`. */
  readonly external: string | undefined;
}

/**
 * What was found for one source: a union on `status`. Its fields are getters; copy it with `verdict.toJSON()`, not by
 * spreading.
 */
export type Verdict = Ok | Mapped | NoReply | Refused | BadReply | Unknown;

/** The verdicts of one status. */
export type VerdictOf<S extends VerdictStatus> = Extract<Verdict, { status: S }>;

/** Status by its code in the record. */
export const STATUSES: readonly VerdictStatus[] = [
  'ok',
  'mapped',
  'no-reply',
  'send-error',
  'bind-error',
  'bad-reply',
  'unknown',
];

const REASONS: ReadonlyMap<number, string> = new Map([
  [1, 'wrong-destination'],
  [2, 'error-response'],
  [3, 'no-mapped-address'],
  [4, 'not-stun'],
  [5, 'wrong-server'],
  [10, 'loss'],
  [11, 'nat-ports'],
  [12, 'network-lost'],
  [13, 'servers-disagree'],
  [14, 'external-varies'],
  [15, 'rate-limited'],
  [16, 'flow-table'],
  [17, 'unprotected-reply'],
  [18, 'sometimes-refused'],
]);

const FLAG = { sourceV6: 1, externalV6: 2, portRewritten: 4, singleServer: 8, resumed: 16 } as const;

/** The status in the record at `at`. */
export function statusAt(bytes: Uint8Array, at: number): VerdictStatus {
  return STATUSES[(bytes[at + 36] ?? 0) - 1] ?? 'unknown';
}

/** The source in the record at `at`. */
export function ipAt(bytes: Uint8Array, at: number): string {
  return addressText(bytes, at, ((bytes[at + 37] ?? 0) & FLAG.sourceV6) !== 0);
}

/** The index in the record at `at`. */
export function indexAt(bytes: Uint8Array, at: number): number {
  return uint32(bytes, at + 32);
}

function uint16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
}

function uint32(bytes: Uint8Array, at: number): number {
  return uint16(bytes, at) + uint16(bytes, at + 2) * 65_536;
}

/**
 * One verdict as an object over its record; nothing is decoded until it is looked at. Texts are made by the getters,
 * since a program that counts a million verdicts reads a million statuses and few addresses.
 */
class RecordVerdict {
  readonly status: VerdictStatus;
  readonly #bytes: Uint8Array;
  readonly #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.status = statusAt(bytes, at);
    this.#bytes = bytes;
    this.#at = at;
  }

  get ip(): string {
    return ipAt(this.#bytes, this.#at);
  }

  get index(): number {
    return indexAt(this.#bytes, this.#at);
  }

  get asked(): number {
    return this.#bytes[this.#at + 39] ?? 0;
  }

  get resumed(): boolean {
    return this.#flag(FLAG.resumed);
  }

  get portRewritten(): boolean {
    return this.#flag(FLAG.portRewritten);
  }

  get singleServer(): boolean {
    return this.#flag(FLAG.singleServer);
  }

  get externalVaries(): boolean {
    return this.reason === 'external-varies';
  }

  get external(): string | undefined {
    if (this.status === 'ok') return this.ip;
    if (this.externalPort === undefined) return undefined;
    return addressText(this.#bytes, this.#at + 16, this.#flag(FLAG.externalV6));
  }

  get externalPort(): number | undefined {
    return uint16(this.#bytes, this.#at + 40) || undefined;
  }

  get rttMs(): number | undefined {
    const micros = uint32(this.#bytes, this.#at + 44);
    return micros === 0 ? undefined : micros / 1_000;
  }

  get reason(): string | undefined {
    return REASONS.get(this.#bytes[this.#at + 38] ?? 0);
  }

  get stunError(): number | undefined {
    return this.reason === 'error-response' ? uint16(this.#bytes, this.#at + 42) : undefined;
  }

  get syscall(): string | undefined {
    if (this.status === 'send-error') return 'sendmsg';
    return this.status === 'bind-error' ? 'bind' : undefined;
  }

  get errno(): number | undefined {
    return this.syscall === undefined ? undefined : -uint16(this.#bytes, this.#at + 42);
  }

  get code(): string | undefined {
    return this.errno === undefined ? undefined : errorName(this.errno);
  }

  toJSON(): Record<string, unknown> {
    const plain: Record<string, unknown> = {};
    for (const field of FIELDS[this.status]) {
      const value = this[field];
      if (value !== undefined) plain[field] = value;
    }
    return plain;
  }

  [inspect.custom](_depth: number, options: object): string {
    return `Verdict ${inspect(this.toJSON(), options)}`;
  }

  #flag(flag: number): boolean {
    return ((this.#bytes[this.#at + 37] ?? 0) & flag) !== 0;
  }
}

/** The fields that each status has, in the order they are printed. */
const COMMON = ['ip', 'status'] as const;
const REST = ['asked', 'resumed', 'index'] as const;
const FIELDS: Record<VerdictStatus, readonly Exclude<keyof RecordVerdict, 'toJSON' | typeof inspect.custom>[]> = {
  'ok': [...COMMON, 'external', 'externalPort', 'portRewritten', 'rttMs', ...REST],
  'mapped': [...COMMON, 'external', 'externalPort', 'singleServer', 'externalVaries', 'rttMs', ...REST],
  'no-reply': [...COMMON, ...REST],
  'send-error': [...COMMON, 'code', 'errno', 'syscall', ...REST],
  'bind-error': [...COMMON, 'code', 'errno', 'syscall', ...REST],
  'bad-reply': [...COMMON, 'reason', 'stunError', ...REST],
  'unknown': [...COMMON, 'reason', 'external', ...REST],
};

/** The name of a negative error number, such as `EPERM`. */
export function errorName(errno: number): string {
  return getSystemErrorName(errno);
}

/** The verdict in the record that starts at byte `at`. */
export function verdictAt(bytes: Uint8Array, at: number): Verdict {
  if (at < 0 || at + RECORD_BYTES > bytes.length) throw new RangeError(`no record at byte ${at} of ${bytes.length}`);
  // The class has every field of the union; which of them have a value follows from the status (see FIELDS).
  return new RecordVerdict(bytes, at) as unknown as Verdict;
}

/** What each reason for a bad reply means. @internal */
export const BAD_REPLIES: Record<BadReplyReason, string> = {
  'wrong-destination': 'the reply arrived at another address of this machine, so the way back is not the way out',
  'error-response': 'the server answered with a STUN error',
  'no-mapped-address': 'the server answered without saying which address it saw',
  'not-stun':
    'what came back is not a STUN response; the port belongs to another service, or something rewrites the traffic',
  'wrong-server': 'the reply came from another address or port than the one asked',
};

/** What each reason for not knowing means. @internal */
export const UNKNOWNS: Record<UnknownReason, string> = {
  'loss':
    'its silence proves nothing: probes to neighbours that work were lost too, or it was probed too few times; validate it again, without `--passes` or with more of them',
  'nat-ports':
    'all answers come from behind one external address, whose ports may have run out; ask again later or name more servers',
  'network-lost': 'the network went away and did not come back; run again',
  'servers-disagree': 'one server saw the source itself, another a different address',
  'rate-limited':
    'the network carries so few probes here that it could not be settled in time; the summary names place and rate',
  'flow-table':
    'new flows are lost where earlier ones pass: a table of flows on the way (connection tracking, NAT, firewall) is full',
  'unprotected-reply':
    'the server sent MAPPED-ADDRESS alone, which devices on the way can rewrite; name a server that sends XOR-MAPPED-ADDRESS',
  'sometimes-refused':
    'this machine refused some probes and let others pass, which stayed silent; look at its packet filter',
};

/** What the system's usual refusals of a source mean. @internal */
export const REFUSALS: Partial<Record<string, string>> = {
  EADDRNOTAVAIL: 'this machine does not hold the address',
  ENETUNREACH: 'there is no route from this source to the server',
  EHOSTUNREACH: 'the server cannot be reached from this source',
  EPERM: 'a firewall on this machine refuses it',
  EACCES: 'the system does not allow it; a broadcast or network address cannot be sent from',
  EINVAL: 'the address cannot be used as a source, as with network and broadcast addresses',
};

/**
 * What `no-reply` means after so many tries, or from `least` to `most` of them; 0 is not known, as from a saved state.
 *
 * @internal
 */
export function describeNoReply(least: number, most: number = least): string {
  const number = least === most ? `${most}` : `${least} to ${most}`;
  const tries = most === 0 ? '' : ` in ${number} ${most === 1 ? 'try' : 'tries'}`;
  return `no answer${tries} while sources beside it answered: filtered, or no route back`;
}

/**
 * What a verdict means and, where something can be done, what to do: a sentence without the address, such as "leaves as
 * itself".
 */
export function describeVerdict(verdict: Verdict): string {
  switch (verdict.status) {
    case 'ok':
      return verdict.portRewritten
        ? 'leaves as itself, but with another port: something on the way translates ports'
        : 'leaves as itself';
    case 'mapped': {
      const doubt = verdict.externalVaries
        ? ' (and as another address at a second server)'
        : verdict.singleServer
          ? ' (one server says so)'
          : '';
      return `leaves as ${verdict.external}${doubt}`;
    }
    case 'no-reply':
      return describeNoReply(verdict.asked);
    case 'send-error':
    case 'bind-error':
      return `${verdict.syscall} failed with ${verdict.code}: ${REFUSALS[verdict.code] ?? 'the system refuses it'}`;
    case 'bad-reply':
      return `bad reply: ${BAD_REPLIES[verdict.reason]}${verdict.stunError ? ` (${verdict.stunError})` : ''}`;
    case 'unknown':
      return `unknown: ${UNKNOWNS[verdict.reason]}`;
  }
}
