/** Verdicts as data on standard output. */
import { once } from 'node:events';
import type { ValidationSummary } from '../../validate/summary.ts';
import type { VerdictStatus, Verdict } from '../../validate/verdict.ts';

/** How verdicts are printed. */
export type Format = 'text' | 'json' | 'ndjson' | 'csv';

/** Characters gathered before they are written: one system call for some hundred verdicts. */
const CHUNK = 65_536;

/** Prints verdicts in one format. */
export abstract class Output {
  readonly #stream: NodeJS.WriteStream;
  readonly #only: ReadonlySet<VerdictStatus> | undefined;
  #pending = '';
  #lost = false;

  /** `onLost` is called once when the stream can be written no more; what comes after is thrown away. */
  constructor(stream: NodeJS.WriteStream, only: ReadonlySet<VerdictStatus> | undefined, onLost: () => void) {
    this.#stream = stream;
    this.#only = only;
    stream.once('error', () => {
      this.#lost = true;
      onLost();
    });
  }

  /** Whether a verdict of this status is printed at all. */
  wants(status: VerdictStatus | undefined): boolean {
    return !this.#lost && status !== undefined && (this.#only?.has(status) ?? true);
  }

  /** Before the first verdict. */
  async begin(): Promise<void> {}

  /** One verdict that is wanted. */
  abstract verdict(verdict: Verdict): void;

  /** After the last verdict. */
  async end(_summary: ValidationSummary): Promise<void> {
    await this.flush(true);
  }

  /** Writes what has gathered, and waits for a slow reader. */
  async flush(all = false): Promise<void> {
    if (this.#pending.length < (all ? 1 : CHUNK)) return;
    const text = this.#pending;
    this.#pending = '';
    if (this.#lost || this.#stream.write(text)) return;
    // Whoever watches the stream tells its errors.
    await once(this.#stream, 'drain').catch(() => undefined);
  }

  protected write(text: string): void {
    this.#pending += text;
  }
}

/** Addresses alone, with `--only`; nothing without. */
class TextOutput extends Output {
  readonly #prints: boolean;

  constructor(stream: NodeJS.WriteStream, only: ReadonlySet<VerdictStatus> | undefined, onLost: () => void) {
    super(stream, only, onLost);
    this.#prints = only !== undefined;
  }

  override wants(status: VerdictStatus | undefined): boolean {
    return this.#prints && super.wants(status);
  }

  verdict(verdict: Verdict): void {
    this.write(`${verdict.ip}\n`);
  }
}

/** One object a line, written as it comes: for a program that reads along. */
class NdjsonOutput extends Output {
  verdict(verdict: Verdict): void {
    this.write(`${JSON.stringify(verdict)}\n`);
  }

  override async flush(): Promise<void> {
    await super.flush(true);
  }
}

/** One document, written piece by piece. The summary comes last, since it is known last. */
class JsonOutput extends Output {
  #first = true;

  override async begin(): Promise<void> {
    this.write('{"verdicts":[');
  }

  verdict(verdict: Verdict): void {
    this.write(`${this.#first ? '' : ','}\n${JSON.stringify(verdict)}`);
    this.#first = false;
  }

  override async end(summary: ValidationSummary): Promise<void> {
    this.write(`\n],"summary":${JSON.stringify(summary)}}\n`);
    await super.end(summary);
  }
}

/** Comma-separated values with a header (RFC 4180); no field ever needs quotes. */
class CsvOutput extends Output {
  override async begin(): Promise<void> {
    this.write('ip,status,external,external_port,error,reason,asked,rtt_ms\n');
  }

  verdict(verdict: Verdict): void {
    const { ip, status, asked } = verdict;
    const external = 'external' in verdict ? verdict.external : undefined;
    const port = 'externalPort' in verdict ? verdict.externalPort : undefined;
    // By status and not by `in`: the object behind a verdict has the getters of every status.
    const refused = verdict.status === 'send-error' || verdict.status === 'bind-error';
    const error = refused ? verdict.code : verdict.status === 'bad-reply' ? verdict.stunError : undefined;
    const reason = 'reason' in verdict ? verdict.reason : undefined;
    const rtt = 'rttMs' in verdict ? verdict.rttMs : undefined;
    this.write(
      `${ip},${status},${external ?? ''},${port ?? ''},${error ?? ''},${reason ?? ''},${asked},${rtt ?? ''}\n`,
    );
  }
}

/** The output for a format. */
export function outputFor(
  format: Format,
  stream: NodeJS.WriteStream,
  only: ReadonlySet<VerdictStatus> | undefined,
  onLost: () => void,
): Output {
  const outputs = { text: TextOutput, json: JsonOutput, ndjson: NdjsonOutput, csv: CsvOutput };
  return new outputs[format](stream, only, onLost);
}
