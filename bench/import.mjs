// What importing routepool costs over a script that imports nothing, and over one that imports a module with nothing in
// it: medians of interleaved runs. Once with the script in a file, as programs are, and once as `node -e`, where Node's
// own loader of files starts with the first import alone.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';

const rounds = process.argv.includes('--smoke') ? 5 : 41;
const folder = mkdtempSync(join(tmpdir(), 'routepool-import-'));
const file = (name, text) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
mkdirSync(join(folder, 'node_modules'));
symlinkSync(fileURLToPath(new URL('..', import.meta.url)), join(folder, 'node_modules/routepool'), 'junction');
file('nothing.mjs', '');
const texts = {
  'an empty script': '',
  'one that imports an empty module': "import './nothing.mjs'",
  'one that imports routepool': "import 'routepool'",
};
const names = Object.keys(texts);
const files = Object.values(texts).map((text, i) => file(`${i}.mjs`, text));
const ways = { 'as a file': (i) => [files[i]], 'as node -e': (i) => ['--input-type=module', '-e', texts[names[i]]] };

try {
  for (const [way, argumentsOf] of Object.entries(ways)) {
    const times = names.map(() => []);
    for (let round = 0; round < rounds; round++) {
      for (const i of names.keys()) {
        const begin = performance.now();
        const { status, stderr } = spawnSync(process.execPath, argumentsOf(i), { cwd: folder, encoding: 'utf8' });
        if (status !== 0) throw new Error(stderr);
        times[i].push(performance.now() - begin);
      }
    }
    const medians = times.map((list) => list.toSorted((a, b) => a - b)[list.length >> 1]);
    const [empty] = medians;
    const figures = names.map(
      (name, i) =>
        `${name} ${medians[i].toFixed(1)} ms${i === 0 ? '' : ` (${medians[i] < empty ? '' : '+'}${(medians[i] - empty).toFixed(1)})`}`,
    );
    console.log(`${way}: ${figures.join(', ')}; Node ${process.version}, medians of ${rounds}`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
