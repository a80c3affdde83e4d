/** The proven sources of a run, to index, count and iterate. */
import { inspect } from 'node:util';
import { addressText } from './address-text.ts';
import type { NativePool } from './binding.ts';
import { POOL_CHUNK } from './defaults.ts';

/**
 * The sources that were proven, in the order of the blocks. It holds a bitmap and no list: a million addresses take 133 KiB.
 *
 * @example
 * const pool = await validate('127.16.0.0/16').pool();
 * console.log(pool.length, pool.at(0), pool.at(-1), pool.has('127.16.7.9'));
 */
export class ProvenPool implements Iterable<string> {
  readonly #native: NativePool;
  /** How many sources were proven. */
  readonly length: number;
  /** 4 or 6. */
  readonly family: 4 | 6;

  /** @internal */
  constructor(native: NativePool) {
    this.#native = native;
    this.length = native.length();
    this.family = native.family() === 6 ? 6 : 4;
  }

  /** The proven source with this number, from 0, in constant time; a negative one counts from the end; undefined outside. */
  at(k: number): string | undefined {
    const number = Math.trunc(k) || 0;
    const index = number < 0 ? number + this.length : number;
    if (index < 0 || index >= this.length) return undefined;
    return this.#native.at(index) ?? undefined;
  }

  /** Whether an address was proven. */
  has(ip: string): boolean {
    return this.#native.has(String(ip));
  }

  *[Symbol.iterator](): IterableIterator<string> {
    const chunk = Buffer.allocUnsafe(POOL_CHUNK * 16);
    for (let start = 0; start < this.length; start += POOL_CHUNK) {
      const count = this.#native.fill(start, chunk);
      for (let i = 0; i < count; i++) yield addressText(chunk, i * 16, this.family === 6);
    }
  }

  /** Length and family; the addresses themselves come from iterating. */
  toJSON(): { family: 4 | 6; length: number } {
    return { family: this.family, length: this.length };
  }

  static {
    Object.defineProperty(this.prototype, inspect.custom, {
      value(this: ProvenPool): string {
        const shown = [this.at(0), this.length > 2 ? '…' : undefined, this.length > 1 ? this.at(-1) : undefined];
        return `ProvenPool(${this.length}) [ ${shown.filter((ip) => ip !== undefined).join(', ')} ]`;
      },
    });
  }
}
