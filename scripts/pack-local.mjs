// npm run pack:local DIR: packs routepool and the package with this platform's binary as tarballs into DIR, as a release has them.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const [target] = process.argv.slice(2);
if (target === undefined) {
  console.error('usage: npm run pack:local DIR   (DIR: the folder that the tarballs are put into)');
  process.exit(2);
}
const destination = resolve(target);
const binary = readdirSync(root).find((name) => /^routepool\..+\.node$/.test(name));
if (binary === undefined || !existsSync(join(root, 'dist/index.js'))) {
  console.error('There is nothing to pack yet. Run npm run build first.');
  process.exit(1);
}
const platform = binary.slice('routepool.'.length, -'.node'.length);
const read = (file) => JSON.parse(readFileSync(file, 'utf8'));
const write = (file, value) => writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
const run = (command, args, cwd) => execFileSync(command, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8', shell: process.platform === 'win32' });

mkdirSync(destination, { recursive: true });
const folders = join(root, 'target/npm');
rmSync(folders, { recursive: true, force: true });
run('npx', ['--no-install', 'napi', 'create-npm-dirs', '--npm-dir', 'target/npm'], root);

// The binary's package: the loader compares the size, since a file that is cut short ends the process when it is loaded.
const own = join(folders, platform);
cpSync(join(root, binary), join(own, binary));
cpSync(join(root, 'LICENSE'), join(own, 'LICENSE'));
writeFileSync(join(own, 'README.md'), `The binary of [routepool](https://www.npmjs.com/package/routepool) for ${platform}.\n`);
write(join(own, 'package.json'), { ...read(join(own, 'package.json')), bytes: statSync(join(own, binary)).size });

// routepool itself: nothing to build or to run when it is installed, and every platform's package optional.
const staged = join(root, 'target/pack');
rmSync(staged, { recursive: true, force: true });
mkdirSync(staged, { recursive: true });
const { scripts: _scripts, devDependencies: _dev, overrides: _overrides, ...manifest } = read(join(root, 'package.json'));
const names = readdirSync(folders).map((folder) => read(join(folders, folder, 'package.json')).name);
write(join(staged, 'package.json'), {
  ...manifest,
  optionalDependencies: Object.fromEntries(names.toSorted().map((name) => [name, manifest.version])),
});
for (const name of [...manifest.files, 'README.md', 'LICENSE']) {
  if (!name.startsWith('!')) cpSync(join(root, name), join(staged, name), { recursive: true });
}
for (const folder of [own, staged]) {
  const [packed] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', destination], folder));
  const kib = (bytes) => `${Math.round(bytes / 1024)} KiB`;
  console.log(`${join(target, packed.filename)}  ${kib(packed.size)}, unpacked ${kib(packed.unpackedSize)}, ${packed.entryCount} files`);
}
