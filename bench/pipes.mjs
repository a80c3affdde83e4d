// Pipes against node:dgram and node:net: each row is run by all contenders in turn, in processes of their own, against
// the same peers, and compared inside each round.
// usage: node bench/pipes.mjs [--smoke] [--rounds N] [--scale X] [--only TEXT] [--portable]
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describeMachine, median, spread } from './harness.mjs';

const argv = process.argv.slice(2);
const option = (name, fallback) => (argv.includes(name) ? argv[argv.indexOf(name) + 1] : fallback);
const smoke = argv.includes('--smoke');
const rounds = Number(option('--rounds', smoke ? 1 : 7));
const only = option('--only', '');
const contenders = ['node', 'direct', ...(argv.includes('--portable') ? ['portable'] : [])];
const here = (file) => fileURLToPath(new URL(`./pipes/${file}`, import.meta.url));
const scale = smoke ? 0.02 : Number(option('--scale', '1'));
const n = (count, least = 1) => Math.max(least, Math.round(count * scale));

/**
 * What is measured: the job, its sizes, and what is compared (per second: more is better; bytes, microseconds: less is
 * better).
 */
const rows = [
  {
    name: 'UDP ping-pong, 1 pipe',
    job: 'ping',
    args: { protocol: 'udp', pipes: 1, count: n(40_000) },
    unit: 'msg/s',
    tail: true,
  },
  {
    name: 'UDP ping-pong, 64 pipes',
    job: 'ping',
    args: { protocol: 'udp', pipes: 64, count: n(150_000) },
    unit: 'msg/s',
    tail: true,
  },
  {
    name: 'TCP ping-pong, 1 pipe',
    job: 'ping',
    args: { protocol: 'tcp', pipes: 1, count: n(40_000) },
    unit: 'msg/s',
    tail: true,
  },
  {
    name: 'TCP ping-pong, 64 pipes',
    job: 'ping',
    args: { protocol: 'tcp', pipes: 64, count: n(150_000) },
    unit: 'msg/s',
    tail: true,
  },
  {
    name: 'UDP ping-pong by await recv, 1 pipe',
    job: 'await',
    args: { protocol: 'udp', pipes: 1, count: n(40_000) },
    unit: 'msg/s',
  },
  {
    name: 'UDP send, 64 B',
    job: 'send',
    args: { protocol: 'udp', size: 64, count: n(300_000) },
    unit: 'msg/s',
    cpu: true,
  },
  {
    name: 'UDP send, 1,200 B',
    job: 'send',
    args: { protocol: 'udp', size: 1_200, count: n(300_000) },
    unit: 'msg/s',
    cpu: true,
  },
  {
    name: 'UDP receive, 64 B',
    job: 'receive',
    args: { protocol: 'udp', size: 64, count: n(300_000) },
    unit: 'msg/s',
    cpu: true,
  },
  {
    name: 'UDP receive, 1,200 B',
    job: 'receive',
    args: { protocol: 'udp', size: 1_200, count: n(300_000) },
    unit: 'msg/s',
    cpu: true,
  },
  {
    name: 'TCP send, 64 KB writes',
    job: 'send',
    args: { protocol: 'tcp', size: 65_536, count: n(20_000) },
    unit: 'MB/s',
  },
  { name: 'TCP receive', job: 'receive', args: { protocol: 'tcp', size: 65_536, count: n(20_000) }, unit: 'MB/s' },
  { name: 'TCP connects', job: 'connect', args: { count: n(8_000, 64), atOnce: 32 }, unit: '/s', cpu: true },
  { name: 'UDP opens', job: 'open', args: { count: n(20_000, 64) }, unit: '/s', cpu: true },
  {
    name: 'Memory per idle UDP pipe',
    job: 'idle',
    args: { protocol: 'udp', count: smoke ? 200 : n(10_000, 1_000) },
    unit: 'bytes',
    lessIsBetter: true,
  },
  {
    name: 'Memory per idle TCP pipe',
    job: 'idle',
    args: { protocol: 'tcp', count: smoke ? 200 : n(8_000, 1_000) },
    unit: 'bytes',
    lessIsBetter: true,
  },
  { name: 'TCP relay', job: 'relay', args: { protocol: 'tcp', size: 65_536, count: n(20_000) }, unit: 'MB/s' },
  { name: 'UDP relay ping-pong', job: 'relay-ping', args: { count: n(30_000) }, unit: 'msg/s', tail: true },
].filter((row) => row.name.toLowerCase().includes(only.toLowerCase()));

const peer = spawn(process.execPath, [here('peer.mjs')], { stdio: ['pipe', 'pipe', 'inherit'] });
const [ports] = await once(createInterface(peer.stdout), 'line');

function run(kind, row) {
  const args = [here('contender.mjs'), kind, row.job, JSON.stringify({ ...row.args, ports: JSON.parse(ports) })];
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', ...args], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  if (status !== 0) throw new Error(`${kind}: ${row.name} failed (${status}): ${stderr}${stdout}`);
  return JSON.parse(stdout);
}

console.log(
  `${describeMachine()}\n${rounds} rounds, each contender in turn; ratios are of one round, median [least-most]; above 1 routepool is ahead\n`,
);
const width = Math.max(...rows.map((row) => row.name.length));
for (const row of rows) {
  const results = Object.fromEntries(contenders.map((kind) => [kind, []]));
  for (let round = 0; round < rounds; round++) {
    // Each goes first in turn: what runs first finds a cooler machine.
    const order = contenders.map((_, i) => contenders[(i + round) % contenders.length]);
    for (const kind of order) results[kind].push(run(kind, row));
  }
  const base = results.node;
  const format = (value) => (value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(1));
  for (const kind of contenders.slice(1)) {
    const ratios = results[kind].map(({ value }, i) =>
      row.lessIsBetter ? base[i].value / value : value / base[i].value,
    );
    let line = `${row.name.padEnd(width)}  ${kind.padEnd(8)} ${spread(ratios).padEnd(20)} ${format(median(results[kind].map(({ value }) => value)))} against ${format(median(base.map(({ value }) => value)))} ${row.unit}`;
    if (row.tail) {
      const tails = ['p50', 'p99'].map(
        (tail) =>
          `${tail} ${median(results[kind].map((each) => each[tail])).toFixed(0)} against ${median(base.map((each) => each[tail])).toFixed(0)}`,
      );
      line += `; ${tails.join(', ')} µs`;
    }
    if (row.cpu)
      line += `; processor time ${spread(results[kind].map(({ cpu }, i) => base[i].cpu / cpu))}, ${median(results[kind].map(({ cpu }) => cpu)).toFixed(1)} against ${median(base.map(({ cpu }) => cpu)).toFixed(1)} µs`;
    console.log(line);
  }
}
peer.stdin.end();
await once(peer, 'close');
