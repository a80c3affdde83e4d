// What importing routepool costs over a script that imports nothing: medians of interleaved runs.
import { spawnSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';

const rounds = process.argv.includes('--smoke') ? 5 : 41;
const scripts = { empty: '', 'import routepool': "import 'routepool'" };
const times = Object.fromEntries(Object.keys(scripts).map((name) => [name, []]));
for (let round = 0; round < rounds; round++) {
  for (const [name, text] of Object.entries(scripts)) {
    const begin = performance.now();
    spawnSync(process.execPath, ['--input-type=module', '-e', text]);
    times[name].push(performance.now() - begin);
  }
}
const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];
const [empty, full] = Object.keys(scripts).map((name) => median(times[name]));
console.log(`an empty script ${empty.toFixed(1)} ms, one that imports routepool ${full.toFixed(1)} ms: ${(full - empty).toFixed(1)} ms more (medians of ${rounds})`);
