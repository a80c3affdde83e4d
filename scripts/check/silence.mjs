// Whether a verdict is ever wrong in networks that lose packets by rate, place, time or flow: `npm run check:silence`.
// Each row of __test__/lab/silence-rows.ts is a client, a gateway with nftables rules and a server, in network
// namespaces; the test suite runs a part of them once. Prints a line for each row and exits with 1 if any verdict was
// wrong.
import { resolve } from 'node:path';
import { readArguments } from '../common/arguments.mjs';
import { loadLab } from '../common/lab.mjs';

const { values } = readArguments({
  usage: 'npm run check:silence [-- [--rows TEXT]… [--times N] [--command PATH] [--list] [--verbose]]',
  about: 'Validates in networks that lose packets in every other way than evenly; fails if a verdict is wrong.',
  options: {
    rows: { type: 'string', multiple: true, about: 'only rows with this text in their name; may be repeated' },
    times: { type: 'string', default: '10', about: 'how often each row is run (10)' },
    command: { type: 'string', about: 'the dist/cli/main.js that is judged, to compare with another build' },
    list: { type: 'boolean', default: false, about: 'prints the rows, and runs none' },
    verbose: { type: 'boolean', default: false, about: 'prints the first wrong verdicts of each run, and its notes' },
  },
});
const times = Number(values.times);
if (!Number.isInteger(times) || times < 1) {
  console.error(`expected a number of runs from 1 for --times but received '${values.times}'`);
  process.exit(2);
}
const { COMMAND, SILENCE_ROWS, runRow, whyNoNamespaces } = await loadLab('silence-lab');
const named = (row) => (values.rows ?? ['']).some((text) => `IPv${row.family} ${row.name}`.includes(text));
const rows = SILENCE_ROWS.filter(named);
if (rows.length === 0) {
  console.error(`no row has ${values.rows.join(' or ')} in its name; --list prints all`);
  process.exit(2);
}
if (values.list) {
  for (const row of rows) console.log(`IPv${row.family} ${row.name}: ${row.why}`);
  process.exit(0);
}
const why = whyNoNamespaces('nft');
if (why) {
  console.log(`SKIPPED: ${why}`);
  process.exit(0);
}
const command = values.command === undefined ? COMMAND : resolve(values.command);

const range = (list, digits) => {
  const [least, most] = [Math.min(...list), Math.max(...list)].map((value) => value.toFixed(digits));
  return least === most ? least : `${least}-${most}`;
};
// Down, not to the nearest: 100.0 means all.
const percents = (list) =>
  range(
    list.map((share) => Math.floor(share * 1_000) / 10),
    1,
  );
console.log(
  `| row | wrong | unknown | ok of the working, % | told of the dead, % | seconds | probes a source |
|---|---|---|---|---|---|---|`,
);
let bad = 0;
let poor = 0;
for (const row of rows) {
  const runs = [];
  const failures = [];
  for (let time = 0; time < times; time++) {
    try {
      runs.push(await runRow(row, command));
    } catch (error) {
      failures.push(error.message);
    }
  }
  const name = `IPv${row.family} ${row.name}`;
  bad += failures.length + runs.filter(({ wrong }) => wrong.length > 0).length;
  if (runs.length > 0) {
    const reasons = [...new Set(runs.flatMap(({ unknown }) => Object.keys(unknown)))];
    const unknowns = reasons
      .map(
        (reason) =>
          `${range(
            runs.map(({ unknown }) => unknown[reason] ?? 0),
            0,
          )} ${reason}`,
      )
      .join(', ');
    const cells = [
      range(
        runs.map(({ wrong }) => wrong.length),
        0,
      ),
      unknowns || '0',
      percents(runs.map(({ okShare }) => okShare)),
    ];
    cells.push(
      percents(runs.map(({ deadShare }) => deadShare)),
      range(
        runs.map(({ seconds }) => seconds),
        1,
      ),
      range(
        runs.map(({ probes }) => probes),
        1,
      ),
    );
    console.log(`| ${name} | ${cells.join(' | ')} |`);
    const few = runs.filter(({ okShare }) => okShare < row.found).length;
    poor += few;
    if (few > 0) console.log(`  ${few} of ${runs.length} runs found less than ${row.found * 100} % of the working`);
  }
  for (const failure of new Set(failures))
    console.log(
      `  ${name} ended with an error, ${failures.filter((other) => other === failure).length} times: ${failure}`,
    );
  if (values.verbose) {
    for (const { wrong, notes } of runs) for (const line of [...wrong.slice(0, 5), ...notes]) console.log(`  ${line}`);
  }
}
console.log(
  `${rows.length} rows, ${times} times each: ${bad} runs with a wrong verdict or an error, ${poor} that found too few`,
);
if (bad > 0) process.exit(1);
