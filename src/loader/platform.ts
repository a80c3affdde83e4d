/** What this process runs on, as far as it decides which binary fits. */

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

/** The platform that fits: `linux-x64-gnu`; of others, the name that it would have. */
export function platformName(libc: LinuxLibc | undefined): string {
  const base = `${process.platform}-${process.arch}`;
  if (process.platform === 'linux') return `${base}-${libc?.name === 'musl' ? 'musl' : 'gnu'}`;
  return process.platform === 'win32' ? `${base}-msvc` : base;
}
