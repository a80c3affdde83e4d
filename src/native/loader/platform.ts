/** What this process runs on, as far as it decides which binary fits. */
import { closeSync, openSync, readSync } from 'node:fs';

/** The platforms that binaries are made for: each is the name of a package, after `routepool-`. */
export const PLATFORMS = [
  'linux-x64-gnu',
  'linux-arm64-gnu',
  'linux-x64-musl',
  'linux-arm64-musl',
  'darwin-x64',
  'darwin-arm64',
  'win32-x64-msvc',
  'win32-arm64-msvc',
] as const;

/** The C library of a Linux process. */
export interface LinuxLibc {
  readonly name: 'glibc' | 'musl';
  /** Its version where the process tells, as glibc does: `2.36`. */
  readonly version: string | undefined;
}

/** The C library of this process, from Node's own report; undefined where there is no choice of one. */
export function linuxLibc(): LinuxLibc | undefined {
  if (process.platform !== 'linux') return undefined;
  // The report would list every address of every interface, which takes long where there are thousands.
  const report = process.report as typeof process.report & { excludeNetwork: boolean };
  const { excludeNetwork } = report;
  report.excludeNetwork = true;
  try {
    const { header, sharedObjects } = report.getReport() as unknown as {
      header?: { glibcVersionRuntime?: string };
      sharedObjects?: string[];
    };
    const version = header?.glibcVersionRuntime;
    if (version !== undefined) return { name: 'glibc', version };
    const musl = sharedObjects?.some((file) => file.includes('ld-musl-') || file.includes('libc.musl-'));
    return musl === false ? undefined : { name: 'musl', version: undefined };
  } finally {
    report.excludeNetwork = excludeNetwork;
  }
}

/**
 * The platform that fits, found out in the time of one read: the name of Linux's dynamic loader, near the start of
 * Node's own file, is that of the C library. Undefined where that cannot be seen, such as in a Node that is linked
 * statically.
 */
export function quickPlatformName(): string | undefined {
  if (process.platform !== 'linux') return platformName(undefined);
  try {
    const file = openSync(process.execPath, 'r');
    try {
      const start = Buffer.alloc(INTERPRETER_WITHIN_BYTES);
      const read = readSync(file, start, 0, start.length, 0);
      const name = /\/ld-(musl|linux)-/.exec(start.toString('latin1', 0, read))?.[1];
      return name === undefined ? undefined : `linux-${process.arch}-${name === 'musl' ? 'musl' : 'gnu'}`;
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}

/** Linkers put the name behind the program headers, of which there are a dozen of 56 bytes (elf(5), `PT_INTERP`). */
const INTERPRETER_WITHIN_BYTES = 2_048;

/** The platform that fits: `linux-x64-gnu`; of others, the name that it would have. */
export function platformName(libc: LinuxLibc | undefined): string {
  const base = `${process.platform}-${process.arch}`;
  if (process.platform === 'linux') return `${base}-${libc?.name === 'musl' ? 'musl' : 'gnu'}`;
  return process.platform === 'win32' ? `${base}-msvc` : base;
}
