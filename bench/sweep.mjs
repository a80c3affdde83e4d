// 65,536 sources of 127.16.0.0/16, in turn: the bare C loop, one node:dgram socket per IP, and routepool with each
// verdict delivered to JavaScript. Ratios are taken inside each round, then the median. See bench/README.md.
// usage: node bench/sweep.mjs [--rounds N] [--json] [--smoke]
import { parseArgs } from 'node:util';
import { buildCLoop, contender, describeMachine, median, run, spread } from './harness.mjs';

const { values } = parseArgs({
  options: { rounds: { type: 'string' }, json: { type: 'boolean' }, smoke: { type: 'boolean' } },
});
const rounds = values.smoke ? 1 : Number(values.rounds ?? 7);
const [base, length] = ['127.16.0.0', values.smoke ? 20 : 16];
const block = `${base}/${length}`;
const sources = 2 ** (32 - length);
const cLoop = buildCLoop();

const rates = {
  'bare C loop': [],
  'node:dgram, a socket per IP': [],
  'routepool, verdict objects': [],
  'routepool, packed batches': [],
};
const names = Object.keys(rates);
const cpu = Object.fromEntries(names.map((name) => [name, []]));
for (let round = 0; round < rounds; round++) {
  const results = [
    run(cLoop, [base, String(sources)]),
    // A sixteenth of the sources: the rate is the same, the wait is not.
    contender('naive', `${base}/${length + 4}`),
    contender('verdicts', block),
    contender('batches', block),
  ];
  results.forEach((result, i) => {
    const ok = result.answered ?? result.ok;
    if (ok !== result.sources) throw new Error(`${names[i]}: ${ok} of ${result.sources} answered`);
    rates[names[i]].push(result.sources / result.seconds);
    cpu[names[i]].push((result.cpuSeconds / result.sources) * 1e6);
  });
  if (!values.json) process.stderr.write(`round ${round + 1} of ${rounds}\r`);
}

const ratio = (name, to) => rates[name].map((rate, i) => rate / rates[to][i]);
if (values.json) {
  console.log(
    JSON.stringify({
      sources,
      rounds,
      rates,
      cpuMicros: cpu,
      toC: Object.fromEntries(names.map((n) => [n, median(ratio(n, names[0]))])),
    }),
  );
} else {
  console.log(`${sources} sources of ${block}, ${rounds} rounds\n${describeMachine()}\n`);
  console.log(
    '| contender | probes a second | × bare C loop | × node:dgram | µs of processor a probe |\n|---|---|---|---|---|',
  );
  for (const name of names) {
    const rate = Math.round(median(rates[name])).toLocaleString('en-US');
    console.log(
      `| ${name} | ${rate} | ${spread(ratio(name, names[0]))} | ${spread(ratio(name, names[1]))} | ${spread(cpu[name])} |`,
    );
  }
}
