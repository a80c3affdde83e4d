// Runs every example and every JavaScript block of the README: what the documentation shows must work.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

function run(title, args) {
  console.log(`\n$ ${title}`);
  const { status, signal } = spawnSync(process.execPath, args, { stdio: 'inherit', timeout: 60_000 });
  if (status !== 0) {
    console.error(`${title} failed (${signal ?? `exit code ${status}`})`);
    process.exit(1);
  }
}

for (const name of readdirSync(new URL('../examples', import.meta.url)).filter((file) => file.endsWith('.mjs'))) {
  run(`node examples/${name}`, [`examples/${name}`]);
}
const blocks = [...readFileSync('README.md', 'utf8').matchAll(/^```js\n(.*?)^```/gms)];
if (blocks.length === 0) throw new Error('the README has no JavaScript block any more: is its form another?');
blocks.forEach(([, code], i) => run(`README, block ${i + 1}`, ['--input-type=module', '-e', code]));
