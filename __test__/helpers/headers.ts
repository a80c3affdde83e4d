/**
 * Files that look like addons to whoever reads their headers, for platforms that no binary is at hand for. They hold no
 * code.
 */
const ENTRY = Buffer.from('\0napi_register_module_v1\0');

function elf(machine: number, library: string, glibc = ''): Buffer {
  const header = Buffer.alloc(64);
  header.write('\u007fELF', 'latin1');
  header[4] = 2; // 64 bits
  header[5] = 1; // little-endian
  header.writeUInt16LE(3, 16); // ET_DYN
  header.writeUInt16LE(machine, 18);
  return Buffer.concat([header, ENTRY, Buffer.from(`\0${library}\0${glibc}\0`)]);
}

function macho(cpu: number, { signed }: { signed: boolean }): Buffer {
  const header = Buffer.alloc(32 + 16);
  header.writeUInt32LE(0xfeedfacf, 0);
  header.writeUInt32LE(cpu, 4);
  header.writeUInt32LE(6, 12); // MH_DYLIB
  header.writeUInt32LE(1, 16); // one load command
  header.writeUInt32LE(signed ? 0x1d : 0x1b, 32); // LC_CODE_SIGNATURE, or LC_UUID
  header.writeUInt32LE(16, 36);
  return Buffer.concat([header, ENTRY]);
}

function pe(machine: number): Buffer {
  const header = Buffer.alloc(128);
  header.write('MZ', 'latin1');
  header.writeUInt32LE(64, 0x3c);
  header.write('PE\0\0', 64, 'latin1');
  header.writeUInt16LE(machine, 68);
  header.writeUInt16LE(0x2000, 64 + 22); // a DLL
  return Buffer.concat([header, ENTRY]);
}

/** One for each platform that a release has. */
export const headers: Readonly<Record<string, Buffer>> = {
  'linux-x64-gnu': elf(62, 'libc.so.6', 'GLIBC_2.14'),
  'linux-arm64-gnu': elf(183, 'libc.so.6', 'GLIBC_2.17'),
  'linux-x64-musl': elf(62, 'libc.so'),
  'linux-arm64-musl': elf(183, 'libc.so'),
  'darwin-x64': macho(0x01000007, { signed: false }),
  'darwin-arm64': macho(0x0100000c, { signed: true }),
  'win32-x64-msvc': pe(0x8664),
  'win32-arm64-msvc': pe(0xaa64),
};

/** Linked with a newer glibc than the floor. */
export const newGlibc = elf(62, 'libc.so.6', 'GLIBC_2.34');

/** An arm64 Mach-O that was stripped after it was signed, as `strip` of another toolchain leaves it. */
export const unsigned = macho(0x0100000c, { signed: false });
