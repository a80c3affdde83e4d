// Runs every example: what the documentation shows must work.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

for (const name of readdirSync(new URL('../examples', import.meta.url)).filter((file) => file.endsWith('.mjs'))) {
  console.log(`\n$ node examples/${name}`);
  const { status, signal } = spawnSync(process.execPath, [`examples/${name}`], { stdio: 'inherit', timeout: 60_000 });
  if (status !== 0) {
    console.error(`examples/${name} failed (${signal ?? `exit code ${status}`})`);
    process.exit(1);
  }
}
