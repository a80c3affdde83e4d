// npm run check:mutants: whether a test notices when a decision of crates/proto is broken on purpose. cargo-mutants
// changes one operator, branch or result at a time and runs the tests of the crate; what survives is listed, and is a
// failure unless .cargo/mutants.toml names it, with the reason.
//
// By default a sample, which CI has time for. It is drawn by a hash of what each mutant is and not of where it stands,
// so that a commit moves only the mutants of the code that it touches. The sweep is left out of it: what judges the
// sweep are its simulated networks, which take minutes and are skipped here.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { spawnSync } from 'node:child_process';
import { readArguments } from '../common/arguments.mjs';
import { has, run } from '../common/system.mjs';

const { values } = readArguments({
  usage: 'npm run check:mutants [-- [--all] [--files GLOB]… [--count N] [--seed TEXT] [--list]]',
  about: 'Breaks decisions of crates/proto on purpose, one at a time; fails if no test notices one.',
  options: {
    all: { type: 'boolean', default: false, about: 'each of some thousand, the sweep included: takes hours' },
    files: { type: 'string', multiple: true, about: 'each in these files, such as "crates/proto/src/stun/**"' },
    count: { type: 'string', default: '20', about: 'how many the sample has (20)' },
    seed: { type: 'string', default: '1', about: 'another text draws another sample (1)' },
    list: { type: 'boolean', default: false, about: 'prints them, and runs none' },
  },
});
const count = Number(values.count);
if (!Number.isInteger(count) || count < 1) {
  console.error(`expected a number of mutants from 1 for --count but received '${values.count}'`);
  process.exit(2);
}

const VERSION = '27.1.0';
const tools = resolve('target', 'tools');
let command = 'cargo-mutants';
if (!has(command)) {
  command = join(tools, 'bin', 'cargo-mutants');
  if (!existsSync(command)) {
    console.log(`mutants: cargo-mutants is not here; compiling ${VERSION} into target/tools takes some minutes`);
    run('cargo', ['install', 'cargo-mutants', '--locked', '--quiet', '--version', VERSION, '--root', tools]);
  }
}

const chosen = ['-p', 'routepool-proto', ...(values.files ?? []).flatMap((glob) => ['-f', glob])];
const all = JSON.parse(run(command, ['mutants', '--list', '--json', ...chosen]));
const whole = values.all || values.files !== undefined;
const mutants = whole ? all : sample(all.filter(({ file }) => !file.includes('/sweep')));
if (values.list) {
  for (const { name } of mutants) console.log(name);
  process.exit(0);
}

/** The first by a hash of what they are; the lines that they stand at change with each commit. */
function sample(from) {
  const times = new Map();
  const rank = ({ name, file }) => {
    const what = `${file}: ${name.replace(/^.*?:\d+:\d+: /, '')}`;
    const time = (times.get(what) ?? 0) + 1;
    times.set(what, time);
    return createHash('sha256').update(`${values.seed}\n${what}\n${time}`).digest('hex');
  };
  const ranked = from.map((mutant) => [rank(mutant), mutant]).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return ranked.slice(0, count).map(([, mutant]) => mutant);
}

// Copies of the tree are made beside the results: nothing is left in it, and nothing outside it.
const folder = resolve('target', 'mutants');
mkdirSync(join(folder, 'tmp'), { recursive: true });

/**
 * What makes cargo-mutants take these and no others: their names; and their lines, as a change that has just been made,
 * because cargo-mutants 27.1 takes each mutant that leaves out a field of a struct, whatever the names are.
 */
function only(some) {
  const escaped = some.map(({ name }) => name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  const diff = [...new Set(some.map(({ file }) => file))].map((file) => {
    const text = readFileSync(file, 'utf8').split('\n');
    const touched = some.filter((mutant) => mutant.file === file).map(({ span }) => span.start.line);
    const lines = [...new Set(touched)].toSorted((x, y) => x - y);
    const hunks = lines.map((line) => `@@ -${line} +${line} @@\n-\n+${text[line - 1]}\n`);
    return `--- a/${file}\n+++ b/${file}\n${hunks.join('')}`;
  });
  writeFileSync(join(folder, 'sample.diff'), diff.join(''));
  return ['--re', `^(${escaped.join('|')})$`, '--in-diff', join(folder, 'sample.diff')];
}

const environment = {
  TMPDIR: join(folder, 'tmp'),
  // Without debug information they are linked in half the time.
  CARGO_PROFILE_DEV_DEBUG: '0',
  // The same inputs each time: what is noticed by luck today would survive tomorrow.
  PROPTEST_CASES: '64',
  PROPTEST_RNG_SEED: '1',
};
const began = Date.now();
const { status, error } = spawnSync(
  command,
  [
    'mutants',
    ...chosen,
    ...(whole ? [] : only(mutants)),
    `--jobs=${Math.min(2, availableParallelism())}`,
    `--output=${folder}`,
    '--cargo-arg=--locked',
    // A mutant that never ends is one that is noticed; how long the tests take depends on who else is at work here.
    '--minimum-test-timeout=30',
    '--no-times',
    '--colors=never',
    '--',
    '--tests',
    '--',
    '--skip',
    'networks',
  ],
  { stdio: 'inherit', env: { ...process.env, ...environment } },
);
if (error) throw error;
rmSync(join(folder, 'tmp'), { recursive: true, force: true });
// cargo-mutants: 0 is all caught, 2 some not, 3 some ran out of time.
if (![0, 2, 3].includes(status)) {
  console.error(`mutants: cargo-mutants ended with ${status}; its logs are in target/mutants/mutants.out`);
  process.exit(1);
}
const names = (list) =>
  readFileSync(join(folder, 'mutants.out', `${list}.txt`), 'utf8')
    .split('\n')
    .filter((line) => line !== '');
const [caught, endless, missed, unviable] = ['caught', 'timeout', 'missed', 'unviable'].map(names);
const ran = caught.length + endless.length + missed.length;
console.log(
  `mutants: ${caught.length + endless.length} of ${ran} are noticed (${endless.length} never end), ` +
    `${unviable.length} do not compile; ${whole ? 'all' : `drawn from ${all.length}, seed ${values.seed}`}, ` +
    `${Math.round((Date.now() - began) / 1_000)} s`,
);
if (missed.length > 0) {
  console.error(
    `No test notices:\n${missed.map((name) => `  ${name}\n`).join('')}Write a test that does. Where nothing is decided, ` +
      'name it in .cargo/mutants.toml, with the reason.',
  );
  process.exit(1);
}
