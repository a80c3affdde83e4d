// Runs each benchmark once and small: whether they work, not what they show.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const BENCHES = [
  ['sweep'],
  ['pools'],
  ['interfaces'],
  ['nat'],
  ['stun-server'],
  ['gateway'],
  ['lanes'],
  ['silence'],
  ['pipes', '--portable'],
  ['connections'],
  ['import'],
];
for (const [name, ...args] of BENCHES) {
  console.log(`\n== ${name}`);
  const file = fileURLToPath(new URL(`${name}.mjs`, import.meta.url));
  const { status, signal } = spawnSync(process.execPath, [file, '--smoke', ...args], { stdio: 'inherit' });
  if (status !== 0) {
    console.error(`The benchmark ${name} ended with ${signal ?? `exit code ${status}`}.`);
    process.exit(1);
  }
}
