// What the package of a binary says of the file, so that the loader (src/native/loader/packed-binary.ts) can tell a
// damaged one: its size, a checksum, and a few of its bytes. Reading all of the file at each import would cost 2 ms; so
// many samples cost 0.3 ms.
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';

/** The loader sees each damage that is larger than the distance between two: 7 % of the file. */
const SAMPLES = 16;
const BYTES = 8;

/**
 * What is said of a file: `bytes`, `crc32`, and `samples`, the bytes from each of `places` on, in hexadecimal and
 * without a break.
 */
export function contentsOf(file) {
  const all = readFileSync(file);
  const last = all.length - BYTES;
  const step = last / (SAMPLES - 1);
  // Each at its place or, where that has nothing to tell, behind it; the last one before it.
  const places = Array.from({ length: SAMPLES }, (_, k) =>
    k < SAMPLES - 1
      ? telling(all, Math.floor(k * step), Math.floor((k + 1) * step), 1)
      : telling(all, last, Math.floor(last - step), -1),
  );
  return {
    bytes: all.length,
    crc32: crc32(all).toString(16).padStart(8, '0'),
    places,
    samples: places.map((at) => all.toString('hex', at, at + BYTES)).join(''),
  };
}

/**
 * The first place on the way whose bytes are no filling: where zeros are meant to be, lost ones would not be noticed.
 */
function telling(all, from, to, step) {
  for (let at = from; at !== to; at += step) if (new Set(all.subarray(at, at + BYTES)).size > BYTES / 2) return at;
  return from;
}
