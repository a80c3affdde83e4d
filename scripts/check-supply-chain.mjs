// Licences, sources and known vulnerabilities of what is inside: cargo deny with deny.toml, installed into target/tools if need be.
import { spawnSync } from 'node:child_process';
import { cargoTool } from './targets/cargo-tool.mjs';
import { run } from './targets/system.mjs';

const deny = cargoTool('cargo-deny', '0.18.5');
run(deny, ['check', 'licenses', 'bans', 'sources'], { inherit: true });
// The database of advisories is a repository on GitHub; without it the rest still counts.
const advisories = spawnSync(deny, ['check', 'advisories'], { encoding: 'utf8' });
const said = `${advisories.stdout}${advisories.stderr}`;
if (advisories.status === 0) console.log(said.trim());
else if (/failed to fetch advisory database|unable to (clone|fetch)|network|resolve host/i.test(said)) console.log('advisories: NOT CHECKED, their database cannot be reached from here');
else {
  console.error(said);
  process.exit(1);
}
