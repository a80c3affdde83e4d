// npm run pack:release -- TAG: packs everything that a release publishes into target/release-packages, from the
// binaries in target/release-binaries. Refuses a set that is not whole or does not fit together
// (scripts/release/supply/release-set.mjs).
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments } from '../common/arguments.mjs';
import { packPackages, root } from './pack-packages.mjs';
import { releaseSet } from './supply/release-set.mjs';

const { values, operands } = readArguments({
  usage: 'npm run pack:release -- vX.Y.Z [--binaries DIR] [--out DIR]',
  about:
    'Packs everything that the release of this tag publishes. Refuses a set that is not whole or does not fit together.',
  options: {
    binaries: {
      type: 'string',
      default: join(root, 'target/release-binaries'),
      about: 'where the binaries are (target/release-binaries)',
    },
    out: {
      type: 'string',
      default: join(root, 'target/release-packages'),
      about: 'where the tarballs are put; emptied first (target/release-packages)',
    },
  },
  operands: [1, 1],
});
const { version, notes, binaries, wrong } = releaseSet(root, values.binaries, operands[0]);
if (wrong.length > 0) {
  console.error(`Nothing was packed.\n  ${wrong.join('\n  ')}`);
  process.exit(1);
}
const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = process.env;
const repository = server && name ? `${server}/${name}` : undefined;
if (repository === undefined)
  console.log(
    'The packages name no repository, so npm takes them without provenance only: GITHUB_REPOSITORY is not set.',
  );
rmSync(values.out, { recursive: true, force: true });
const packed = packPackages(binaries, values.out, { repository });
writeFileSync(join(values.out, 'notes.md'), `${notes}\n`);
writeFileSync(
  join(values.out, 'packages.json'),
  `${JSON.stringify(
    packed.map(({ name, filename, size, integrity }) => ({ name, version, filename, size, integrity })),
    null,
    2,
  )}\n`,
);
for (const { name, filename, size } of packed) console.log(`${name}  ${filename}  ${Math.round(size / 1_024)} KiB`);
