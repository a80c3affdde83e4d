// The compiler for another platform: rustup's own where it has that platform's standard library, else Debian's compiler, which
// brings the source of the standard library and compiles it (`-Zbuild-std`, an unstable feature: good for checks and tests).
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const DEBIAN = '/usr/bin';

/** Runs a command; gives its output, or throws with it. `inherit` shows the output instead. */
export function run(command, args, { inherit = false, ...options } = {}) {
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: inherit ? 'inherit' : 'pipe',
    ...options,
  });
  if (status !== 0) {
    const why = error?.message ?? signal ?? `exit code ${status}`;
    throw new Error(`${command} ${args.join(' ')}: ${why}\n${stdout ?? ''}${stderr ?? ''}`);
  }
  return stdout ?? '';
}

/** Whether a command is there. */
export function has(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).error === undefined;
}

let updated = false;

/** Installs Debian packages unless all `present` (commands or files) are there; says what is missing where it may not. */
export function needPackages(present, packages) {
  if (present.length > 0 && present.every((path) => existsSync(path) || (!path.includes('/') && has(path)))) return;
  if (process.getuid?.() !== 0 || !has('apt-get')) {
    throw new Error(`missing: ${packages.join(' ')} (Debian packages, or what they bring). Install them, or run this as root.`);
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  if (!updated) run('apt-get', ['update', '-qq'], { env });
  updated = true;
  run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { env });
}

/** Whether the usual compiler has the standard library of a target. */
function hasStandardLibrary(target) {
  const { status, stdout } = spawnSync('rustc', ['--print', 'target-libdir', '--target', target], { encoding: 'utf8' });
  return status === 0 && existsSync(stdout.trim());
}

/**
 * How to compile for a target: commands, what to add to cargo's arguments, and the environment.
 * `fast` builds without link-time optimization, as checks and tests of other platforms are.
 */
export function toolchain(target, fast = true) {
  const folder = join('target', 'cross');
  const common = {
    ...process.env,
    CARGO_TARGET_DIR: folder,
    CARGO_INCREMENTAL: '0',
    ...(fast ? { CARGO_PROFILE_RELEASE_LTO: 'off', CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '16' } : {}),
    // The addon is a library for a process that has its own C library.
    ...(target.endsWith('-musl') ? { RUSTFLAGS: '-C target-feature=-crt-static' } : {}),
  };
  if (hasStandardLibrary(target)) {
    return { cargo: 'cargo', clippy: ['cargo', 'clippy'], args: ['--target', target], env: common, folder };
  }
  const parts = ['rustc', 'cargo', 'cargo-clippy'].map((name) => join(DEBIAN, name));
  needPackages(parts, ['rustc-web', 'cargo-web', 'rust-web-clippy', 'rust-web-src']);
  const env = {
    ...common,
    // Debian's tools before rustup's: cargo runs its subcommands by name.
    PATH: `${DEBIAN}${delimiter}${process.env.PATH}`,
    RUSTC: join(DEBIAN, 'rustc'),
    CARGO: join(DEBIAN, 'cargo'),
    RUSTC_BOOTSTRAP: '1',
  };
  delete env.RUSTUP_TOOLCHAIN;
  return {
    cargo: join(DEBIAN, 'cargo'),
    // Not `cargo clippy`: that would be the one in cargo's home, which is rustup's.
    clippy: [join(DEBIAN, 'cargo-clippy'), 'clippy'],
    args: ['-Zbuild-std=std,panic_unwind,panic_abort', '--target', target],
    env,
    folder,
  };
}
