// Packs routepool and the packages with its binaries as tarballs, as they are published.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { billOf } from './supply/bill.mjs';
import { contentsOf } from './supply/contents.mjs';
import { noticesOf } from './supply/notices.mjs';
import { fileOf, published } from '../build/targets/list.mjs';

/** The repository. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Reads a JSON file. */
export const read = (file) => JSON.parse(readFileSync(file, 'utf8'));
const write = (file, value) => writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
const run = (command, args, cwd) =>
  execFileSync(command, args, {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });

/** What the licences of the crates inside a binary ask for, and the list of those crates. */
const NOTICES = 'THIRD-PARTY-NOTICES.txt';
const BILL = 'bom.cdx.json';

/** The platform in the name of a binary: `linux-x64-gnu`. */
export const platformOf = (binary) => basename(binary).slice('routepool.'.length, -'.node'.length);

/**
 * Packs the package of each binary, and routepool itself, into a folder; gives what `npm pack` says of each.
 * `repository` is the URL that npm compares with the provenance of what is published; it stands in no file, so that a
 * fork's packages name the fork.
 */
export function packPackages(binaries, folder, { repository } = {}) {
  const origin = repository === undefined ? {} : { repository: { type: 'git', url: `git+${repository}.git` } };
  const destination = resolve(folder);
  mkdirSync(destination, { recursive: true });
  const folders = join(root, 'target/npm');
  rmSync(folders, { recursive: true, force: true });
  run('npx', ['--no-install', 'napi', 'create-npm-dirs', '--npm-dir', 'target/npm'], root);

  // A binary's package: the loader compares the contents, since a file that is damaged can end the process when it is
  // loaded.
  const packages = binaries.map((binary) => {
    const platform = platformOf(binary);
    const own = join(folders, platform);
    const file = join(own, basename(binary));
    cpSync(binary, file);
    cpSync(join(root, 'LICENSE'), join(own, 'LICENSE'));
    writeFileSync(
      join(own, 'README.md'),
      `The binary of [routepool](https://www.npmjs.com/package/routepool) for ${platform}.\n`,
    );
    const target = published.find((name) => fileOf(name) === basename(binary));
    const manifest = read(join(own, 'package.json'));
    write(join(own, 'package.json'), {
      ...manifest,
      ...origin,
      files: [...manifest.files, NOTICES, BILL],
      contents: contentsOf(file),
    });
    writeFileSync(join(own, NOTICES), noticesOf(target));
    write(join(own, BILL), billOf(target, manifest.version, file));
    return own;
  });

  // routepool itself: nothing to build or to run when it is installed, and every platform's package optional.
  const staged = join(root, 'target/pack');
  rmSync(staged, { recursive: true, force: true });
  mkdirSync(staged, { recursive: true });
  const {
    scripts: _scripts,
    devDependencies: _dev,
    overrides: _overrides,
    ...manifest
  } = read(join(root, 'package.json'));
  const names = readdirSync(folders).map((name) => read(join(folders, name, 'package.json')).name);
  write(join(staged, 'package.json'), {
    ...manifest,
    ...origin,
    optionalDependencies: Object.fromEntries(names.toSorted().map((name) => [name, manifest.version])),
  });
  for (const name of [...manifest.files, 'README.md', 'LICENSE']) {
    if (!name.startsWith('!')) cpSync(join(root, name), join(staged, name), { recursive: true });
  }
  // The binaries first: whoever gets routepool finds them there.
  return [...packages, staged].map((from) => {
    const [packed] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', destination], from));
    return packed;
  });
}
