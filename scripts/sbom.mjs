// npm run sbom: what is inside each binary, as CycloneDX documents in target/sbom, one for each target.
import { mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cargoTool } from './targets/cargo-tool.mjs';
import { published } from './targets/list.mjs';
import { run } from './targets/system.mjs';

const cyclonedx = cargoTool('cargo-cyclonedx', '0.5.7');
const folder = join('target', 'sbom');
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const target of published) {
  const name = `routepool-${target}.cdx`;
  run(cyclonedx, ['cyclonedx', '--manifest-path', 'crates/binding/Cargo.toml', '--format', 'json', '--no-build-deps', '--target', target, '--override-filename', name]);
  const file = join(folder, `${name}.json`);
  // The tool writes one beside the manifest of each crate of the workspace; the addon's has all that is inside.
  renameSync(join('crates', 'binding', `${name}.json`), file);
  for (const crate of ['core', 'proto', 'testkit', 'udp']) rmSync(join('crates', crate, `${name}.json`), { force: true });
  const { bomFormat, components = [] } = JSON.parse(readFileSync(file, 'utf8'));
  if (bomFormat !== 'CycloneDX' || components.length === 0) throw new Error(`${file} lists nothing`);
  console.log(`${file}  ${components.length} components`);
}
