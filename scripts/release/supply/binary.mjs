// What a binary is, read from its header: the system, the processor, and what keeps it from being loaded.

const CPUS = {
  elf: { 62: 'x64', 183: 'arm64' },
  macho: { 0x01000007: 'x64', 0x0100000c: 'arm64' },
  pe: { 0x8664: 'x64', 0xaa64: 'arm64' },
};
const ENTRY = 'napi_register_module_v1';

/**
 * ELF (elf(5)): a shared object of 64 bits; which C library it asks for, and the newest glibc version that it names.
 */
function elf(file) {
  if (file[4] !== 2 || file[5] !== 1) return { system: 'linux', wrong: 'it is not of 64 bits, little-endian' };
  if (file.readUInt16LE(16) !== 3) return { system: 'linux', wrong: 'it is no shared object' };
  const text = file.toString('latin1');
  const glibc = [...text.matchAll(/\0GLIBC_2\.(\d+)(?:\.\d+)?(?=\0)/g)].map(([, minor]) => Number(minor));
  const libc =
    glibc.length > 0 || text.includes('\0libc.so.6\0') ? 'gnu' : text.includes('\0libc.so\0') ? 'musl' : undefined;
  return {
    system: 'linux',
    cpu: CPUS.elf[file.readUInt16LE(18)],
    libc,
    glibc: glibc.length > 0 ? Math.max(...glibc) : undefined,
  };
}

/**
 * Mach-O (mach-o/loader.h): a library, and on arm64 signed, if only by the linker: macOS ends a process that loads
 * another.
 */
function macho(file) {
  const cpu = CPUS.macho[file.readUInt32LE(4)];
  const type = file.readUInt32LE(12);
  if (type !== 6 && type !== 8) return { system: 'darwin', cpu, wrong: 'it is neither a dynamic library nor a bundle' };
  const commands = file.readUInt32LE(16);
  let at = 32;
  let signed = false;
  for (let k = 0; k < commands && at + 8 <= file.length; k += 1) {
    if (file.readUInt32LE(at) === 0x1d) signed = true;
    at += file.readUInt32LE(at + 4);
  }
  return {
    system: 'darwin',
    cpu,
    ...(cpu === 'arm64' && !signed ? { wrong: 'it has no code signature, which macOS asks for on arm64' } : {}),
  };
}

/** PE (the format's specification by Microsoft): a DLL. */
function pe(file) {
  const at = file.readUInt32LE(0x3c);
  if (at + 24 > file.length || file.toString('latin1', at, at + 4) !== 'PE\0\0')
    return { system: 'win32', wrong: 'its header is cut short' };
  const cpu = CPUS.pe[file.readUInt16LE(at + 4)];
  return { system: 'win32', cpu, ...(file.readUInt16LE(at + 22) & 0x2000 ? {} : { wrong: 'it is no DLL' }) };
}

/**
 * Reads the header: `system`, `cpu`, `libc` and `glibc` (the minor version) of Linux, `wrong` where it cannot be loaded
 * at all.
 */
export function describeBinary(file) {
  if (file.length < 64) return { wrong: 'it is no binary' };
  const about =
    file.readUInt32BE(0) === 0x7f454c46
      ? elf(file)
      : file.readUInt32LE(0) === 0xfeedfacf
        ? macho(file)
        : file.toString('latin1', 0, 2) === 'MZ'
          ? pe(file)
          : { wrong: 'it is no binary' };
  return about.wrong === undefined && !file.includes(ENTRY)
    ? { ...about, wrong: `it is no Node addon (${ENTRY} is missing)` }
    : about;
}

/**
 * Why a file is not the binary for a platform such as `linux-x64-gnu`; nothing if it is. `floor` is the newest glibc
 * 2.x allowed.
 */
export function binaryFault(file, platform, floor) {
  const [system, cpu, abi] = platform.split('-');
  const found = describeBinary(file);
  if (found.wrong !== undefined) return found.wrong;
  const libc = system === 'linux' ? abi : undefined;
  const name = (parts) => parts.filter(Boolean).join('-');
  if (name([found.system, found.cpu ?? 'unknown', found.libc]) !== name([system, cpu, libc])) {
    return `it is for ${name([found.system, found.cpu ?? 'another processor', found.libc])}`;
  }
  if (found.glibc !== undefined && found.glibc > floor)
    return `it needs glibc 2.${found.glibc}, and 2.${floor} is the newest that it may`;
  return undefined;
}
