// npm run version:set -- X.Y.Z: writes the version everywhere it stands, and gives the changelog's unreleased part its heading.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VERSION, withVersion } from './supply/versions.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const given = process.argv.slice(2);
const [version] = given;
if (version === undefined || given.length > 1 || !VERSION.test(version)) {
  console.error(`usage: npm run version:set -- X.Y.Z   (a version such as 1.2.3 or 1.3.0-beta.1, without "v"; received ${given.join(' ') || 'none'})`);
  process.exit(2);
}
for (const [file, text] of Object.entries(withVersion(root, version))) writeFileSync(join(root, file), text);

const file = join(root, 'CHANGELOG.md');
const changelog = readFileSync(file, 'utf8');
if (changelog.includes(`\n## ${version} `)) {
  console.log(`CHANGELOG.md has a section for ${version} already; it was left as it is.`);
} else if (!/^## Unreleased\n\n*(?!## |\s*$)/m.test(changelog)) {
  // As after a second choice of version: an empty section would be released with no word of what is in it.
  console.log(`CHANGELOG.md has nothing under "## Unreleased", so it was left as it is: give its newest section the heading "## ${version} - ${new Date().toISOString().slice(0, 10)}" by hand.`);
} else {
  const today = new Date().toISOString().slice(0, 10);
  writeFileSync(file, changelog.replace(/^## Unreleased\n/m, `## Unreleased\n\n## ${version} - ${today}\n`));
}
console.log(`The version is ${version}. Look at CHANGELOG.md, commit, and tag the commit v${version} (docs/releasing.md).`);
