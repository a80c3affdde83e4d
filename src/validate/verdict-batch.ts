/** Many verdicts at once, as they come from Rust. */
import { RECORD_BYTES } from '../defaults.ts';
import { indexAt, ipAt, statusAt, type VerdictStatus, type Verdict, verdictAt } from './verdict.ts';

/** Packed verdicts. Nothing is decoded until it is asked for; the batch may be kept. */
export class VerdictBatch implements Iterable<Verdict> {
  /** The records, 48 bytes each; the layout is in docs/records.md. */
  readonly bytes: Uint8Array;
  /** How many verdicts there are. */
  readonly length: number;

  /** @internal */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.length = Math.floor(bytes.length / RECORD_BYTES);
  }

  /** The verdict with this number, from 0; a negative one counts from the end; undefined outside. */
  at(i: number): Verdict | undefined {
    const at = this.#offset(i);
    return at === undefined ? undefined : verdictAt(this.bytes, at);
  }

  /** Only the status of a verdict, without making the verdict; undefined outside. */
  status(i: number): VerdictStatus | undefined {
    const at = this.#offset(i);
    return at === undefined ? undefined : statusAt(this.bytes, at);
  }

  /** Only the source of a verdict; undefined outside. */
  ip(i: number): string | undefined {
    const at = this.#offset(i);
    return at === undefined ? undefined : ipAt(this.bytes, at);
  }

  /** Only the number that the source has in the run, from 0; undefined outside. */
  index(i: number): number | undefined {
    const at = this.#offset(i);
    return at === undefined ? undefined : indexAt(this.bytes, at);
  }

  /** Each verdict, made when it is asked for. */
  *[Symbol.iterator](): IterableIterator<Verdict> {
    for (let i = 0; i < this.length; i++) yield verdictAt(this.bytes, i * RECORD_BYTES);
  }

  #offset(i: number): number | undefined {
    const number = i < 0 ? i + this.length : i;
    return Number.isInteger(number) && number >= 0 && number < this.length ? number * RECORD_BYTES : undefined;
  }
}
