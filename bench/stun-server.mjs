// Our STUN server against coturn's: the same sweep as load generator, the same two addresses and two ports, in turn.
// What is compared is replies per second of the server's own processor time: the generator runs on the same machine and
// is no part of it. usage: node bench/stun-server.mjs [--rounds N] [--smoke]
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createSocket } from 'node:dgram';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { validate } from '../dist/index.js';
import { describeMachine, median, spread } from './harness.mjs';

const { values } = parseArgs({ options: { rounds: { type: 'string' }, smoke: { type: 'boolean', default: false } } });
const rounds = Number(values.rounds ?? (values.smoke ? 1 : 5));
const block = values.smoke ? '127.16.0.0/18' : '127.16.0.0/14';
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'routepool-bench-'));
const PORT = 34_780;
const ADDRESSES = ['127.0.0.1', '127.0.0.2'];

if (process.platform !== 'linux') {
  console.log('SKIPPED: the processor time of a server is read from /proc');
  process.exit(0);
}
const coturn = spawnSync('turnserver', ['--version']).error === undefined;
if (!coturn) console.log('SKIPPED: coturn, since turnserver is not installed (coturn)');

const contenders = {
  'routepool, 1 thread': (port) => ours(port, 1),
  'coturn, 1 thread': coturn && ((port) => theirs(port, 1)),
  'routepool, 2 threads': (port) => ours(port, 2),
  'coturn, 2 threads': coturn && ((port) => theirs(port, 2)),
};

function ours(port, workers) {
  const args = [
    main,
    'stun-server',
    ...ADDRESSES,
    '--port',
    port,
    '--workers',
    workers,
    '--rate-per-prefix',
    0,
    '--quiet',
    '--no-tcp',
  ];
  return spawn(process.execPath, args.map(String), { stdio: 'ignore' });
}

function theirs(port, threads) {
  const own = [
    '-S',
    '-z',
    '--no-cli',
    '--no-tls',
    '--no-dtls',
    '--no-tcp',
    '--log-file',
    'stdout',
    '--no-stdout-log',
    '--pidfile',
    join(folder, 'pid'),
    '--userdb',
    join(folder, 'db'),
  ];
  const args = [
    '-n',
    ...own,
    ...ADDRESSES.flatMap((ip) => ['-L', ip]),
    '-p',
    port,
    '--alt-listening-port',
    port + 1,
    '-m',
    threads,
  ];
  return spawn('turnserver', args.map(String), { stdio: 'ignore', cwd: folder });
}

/** Asks until there is an answer; the server is up then. */
async function isUp(port, server) {
  const socket = createSocket('udp4');
  const request = Buffer.from('000100002112a442000102030405060708090a0b', 'hex');
  const again = setInterval(() => socket.send(request, port, ADDRESSES[0]), 50);
  try {
    const gone = once(server, 'exit').then(([code]) => Promise.reject(new Error(`the server ended with ${code}`)));
    await Promise.race([once(socket, 'message'), gone]);
  } finally {
    clearInterval(again);
    socket.close();
  }
}

/** Processor time of a process and its threads, in seconds. */
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  const TICKS = 100; // USER_HZ, the same on every Linux that Node runs on
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

async function measure(start, port) {
  const server = start(port);
  try {
    await isUp(port, server);
    const before = cpuSeconds(server.pid);
    const summary = await validate(block, { servers: `${ADDRESSES[0]}:${port}` }).summary();
    const cpu = cpuSeconds(server.pid) - before;
    if (!summary.allOk)
      throw new Error(`${summary.sources - summary.counts.ok} of ${summary.sources} sources got no answer`);
    const { received } = summary.traffic;
    return {
      perCore: received / Math.max(cpu, 0.01),
      perSecond: received / (summary.elapsedMs / 1_000),
      p99: summary.rttMs.p99,
      loss: summary.traffic.loss,
    };
  } finally {
    server.kill();
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
  }
}

const results = new Map();
let port = PORT;
try {
  for (let round = 0; round < rounds; round++) {
    for (const [name, start] of Object.entries(contenders)) {
      if (!start) continue;
      const result = await measure(start, port);
      results.set(name, [...(results.get(name) ?? []), result]);
      // A port of its own for each: no late answer of one is another's.
      port += 2;
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

const each = (name, key) => results.get(name).map((result) => result[key]);
const number = (value) => Math.round(value).toLocaleString('en-US');
console.log(describeMachine());
console.log('| server | replies per core-second | replies a second | p99 | loss |\n|---|---|---|---|---|');
for (const name of results.keys()) {
  const [perCore, perSecond, p99, loss] = ['perCore', 'perSecond', 'p99', 'loss'].map((key) => median(each(name, key)));
  console.log(
    `| ${name} | ${number(perCore)} | ${number(perSecond)} | ${p99.toFixed(2)} ms | ${(loss * 100).toFixed(1)} % |`,
  );
}
if (coturn) {
  for (const threads of ['1 thread', '2 threads']) {
    const ratios = (key) =>
      each(`routepool, ${threads}`, key).map((value, i) => value / each(`coturn, ${threads}`, key)[i]);
    console.log(
      `${threads}: replies per core-second ${spread(ratios('perCore'))} times coturn, replies a second ${spread(ratios('perSecond'))}, p99 ${spread(ratios('p99'))}`,
    );
  }
}
