/** A way that loses, delays and doubles datagrams. */
import { checkNames, checkNumber, wrong } from '../options/check.ts';

/** What a way does to datagrams, each way. By default nothing. */
export interface PathOptions {
  /** Share that is lost, 0 to 1. */
  loss?: number | undefined;
  /** Share that arrives twice, 0 to 1. */
  duplication?: number | undefined;
  /** How long each takes, in ms, 0 to 60,000. */
  delayMs?: number | undefined;
  /** How much longer some take, in ms, 0 to 60,000: they overtake each other. */
  jitterMs?: number | undefined;
}

/** @internal */
export function checkPath(option: string, value: unknown): Required<{ [K in keyof PathOptions]: number }> {
  const given = checkNames(
    value === undefined
      ? {}
      : typeof value === 'object' && value !== null
        ? value
        : wrong(option, 'an object like { loss: 0.1 }', value),
    ['loss', 'duplication', 'delayMs', 'jitterMs'],
  );
  const share = (name: 'loss' | 'duplication') => checkNumber(`${option}.${name}`, given[name], 0, 1, false) ?? 0;
  const time = (name: 'delayMs' | 'jitterMs') => checkNumber(`${option}.${name}`, given[name], 0, 60_000, false) ?? 0;
  return {
    loss: share('loss'),
    duplication: share('duplication'),
    delayMs: time('delayMs'),
    jitterMs: time('jitterMs'),
  };
}

/** The way at work; what is random follows from the seed. @internal */
export class Path {
  readonly #options: ReturnType<typeof checkPath>;
  readonly #random: () => number;
  readonly #timers = new Set<NodeJS.Timeout>();
  #closed = false;
  /** Datagrams that it has lost. */
  lost = 0;

  constructor(options: ReturnType<typeof checkPath>, seed: number) {
    this.#options = options;
    this.#random = randomFrom(seed);
  }

  /** Calls `arrive` once, later, twice or never. */
  carry(arrive: () => void): void {
    const { loss, duplication, delayMs, jitterMs } = this.#options;
    if (this.#random() < loss) {
      this.lost++;
      return;
    }
    const copies = this.#random() < duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const after = delayMs + this.#random() * jitterMs;
      if (after === 0) arrive();
      else this.#later(arrive, after);
    }
  }

  /** What is under way is lost. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #later(arrive: () => void, after: number): void {
    if (this.#closed) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      arrive();
    }, after);
    this.#timers.add(timer);
  }
}

/** Numbers from 0 to below 1 that follow from the seed (mulberry32). @internal */
function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
