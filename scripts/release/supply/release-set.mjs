// Whether everything that a release needs is there and fits together.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { platformOf, read } from '../pack-packages.mjs';
import { fileOf, published } from '../../build/targets/list.mjs';
import { binaryFault } from './binary.mjs';
import { versionMismatches } from './versions.mjs';

/** The newest version of glibc 2 that a binary may need: that of Debian 8 and CentOS 7. */
const GLIBC_FLOOR = 17;

/** A version's section of the changelog, without its heading. */
export function notesOf(changelog, version) {
  const sections = changelog.split(/^## /m).slice(1);
  const own = sections.find((section) => section.split(/[\s]/, 1)[0].replaceAll(/[[\]]/g, '') === version);
  return own?.slice(own.indexOf('\n') + 1).trim() ?? '';
}

/**
 * Looks at the checkout in `root` and the binaries in `folder` for the release of a tag. Gives the version, the
 * changelog's notes, the files of the binaries, and in `wrong` a line for each thing that keeps it from being released.
 */
export function releaseSet(root, folder, tag) {
  const { version } = read(join(root, 'package.json'));
  const notes = notesOf(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'), version);
  const binaries = published.map((target) => join(folder, fileOf(target)));
  const faults = binaries.map((file) => {
    if (!existsSync(file)) return `missing: ${file}`;
    const fault = binaryFault(readFileSync(file), platformOf(file), GLIBC_FLOOR);
    return fault && `${file}: ${fault}`;
  });
  const wrong = [
    tag === `v${version}`
      ? undefined
      : `the tag is ${tag ?? 'missing'}, and package.json says ${version}: it should be v${version}`,
    ...versionMismatches(root, version),
    notes ? undefined : `CHANGELOG.md has no section "## ${version}", or nothing in it`,
    ...faults,
    existsSync(join(root, 'dist/index.js')) ? undefined : 'dist is not built: npm run build:ts',
  ].filter(Boolean);
  return { version, notes, binaries, wrong };
}
