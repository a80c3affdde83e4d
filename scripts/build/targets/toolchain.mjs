// The compiler for another platform: rustup's own where it has that platform's standard library, else Debian's, with
// the standard library of Debian for that platform where there is one, and elsewhere with one that it compiles from
// source (`-Zbuild-std`, an unstable feature: good for checks and tests).
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { unpackDebian } from './debian.mjs';
import { needPackages, run } from '../../common/system.mjs';

const DEBIAN = '/usr/bin';
const DEBIAN_RUST = '/usr/lib/rustlib';
/** Targets that Debian has a compiled standard library for, with its name of the architecture. */
const DEBIAN_TARGETS = { 'aarch64-unknown-linux-gnu': 'arm64' };

/** Whether the usual compiler has the standard library of a target. */
function hasStandardLibrary(target) {
  const { status, stdout } = spawnSync('rustc', ['--print', 'target-libdir', '--target', target], { encoding: 'utf8' });
  return status === 0 && existsSync(stdout.trim());
}

/**
 * A folder for `--sysroot`: Debian's standard library of this machine, and that of `target` beside it. Of the very same
 * version.
 */
function sysroot(target) {
  const version = run('dpkg-query', ['-W', '-f', '${Version}', 'rustc-web']);
  const folder = resolve('target', 'tools', `rust-${target}-${version}`);
  const libraries = join(folder, 'lib', 'rustlib');
  if (!existsSync(join(libraries, target))) {
    const files = unpackDebian('libstd-rust-web-dev', {
      architecture: DEBIAN_TARGETS[target],
      version,
      folder: join(folder, 'files'),
    });
    mkdirSync(libraries, { recursive: true });
    for (const name of readdirSync(DEBIAN_RUST))
      if (!existsSync(join(libraries, name))) symlinkSync(join(DEBIAN_RUST, name), join(libraries, name));
    symlinkSync(join(files, DEBIAN_RUST, target), join(libraries, target));
  }
  return folder;
}

/** How to compile for a target: commands, what to add to cargo's arguments, and the environment. */
export function toolchain(target) {
  const folder = join('target', 'cross');
  const common = {
    ...process.env,
    CARGO_TARGET_DIR: folder,
    CARGO_INCREMENTAL: '0',
    // The addon is a library for a process that has its own C library.
    ...(target.endsWith('-musl') ? { RUSTFLAGS: '-C target-feature=-crt-static' } : {}),
  };
  if (hasStandardLibrary(target)) {
    return { cargo: 'cargo', clippy: ['cargo', 'clippy'], args: ['--target', target], env: common, folder };
  }
  const parts = ['rustc', 'cargo', 'cargo-clippy'].map((name) => join(DEBIAN, name));
  const compiled = target in DEBIAN_TARGETS;
  needPackages(compiled ? parts : [...parts, join(DEBIAN_RUST, 'src')], [
    'rustc-web',
    'cargo-web',
    'rust-web-clippy',
    ...(compiled ? [] : ['rust-web-src']),
  ]);
  const env = {
    ...common,
    // Debian's tools before rustup's: cargo runs its subcommands by name.
    PATH: `${DEBIAN}${delimiter}${process.env.PATH}`,
    RUSTC: join(DEBIAN, 'rustc'),
    CARGO: join(DEBIAN, 'cargo'),
    ...(compiled ? { RUSTFLAGS: `--sysroot ${sysroot(target)}` } : { RUSTC_BOOTSTRAP: '1' }),
  };
  delete env.RUSTUP_TOOLCHAIN;
  return {
    cargo: join(DEBIAN, 'cargo'),
    // Not `cargo clippy`: that would be the one in cargo's home, which is rustup's.
    clippy: [join(DEBIAN, 'cargo-clippy'), 'clippy'],
    args: [...(compiled ? [] : ['-Zbuild-std=std,panic_unwind,panic_abort']), '--target', target],
    env,
    folder,
  };
}
