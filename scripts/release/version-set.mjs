// npm run version:set -- X.Y.Z: writes the version everywhere it stands, and gives the changelog's unreleased part its
// heading.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readArguments } from '../common/arguments.mjs';
import { isLower, VERSION, withVersion } from './supply/versions.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const {
  values: { force },
  operands: [version],
} = readArguments({
  usage: 'npm run version:set -- X.Y.Z [--force]',
  about: 'Writes the version everywhere it stands, and gives the unreleased part of CHANGELOG.md its heading.',
  options: { force: { type: 'boolean', default: false, about: 'also if it is lower than the one there' } },
  operands: [1, 1],
});
if (!VERSION.test(version)) {
  console.error(`expected a version such as 1.2.3 or 1.3.0-beta.1, without "v", but received ${version}`);
  process.exit(2);
}
const { version: before } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
if (isLower(version, before) && !force) {
  console.error(
    `${version} is lower than ${before}, which this is: npm and Cargo would take the older release for the newer. If it is meant, add --force.`,
  );
  process.exit(2);
}
for (const [file, text] of Object.entries(withVersion(root, version))) writeFileSync(join(root, file), text);

const file = join(root, 'CHANGELOG.md');
const changelog = readFileSync(file, 'utf8');
if (changelog.includes(`\n## ${version} `)) {
  console.log(`CHANGELOG.md has a section for ${version} already; it was left as it is.`);
} else if (!/^## Unreleased\n\n*(?!## |\s*$)/m.test(changelog)) {
  // As after a second choice of version: an empty section would be released with no word of what is in it.
  console.log(
    `CHANGELOG.md has nothing under "## Unreleased", so it was left as it is: give its newest section the heading "## ${version} - ${new Date().toISOString().slice(0, 10)}" by hand.`,
  );
} else {
  const today = new Date().toISOString().slice(0, 10);
  writeFileSync(file, changelog.replace(/^## Unreleased\n/m, `## Unreleased\n\n## ${version} - ${today}\n`));
}
console.log(
  `The version is ${version}. Look at CHANGELOG.md, commit, and tag the commit v${version} (docs/releasing.md).`,
);
