// npm run sbom: what is inside each binary, as CycloneDX documents in target/sbom, one for each target. Binaries in
// target/release-binaries are described with their checksum; without them the documents say what would be inside.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { billOf } from './supply/bill.mjs';
import { fileOf, published } from './targets/list.mjs';

const folder = join('target', 'sbom');
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const target of published) {
  const binary = join('target', 'release-binaries', fileOf(target));
  const bill = billOf(target, version, existsSync(binary) ? binary : undefined);
  const file = join(folder, `routepool-${target}.cdx.json`);
  writeFileSync(file, `${JSON.stringify(bill, null, 2)}\n`);
  console.log(`${file}  ${bill.components.length} components`);
}
