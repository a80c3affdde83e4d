// What silent sources cost: (a) a /16 through a gateway, with 300 dead and 40 translated sources, (b) 65,536 sources on
// loopback that all answer, (c) a million on loopback of which one in ten is dead: memory and time. With --against FILE
// the other build of which that is the dist/index.js runs in turn with this one, and ratios are taken inside each
// round.
// usage: node bench/silence.mjs [--against FILE] [--rounds N] [--only a,b,c] [--smoke]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { loadLab } from '../scripts/common/lab.mjs';
import { describeMachine, median, spread } from './harness.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    against: { type: 'string' },
    rounds: { type: 'string' },
    only: { type: 'string', default: 'a,b,c' },
    smoke: { type: 'boolean', default: false },
  },
});
const self = fileURLToPath(import.meta.url);
const own = fileURLToPath(new URL('../dist/index.js', import.meta.url));
const command = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
// What the build of --against calls the option, if not so.
const THEIR_OPTION = process.env.ROUTEPOOL_BENCH_OPTION ?? 'servers';

/**
 * In a process of its own: a verdict object for each source, as in million.mjs; without a block only the import. Prints
 * a line of JSON.
 */
async function measure(index, block, server) {
  const { validate } = await import(pathToFileURL(index).href);
  const option = index === own ? 'servers' : THEIR_OPTION;
  const options = server === undefined ? {} : { [option]: server };
  const counts = {};
  const began = process.hrtime.bigint();
  if (block !== undefined) {
    for await (const { status } of validate(block, options)) counts[status] = (counts[status] ?? 0) + 1;
  }
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const { user, system } = process.cpuUsage();
  console.log(
    JSON.stringify({
      counts,
      seconds,
      cpuSeconds: (user + system) / 1e6,
      maxRssMiB: process.resourceUsage().maxRSS / 1024,
    }),
  );
}

/** Runs `measure` in a namespace, or here without one. */
async function contender(space, ...args) {
  const whole = [process.execPath, self, 'measure', ...args];
  const child = space ? space.spawn(whole) : spawn(whole[0], whole.slice(1));
  let [text, errors] = ['', ''];
  child.stdout.on('data', (chunk) => (text += chunk));
  child.stderr.on('data', (chunk) => (errors += chunk));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${whole.join(' ')} failed (${code}): ${errors}`);
  return JSON.parse(text);
}

const builds = { this: own, ...(values.against === undefined ? {} : { other: resolve(values.against) }) };

/**
 * Each build in turn, `rounds` times; every other round in the other order, so that neither is always the one that runs
 * first.
 */
async function inTurn(rounds, space, ...args) {
  const runs = Object.fromEntries(Object.keys(builds).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const names = round % 2 === 0 ? Object.keys(builds) : Object.keys(builds).toReversed();
    for (const name of names) runs[name].push(await contender(space, builds[name], ...args));
  }
  return runs;
}

/** "this build 5.13 s, the other 4.90 s; this / other 1.05 [1.01-1.08]" */
function compare(runs, valueOf, text) {
  const lists = Object.values(runs).map((list) => list.map(valueOf));
  const [mine, others] = lists;
  if (others === undefined) return text(median(mine));
  const ratio = spread(mine.map((value, i) => value / others[i]));
  return `${text(median(mine))}, the other build ${text(median(others))}; this / other ${ratio}`;
}

const time = (run) => run.seconds;
const seconds = (value) => `${value.toFixed(2)} s`;
const counted = (runs) =>
  Object.entries(runs)
    .map(([name, list]) => `${name} ${JSON.stringify(list.at(-1).counts)}`)
    .join('; ');
/** Which rounds a figure is of. */
const rounds = (usual) => Number(values.rounds ?? (values.smoke ? 1 : usual));

/** 300 dead, 128 of them in a run, and 40 translated, 8 of them in a run; the rest are spread evenly. */
function truth(index) {
  if (index % 2_048 === 1_000 || (index >= 50_000 && index < 50_008)) return 'mapped';
  return index % 381 === 5 || (index >= 39_700 && index < 39_828) ? 'dead' : 'works';
}

async function gateway({ SERVERS, SilenceLab }) {
  const bits = values.smoke ? 12 : 16;
  const lab = await SilenceLab.create({ name: 'clean', why: '', family: 4, bits, truth, found: 1 });
  try {
    const runs = await inTurn(rounds(7), lab.client, `8.8.0.0/${32 - bits}`, SERVERS[4][0]);
    console.log(
      `(a) ${2 ** bits} sources through a gateway, some dead and translated: ${compare(runs, time, seconds)}
    ${counted(runs)}`,
    );
  } finally {
    lab.close();
  }
}

async function clean() {
  const runs = await inTurn(rounds(11), undefined, `127.16.0.0/${values.smoke ? 20 : 16}`);
  const sources = values.smoke ? 4_096 : 65_536;
  for (const { counts } of Object.values(runs).flat())
    if (counts.ok !== sources) throw new Error(`not every source was proven: ${JSON.stringify(counts)}`);
  const rate = (value) => `${Math.round(value).toLocaleString('en-US')} a second`;
  console.log(`(b) ${sources} sources that all answer: ${compare(runs, (run) => sources / run.seconds, rate)}`);
  console.log(`    by processor time, with the start of Node: ${compare(runs, (run) => run.cpuSeconds, seconds)}`);
}

async function million({ Namespace }) {
  const length = values.smoke ? 18 : 12;
  const space = await Namespace.create();
  try {
    space.filter(
      `table ip lab {
        chain early { type filter hook prerouting priority raw;
          ip saddr 127.32.0.0/12 udp dport 3478 jhash ip saddr mod 10 seed 0x7 == 0 drop
        }
      }`,
    );
    await space.start(
      [process.execPath, command, 'stun-server', '127.0.0.1', '--no-tcp', '--workers', '1', '--rate-per-prefix', '0'],
      /IPv4/,
    );
    const idle = await inTurn(1, space);
    const runs = await inTurn(rounds(1), space, `127.32.0.0/${length}`, '127.0.0.1');
    const most = (list) => Math.max(...list.map((run) => run.maxRssMiB));
    console.log(
      `(c) ${(2 ** (32 - length)).toLocaleString('en-US')} sources, one in ten dead: ${compare(runs, time, seconds)}
    ${counted(runs)}`,
    );
    for (const [name, list] of Object.entries(runs)) {
      const above = most(list) - most(idle[name]);
      console.log(
        `    largest memory, ${name}: ${most(list).toFixed(0)} MiB, ${above.toFixed(0)} above Node with the addon`,
      );
    }
  } finally {
    space.close();
  }
}

if (positionals[0] === 'measure') {
  await measure(...positionals.slice(1));
} else {
  const labs = await loadLab('silence-lab');
  const why = labs.whyNoNamespaces('nft');
  console.log(describeMachine());
  for (const [name, bench, inNamespaces] of [
    ['a', gateway, true],
    ['b', clean, false],
    ['c', million, true],
  ]) {
    if (!values.only.split(',').includes(name)) continue;
    if (inNamespaces && why) console.log(`(${name}) SKIPPED: ${why}`);
    else await bench(labs);
  }
}
