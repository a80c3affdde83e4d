// npm run sbom [-- TARGET…]: what is inside each binary, as CycloneDX documents, one for each target. Binaries that are
// there are described with their checksum; without them the documents say what would be inside.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments } from '../common/arguments.mjs';
import { billOf } from './supply/bill.mjs';
import { fileOf, published } from '../build/targets/list.mjs';

const {
  values: { binaries, out },
  operands,
} = readArguments({
  usage: 'npm run sbom [-- [--binaries DIR] [--out DIR] [TARGET…]]',
  about: 'Writes what is inside each binary, as CycloneDX documents. Without a target: for all that are published.',
  options: {
    binaries: {
      type: 'string',
      default: join('target', 'release-binaries'),
      about: 'where the binaries are, for their checksums (target/release-binaries)',
    },
    out: { type: 'string', default: join('target', 'sbom'), about: 'where the documents are put (target/sbom)' },
  },
  operands: [0, published.length],
  oneOf: published,
});
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
mkdirSync(out, { recursive: true });
for (const target of operands.length > 0 ? operands : published) {
  const binary = join(binaries, fileOf(target));
  const bill = billOf(target, version, existsSync(binary) ? binary : undefined);
  const file = join(out, `routepool-${target}.cdx.json`);
  writeFileSync(file, `${JSON.stringify(bill, null, 2)}\n`);
  console.log(
    `${file}  ${bill.components.length} components${existsSync(binary) ? `, of ${binary}` : ', no binary: no checksum of it'}`,
  );
}
