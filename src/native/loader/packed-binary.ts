/**
 * The package with a platform's binary, and whether the file is still as it was packed: loading a damaged one can end
 * the process.
 */
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A binary in its package. */
export interface PackedBinary {
  readonly file: string;
  /** What its package says of it; undefined in one that says nothing. */
  readonly contents: Contents | undefined;
}

/** As `scripts/release/supply/contents.mjs` writes it into the package's `package.json`. */
interface Contents {
  readonly bytes: number;
  /** Of the whole file, in hexadecimal. */
  readonly crc32: string;
  /** Where samples were taken: from the start to the end of the file. */
  readonly places: readonly number[];
  /** The eight bytes from each of these places on, in hexadecimal and without a break. */
  readonly samples: string;
}

const SAMPLE_BYTES = 8;

/**
 * The binary in the package for a platform; undefined if that is not installed, or not to be read: the load says so.
 */
export function packedBinary(require: NodeJS.Require, platform: string): PackedBinary | undefined {
  try {
    const manifest = require.resolve(`routepool-${platform}/package.json`);
    const { main, contents } = JSON.parse(readFileSync(manifest, 'utf8')) as { main?: string; contents?: Contents };
    return main === undefined ? undefined : { file: join(dirname(manifest), main), contents };
  } catch {
    return undefined;
  }
}

/**
 * What is wrong with a binary as far as its size and samples show it, in a tenth of the time that reading it takes: a
 * file that is cut short, emptied, filled up with zeros after a power failure, changed as if it were text, or of
 * another build.
 */
export function quickFault({ file, contents }: PackedBinary): string | undefined {
  if (contents === undefined) return undefined;
  const { size } = statSync(file);
  if (size !== contents.bytes) return `it has ${size} bytes in place of ${contents.bytes}`;
  const found = Buffer.alloc(contents.places.length * SAMPLE_BYTES);
  const descriptor = openSync(file, 'r');
  try {
    // By number: an iterator costs as much as a read here, where nothing is compiled yet.
    for (let k = 0; k < contents.places.length; k++)
      readSync(descriptor, found, k * SAMPLE_BYTES, SAMPLE_BYTES, contents.places[k] ?? 0);
  } finally {
    closeSync(descriptor);
  }
  const samples = found.toString('hex');
  if (samples === contents.samples) return undefined;
  const sample = (all: string, k: number) => all.slice(2 * k * SAMPLE_BYTES, 2 * (k + 1) * SAMPLE_BYTES);
  const wrong = contents.places.find((_, k) => sample(samples, k) !== sample(contents.samples, k));
  return `its bytes at ${wrong ?? 0} are not those that were packed`;
}

/** What is wrong with a binary, all of it read: some milliseconds. */
export function wholeFault(binary: PackedBinary): string | undefined {
  const { file, contents } = binary;
  const fault = quickFault(binary);
  if (fault !== undefined || contents === undefined) return fault;
  const crc32 = process.getBuiltinModule('node:zlib').crc32(readFileSync(file)).toString(16).padStart(8, '0');
  return crc32 === contents.crc32 ? undefined : `its checksum (CRC-32) is ${crc32} in place of ${contents.crc32}`;
}
