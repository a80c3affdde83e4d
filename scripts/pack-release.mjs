// npm run pack:release TAG: packs everything that a release publishes into target/release-packages, from the binaries in
// target/release-binaries. Refuses a set that is not whole: some binary missing, another version than the tag's, no changelog.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packPackages, read, root } from './pack-packages.mjs';
import { fileOf, published } from './targets/list.mjs';

const [tag] = process.argv.slice(2);
const { version } = read(join(root, 'package.json'));
const binaries = published.map((target) => join(root, 'target/release-binaries', fileOf(target)));
const notes = new RegExp(`^## ${version.replaceAll('.', '\\.')}\\b.*?\\n(.*?)(?=^## |$(?![^]))`, 'ms').exec(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'))?.[1];
const wrong = [
  ...(tag === `v${version}` ? [] : [`the tag is ${tag ?? 'missing'}, and package.json says ${version}: it should be v${version}`]),
  ...(notes?.trim() ? [] : [`CHANGELOG.md has no section "## ${version}"`]),
  ...binaries.filter((file) => !existsSync(file)).map((file) => `missing: ${file}`),
  ...(existsSync(join(root, 'dist/index.js')) ? [] : ['dist is not built: npm run build:ts']),
];
if (wrong.length > 0) {
  console.error(`Nothing was packed.\n  ${wrong.join('\n  ')}`);
  process.exit(1);
}
const folder = join(root, 'target/release-packages');
rmSync(folder, { recursive: true, force: true });
const packed = packPackages(binaries, folder);
writeFileSync(join(folder, 'notes.md'), notes.trim());
writeFileSync(
  join(folder, 'packages.json'),
  `${JSON.stringify(packed.map(({ name, filename, size, integrity }) => ({ name, version, filename, size, integrity })), null, 2)}\n`,
);
for (const { name, filename, size } of packed) console.log(`${name}  ${filename}  ${Math.round(size / 1_024)} KiB`);
