// Builds the addon for a target with zig as its linker, checks what the file needs, and runs it where this machine can.
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { delimiter, join, resolve } from 'node:path';
import { inspectGlibc, inspectMac, inspectMusl, inspectWindows } from './inspect.mjs';
import { fileOf } from './list.mjs';
import { muslNode, npmNode, pip, TOOLS } from './nodes.mjs';
import { needPackages, run } from '../../common/system.mjs';
import { toolchain } from './toolchain.mjs';
import { windowsPackages, windowsStubs, wineEnvironment } from './windows.mjs';

/** The oldest glibc that the binaries run with: that of Debian 8, CentOS 7 and everything since. */
const GLIBC_FLOOR = '2.17';
/** The oldest macOS that Node 20 runs on. */
const MACOS_FLOOR = '11.0';
const OUT = resolve('target', 'targets');
/** The smoke test. */
export const SMOKE = 'scripts/build/targets/smoke.mjs';

const QEMU = 'qemu-aarch64-static';
const ARM64_ROOT = '/usr/aarch64-linux-gnu';
const arm64Packages = [
  [QEMU, `${ARM64_ROOT}/lib/libstdc++.so.6`],
  ['qemu-user-static', 'libc6-arm64-cross', 'libstdc++6-arm64-cross'],
];

/** What is built here: the name of the file, how what it needs is checked, and how it is run. */
export const targets = {
  'x86_64-unknown-linux-gnu': {
    library: 'libroutepool.so',
    floor: GLIBC_FLOOR,
    inspect: (addon) => inspectGlibc(addon, GLIBC_FLOOR),
    smoke: (addon) => smoke(process.execPath, [SMOKE], addon),
  },
  'aarch64-unknown-linux-gnu': {
    library: 'libroutepool.so',
    floor: GLIBC_FLOOR,
    inspect: (addon) => inspectGlibc(addon, GLIBC_FLOOR),
    packages: arm64Packages,
    smoke: (addon) => smoke(QEMU, ['-L', ARM64_ROOT, npmNode('24', 'linux', 'arm64'), SMOKE], addon),
  },
  'x86_64-unknown-linux-musl': {
    library: 'libroutepool.so',
    inspect: inspectMusl,
    smoke: (addon) => smokeWith([...muslNode('x64'), SMOKE], addon),
  },
  'aarch64-unknown-linux-musl': {
    library: 'libroutepool.so',
    inspect: inspectMusl,
    packages: [[QEMU], ['qemu-user-static']],
    smoke: (addon) => smokeWith([QEMU, ...muslNode('arm64'), SMOKE], addon),
  },
  'x86_64-apple-darwin': {
    library: 'libroutepool.dylib',
    inspect: (addon) => inspectMac(addon, 'x86_64', MACOS_FLOOR),
  },
  'aarch64-apple-darwin': {
    library: 'libroutepool.dylib',
    inspect: (addon) => inspectMac(addon, 'aarch64', MACOS_FLOOR),
  },
  // In place of x86_64-pc-windows-msvc, which needs Microsoft's libraries: the same code with another C interface.
  'x86_64-pc-windows-gnu': {
    library: 'routepool.dll',
    inspect: inspectWindows,
    packages: windowsPackages,
    env: windowsStubs,
    smoke: (addon) => smoke('wine', [npmNode('20.20.2', 'win32', 'x64'), SMOKE], addon, wineEnvironment()),
  },
};

/** zig as a linker for every platform, from PyPI into a folder of its own. */
function zig() {
  if (!existsSync(join(TOOLS, 'bin', 'cargo-zigbuild'))) pip('install', 'ziglang==0.17.1', 'cargo-zigbuild==0.24.0');
  return join(TOOLS, 'bin');
}

/**
 * Runs the smoke test with an addon; gives what it prints. Through a file: Node in wine can write to no pipe of Node's.
 */
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
  if (result.status !== 0)
    throw new Error(`the smoke test failed (${result.error?.message ?? result.signal ?? result.status}):\n${said}`);
  return said.split('\n').at(-1);
}

function smokeWith([command, ...args], addon) {
  return smoke(command, args, addon);
}

/** How long the compiler may take: for publishing, for tests of what is published, for tests that are run often. */
const EFFORTS = {
  full: { profile: ['--release'], folder: 'release', env: {} },
  less: {
    profile: ['--release'],
    folder: 'release',
    env: { CARGO_PROFILE_RELEASE_LTO: 'off', CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '16' },
  },
  least: { profile: [], folder: 'debug', env: { CARGO_PROFILE_DEV_DEBUG: '0' } },
};

/**
 * Builds a target's addon into a folder; gives the file. `effort` is `full` for what is published, `less` without
 * link-time optimization, `least` without any, and with checks for overflow.
 */
export function build(target, { effort = 'less', into = OUT } = {}) {
  const { library, floor, packages, env: more } = targets[target];
  const file = fileOf(target);
  if (packages) needPackages(...packages);
  const tools = zig();
  const { args, env, folder, cargo } = toolchain(target);
  const { profile, folder: built, env: chosen } = EFFORTS[effort];
  const environment = {
    ...env,
    ...chosen,
    ...more?.(),
    PATH: `${tools}${delimiter}${env.PATH}`,
    CARGO: env.CARGO ?? cargo,
  };
  if (target.endsWith('apple-darwin')) {
    // Stripping needs a tool of Rust's that Debian has not. The name in the file is not that of this folder.
    environment.CARGO_PROFILE_RELEASE_STRIP = 'none';
    environment.MACOSX_DEPLOYMENT_TARGET = MACOS_FLOOR;
    environment.RUSTFLAGS = `-C link-arg=-Wl,-install_name,@rpath/${file}`;
  }
  const named = floor === undefined ? target : `${target}.${floor}`;
  const at = args.indexOf('--target');
  const all = [...args.slice(0, at), '--target', named, ...args.slice(at + 2)];
  run(join(tools, 'cargo-zigbuild'), ['zigbuild', ...profile, '--locked', '-q', '-p', 'routepool', ...all], {
    env: environment,
  });
  mkdirSync(into, { recursive: true });
  const addon = join(into, file);
  copyFileSync(join(folder, target, built, library), addon);
  return addon;
}

/** Makes sure that a file needs no more than it may; says what it needs. */
export function check(target, addon) {
  return targets[target].inspect(addon);
}
