// What a built addon asks of the system it is loaded on, read from the file. Each throws if that is more than it may.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { run } from '../../common/system.mjs';

/** The highest version of glibc that an addon asks for; at most `floor`. */
export function inspectGlibc(addon, floor) {
  const number = ([major, minor]) => Number(major) * 1_000 + Number(minor);
  const asked = [...run('objdump', ['-T', addon]).matchAll(/GLIBC_(\d+)\.(\d+)/g)].map(([, ...version]) => version);
  const most = asked.toSorted((a, b) => number(a) - number(b)).at(-1);
  if (!most) throw new Error(`${addon} asks for no version of glibc`);
  if (number(most) > number(floor.split('.')))
    throw new Error(`${addon} needs glibc ${most.join('.')}, above the floor of ${floor}`);
  return `needs glibc ${most.join('.')}`;
}

/** That an addon needs musl alone: libgcc and libstdc++ may be absent, and so may whatever another libc would bring. */
export function inspectMusl(addon) {
  const needed = [...run('objdump', ['-p', addon]).matchAll(/NEEDED\s+(\S+)/g)].map(([, name]) => name);
  if (needed.join() !== 'libc.so')
    throw new Error(`${addon} needs ${needed.join(', ')}, and should need libc.so alone`);
  return 'needs libc.so alone';
}

/** That an addon needs libraries that every Windows 10 has, and none of the compiler's. */
export function inspectWindows(addon) {
  const names = run('x86_64-w64-mingw32-objdump', ['-p', addon]).matchAll(/DLL Name: (\S+)/g);
  const needed = [...new Set([...names].map(([, name]) => name.toLowerCase()))];
  const strange = needed.filter(
    (name) =>
      !/^(kernel32|ntdll|ws2_32|iphlpapi|advapi32|userenv|bcrypt|bcryptprimitives|api-ms-win-[\w-]+)\.dll$/.test(name),
  );
  if (needed.length === 0 || strange.length > 0)
    throw new Error(`${addon} needs ${strange.join(', ') || 'no library'}`);
  return `needs ${needed.filter((name) => !name.startsWith('api-')).join(', ')}`;
}

const MACH_O_64 = 0xfeedfacf;
const DYLIB = 6;
const CPUS = { x86_64: 0x0100_0007, aarch64: 0x0100_000c };
const [LOAD_DYLIB, ID_DYLIB, CODE_SIGNATURE, BUILD_VERSION] = [0x0c, 0x0d, 0x1d, 0x32];

/**
 * That an addon is a library for `cpu`, for macOS `floor` or older, which needs the system's libraries alone and is
 * signed.
 */
export function inspectMac(addon, cpu, floor) {
  const file = readFileSync(addon);
  const header = [0, 4, 12].map((at) => file.readUInt32LE(at));
  if (header.join() !== [MACH_O_64, CPUS[cpu], DYLIB].join())
    throw new Error(`${addon} is no library of macOS for ${cpu}`);
  const commands = [];
  for (let at = 32, left = file.readUInt32LE(16); left > 0; left -= 1) {
    commands.push([file.readUInt32LE(at), file.subarray(at, at + file.readUInt32LE(at + 4))]);
    at += file.readUInt32LE(at + 4);
  }
  const all = (kind) => commands.filter(([command]) => (command & 0x7fff_ffff) === kind).map(([, bytes]) => bytes);
  const name = (bytes) => bytes.subarray(bytes.readUInt32LE(8)).toString('latin1').split('\0')[0];
  const [version] = all(BUILD_VERSION).map((bytes) => bytes.readUInt32LE(12));
  const text = version === undefined ? 'unknown' : `${version >> 16}.${(version >> 8) & 0xff}`;
  const [major, minor] = floor.split('.').map(Number);
  if (version === undefined || version > ((major << 16) | (minor << 8)))
    throw new Error(`${addon} needs macOS ${text}, above the floor of ${floor}`);
  const [id] = all(ID_DYLIB).map(name);
  if (id !== `@rpath/${basename(addon)}`) throw new Error(`${addon} calls itself ${id}`);
  const libraries = all(LOAD_DYLIB).map(name);
  const strange = libraries.filter((library) => !/^\/(usr\/lib|System\/Library)\//.test(library));
  if (strange.length > 0) throw new Error(`${addon} needs ${strange.join(', ')}`);
  // An arm64 Mac runs nothing that is not signed, if only by its linker.
  if (cpu === 'aarch64' && all(CODE_SIGNATURE).length === 0) throw new Error(`${addon} is not signed`);
  return `needs macOS ${text}, ${libraries.map((library) => basename(library)).join(', ')}`;
}
