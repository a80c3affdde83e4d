/** One line on the terminal that is written over and over. */
import { duration } from '../../duration.ts';
import type { ValidationProgress, ValidationRun } from '../../validate/run.ts';

const WIDTH = 24;

/** Follows a run on a terminal; nothing is written where there is none. */
export class ProgressBar {
  readonly #stream: NodeJS.WriteStream;
  readonly #run: ValidationRun;
  #shown = false;
  readonly #onProgress = (progress: ValidationProgress): void => this.#show(progress);

  private constructor(stream: NodeJS.WriteStream, run: ValidationRun) {
    this.#stream = stream;
    this.#run = run;
    run.on('progress', this.#onProgress);
  }

  /** A bar for the stream, if it is a terminal. */
  static for(stream: NodeJS.WriteStream, run: ValidationRun): ProgressBar | undefined {
    return stream.isTTY && process.env['TERM'] !== 'dumb' ? new ProgressBar(stream, run) : undefined;
  }

  /** Takes the line away. Idempotent. */
  end(): void {
    this.#run.off('progress', this.#onProgress);
    if (this.#shown) this.#stream.write('\r\u001B[K');
    this.#shown = false;
  }

  #show(progress: ValidationProgress): void {
    const line = progressLine(progress).slice(0, Math.max(20, (this.#stream.columns || 80) - 1));
    this.#stream.write(`\r\u001B[K${line}`);
    this.#shown = true;
  }
}

/** The line for a moment of a run. */
function progressLine(progress: ValidationProgress): string {
  const { done, total, ok: found, notOk: lost, ratePerSecond, etaMs, paused, phase, pass } = progress;
  const share = total === 0 ? 0 : done / total;
  const filled = Math.round(share * WIDTH);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)}`;
  const parts = [`${bar} ${Math.floor(share * 100)} %`, `${count(found)} ok`];
  if (lost > 0) parts.push(`${count(lost)} not`);
  if (phase === 'resolving') parts.push('resolving the servers');
  else if (phase === 'preflight') parts.push('asking the servers');
  else if (paused) parts.push('the network is gone, waiting for it');
  else if (phase === 'waiting') parts.push('waiting for late replies');
  else parts.push(`${count(Math.round(ratePerSecond))} a second`);
  if (pass > 1) parts.push(`pass ${pass}`);
  if (etaMs !== undefined && etaMs >= 1_000 && !paused) parts.push(`${duration(etaMs)} left`);
  return parts.join('  ');
}

/** A count with thousands apart. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}
