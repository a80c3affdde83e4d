// npm run build:release -- TARGET: the binary of a target as it is published, into target/release-binaries. Run by the
// release workflow on a machine of that platform; the result is tried there, but for musl, which needs a Node of its
// own.
import { copyFileSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readArguments } from '../common/arguments.mjs';
import { build, check, smoke, SMOKE } from './targets/build.mjs';
import { fileOf, published } from './targets/list.mjs';
import { run } from '../common/system.mjs';

const {
  operands: [target],
} = readArguments({
  usage: 'npm run build:release -- TARGET',
  about: 'Builds the binary of a target as it is published, into target/release-binaries, and tries it.',
  operands: [1, 1],
  oneOf: published,
});
const into = resolve('target', 'release-binaries');
let addon = join(into, fileOf(target));
const musl = target.endsWith('-musl');
if (target.includes('-linux-')) {
  // zig links for any version of glibc, however new the one of this machine is, and for musl.
  run('rustup', ['target', 'add', target], { inherit: true });
  addon = build(target, { effort: 'full', into });
  console.log(`${addon}  ${check(target, addon)}`);
} else {
  run(
    'npx',
    [
      '--no-install',
      'napi',
      'build',
      '--platform',
      '--release',
      '--esm',
      '-p',
      'routepool',
      '-o',
      '.',
      '--js',
      'index.js',
      '--dts',
      'index.d.ts',
      '--target',
      target,
    ],
    { inherit: true, shell: process.platform === 'win32' },
  );
  mkdirSync(into, { recursive: true });
  copyFileSync(fileOf(target), addon);
}
run('npm', ['run', '-s', 'build:ts'], { inherit: true, shell: process.platform === 'win32' });
if (!musl) console.log(smoke(process.execPath, [SMOKE], addon));
