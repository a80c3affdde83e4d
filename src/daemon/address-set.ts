/** The addresses that a shared socket serves. */

/** Bytes of one range: first and last address, 16 each (IPv4 in the first 4). */
const RANGE_BYTES = 32;

/** Ranges of one family, in order, apart from each other. */
export class AddressSet {
  readonly #ranges: Uint8Array;
  readonly #count: number;

  /** Takes ranges as the addon packs them. */
  constructor(ranges: Uint8Array) {
    this.#ranges = ranges;
    this.#count = ranges.length / RANGE_BYTES;
  }

  /** Whether the address, 16 bytes from the start of `packed`, is in one of the ranges. */
  has(packed: Uint8Array): boolean {
    // The last range that does not begin above it.
    let [low, high] = [0, this.#count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(packed, middle * RANGE_BYTES) < 0) high = middle;
      else low = middle + 1;
    }
    return low > 0 && this.#compare(packed, (low - 1) * RANGE_BYTES + 16) <= 0;
  }

  #compare(packed: Uint8Array, at: number): number {
    for (let i = 0; i < 16; i++) {
      const difference = (packed[i] ?? 0) - (this.#ranges[at + i] ?? 0);
      if (difference !== 0) return difference;
    }
    return 0;
  }
}
