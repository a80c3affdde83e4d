// Whether a validation that is killed and goes on from its state says what one says that was never killed: `npm run
// check:resume`. In each of five networks (RESUME_ROWS in __test__/lab/silence-rows.ts) a run is killed by SIGKILL at
// random moments, and the rest is run to its end.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { readArguments } from '../common/arguments.mjs';
import { loadLab } from '../common/lab.mjs';

const { values } = readArguments({
  usage: 'npm run check:resume [-- [--rows TEXT]… [--times N] [--seed N] [--command PATH]]',
  about:
    'Kills validations at random moments and lets them go on; fails if a verdict is another one than without the kill.',
  options: {
    rows: { type: 'string', multiple: true, about: 'only networks with this text in their name; may be repeated' },
    times: { type: 'string', default: '30', about: 'how many kills in each network (30)' },
    seed: { type: 'string', about: 'of the moments; another one each time unless given' },
    command: { type: 'string', about: 'the dist/cli/main.js that is judged, to compare with another build' },
  },
});
for (const name of ['times', 'seed']) {
  if (values[name] !== undefined && !/^[1-9]\d{0,8}$/.test(values[name])) {
    console.error(`expected a number from 1 for --${name} but received '${values[name]}'`);
    process.exit(2);
  }
}
const { COMMAND, RESUME_ROWS, SilenceLab, whyNoNamespaces } = await loadLab('silence-lab');
const rows = RESUME_ROWS.filter(({ name }) => (values.rows ?? ['']).some((text) => name.includes(text)));
if (rows.length === 0) {
  console.error(
    `no network has ${values.rows.join(' or ')} in its name: ${RESUME_ROWS.map(({ name }) => name).join(', ')}`,
  );
  process.exit(2);
}
const why = whyNoNamespaces('nft');
if (why) {
  console.log(`SKIPPED: ${why}`);
  process.exit(0);
}
const command = values.command === undefined ? COMMAND : resolve(values.command);
const seed = Number(values.seed ?? 1 + Math.floor(Math.random() * 999_999_999));
console.log(`seed ${seed}`);

/** Mulberry32: a number from 0 to 1, the same ones for the same seed. */
let state = seed;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

const folder = mkdtempSync(join(tmpdir(), 'routepool-resume-'));
let bad = 0;
/**
 * What is wrong with a run that went on, against the verdicts of one that was not killed and those told before the
 * kill.
 */
function contradictions({ wrong, verdicts }, whole, before) {
  const found = [...wrong];
  const now = new Map(verdicts.map((told) => [told.index, told]));
  for (const [what, list] of [
    ['without a kill', whole.verdicts],
    ['before the kill', before],
  ]) {
    for (const { ip, index, status } of list) {
      const told = now.get(index)?.status;
      // Chance may leave a source undecided that another run has decided, but not one that this run has called ok.
      const open = status === 'unknown' || (told === 'unknown' && !(list === before && status === 'ok'));
      if (!open && told !== status) found.push(`${ip} was ${status} ${what}, and is ${told}`);
    }
  }
  return found;
}

console.log(
  `| network | kills | after the end | contradictions | more unknown than without a kill | ok told before |
|---|---|---|---|---|---|`,
);
try {
  for (const row of rows) {
    const lab = await SilenceLab.create(row);
    try {
      const began = performance.now();
      const whole = await lab.run(command);
      const tookMs = performance.now() - began;
      const unknown = (verdicts) => verdicts.filter(({ status }) => status === 'unknown').length;
      const found = [...whole.wrong];
      const [times, more] = [Number(values.times), []];
      let [finished, told] = [0, 0];
      for (let time = 0; time < times; time++) {
        const file = join(folder, `${rows.indexOf(row)}-${time}.state`);
        const afterMs = random() * tookMs;
        const before = await lab.runAndKill(command, afterMs, '--state', file);
        if (before.length === whole.verdicts.length) finished++;
        told += before.filter(({ status }) => status === 'ok').length;
        const resumed = await lab.run(command, '--state', file);
        found.push(
          ...contradictions(resumed, whole, before).map((text) => `killed after ${Math.round(afterMs)} ms: ${text}`),
        );
        more.push(unknown(resumed.verdicts) - unknown(whole.verdicts));
      }
      const unknowns = `${Math.min(...more)} to ${Math.max(...more)}`;
      const cells = [row.name, times, finished, found.length, unknowns, `${Math.round(told / times)} a kill`];
      console.log(`| ${cells.join(' | ')} |`);
      for (const text of found.slice(0, 10)) console.log(`  ${text}`);
      bad += found.length;
    } finally {
      lab.close();
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
if (bad > 0) process.exit(1);
