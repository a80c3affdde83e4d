// npm run pack:local DIR: packs routepool and the package with this platform's binary as tarballs into DIR, as a
// release has them.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments } from '../common/arguments.mjs';
import { packPackages, root } from './pack-packages.mjs';

const {
  operands: [target],
} = readArguments({
  usage: 'npm run pack:local DIR',
  about: "Packs routepool and the package with this platform's binary as tarballs into DIR.",
  operands: [1, 1],
});
const binary = readdirSync(root).find((name) => /^routepool\..+\.node$/.test(name));
if (binary === undefined || !existsSync(join(root, 'dist/index.js'))) {
  console.error('There is nothing to pack yet. Run npm run build first.');
  process.exit(1);
}
for (const packed of packPackages([join(root, binary)], target)) {
  const kib = (bytes) => `${Math.round(bytes / 1024)} KiB`;
  console.log(
    `${join(target, packed.filename)}  ${kib(packed.size)}, unpacked ${kib(packed.unpackedSize)}, ${packed.entryCount} files`,
  );
}
