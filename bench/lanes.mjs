// What a rate, a state and a server elsewhere cost: 2^20 sources, unlimited on loopback, with a rate that is never
// reached, with a state, and with a STUN server in another network namespace, each beside the bare C loop with as many
// threads. With --against FILE the other build of which that is the dist/index.js runs in turn with this one. Ratios
// are taken inside each round; processor time is that of the sweep's process, the embedded server in it.
// usage: node bench/lanes.mjs [--against FILE] [--rounds N] [--only TEXT] [--length 12] [--smoke]
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { buildCLoop, describeMachine, median, run, spread } from './harness.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    against: { type: 'string' },
    rounds: { type: 'string' },
    only: { type: 'string', default: '' },
    length: { type: 'string' },
    smoke: { type: 'boolean', default: false },
  },
});
const self = fileURLToPath(import.meta.url);
const own = fileURLToPath(new URL('../dist/index.js', import.meta.url));
const command = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const rounds = Number(values.rounds ?? (values.smoke ? 1 : 7));
const length = Number(values.length ?? (values.smoke ? 18 : 12));
const threads = availableParallelism();
const SERVER = '203.0.113.1';

/** In a process of its own: prints a line of JSON. */
async function sweep(index, block, options) {
  const { validate } = await import(pathToFileURL(index).href);
  const [began, before] = [process.hrtime.bigint(), process.cpuUsage()];
  const { sources, counts } = await validate(block, JSON.parse(options)).summary();
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const { user, system } = process.cpuUsage(before);
  const maxRssMiB = process.resourceUsage().maxRSS / 1024;
  console.log(JSON.stringify({ sources, ok: counts.ok, seconds, cpuSeconds: (user + system) / 1e6, maxRssMiB }));
}

function must(program, ...args) {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error ?? stderr}`);
}

/** A server in a namespace at the other end of a virtual cable, and a block that is routed back. */
async function serverElsewhere(block) {
  const script = 'ip link set lo up && echo up && read line; exec "$@"';
  const serve = [command, 'stun-server', '--no-tcp', '--workers', String(threads), '--rate-per-prefix', '0', '--json'];
  const holder = ['-n', 'sh', '-c', script, 'sh', process.execPath, ...serve, SERVER];
  const child = spawn('unshare', holder, { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const inside = (...args) => must('nsenter', '-t', String(child.pid), '-n', '--', ...args);
  must('ip', 'link', 'add', 'c0', 'type', 'veth', 'peer', 'name', 's0', 'netns', String(child.pid));
  must('ip', 'addr', 'add', '203.0.113.254/24', 'dev', 'c0');
  must('ip', 'link', 'set', 'c0', 'up');
  must('ip', 'route', 'add', 'local', block, 'dev', 'lo');
  inside('ip', 'addr', 'add', `${SERVER}/24`, 'dev', 's0');
  inside('ip', 'link', 'set', 's0', 'up');
  inside('ip', 'route', 'add', block, 'via', '203.0.113.254');
  child.stdin.end('go\n');
  await once(child.stdout, 'data');
  return child;
}

async function measure() {
  must('ip', 'link', 'set', 'lo', 'up');
  const cLoop = buildCLoop();
  const [loopback, routed] = [`127.32.0.0/${length}`, `10.32.0.0/${length}`];
  const folder = mkdtempSync(join(tmpdir(), 'routepool-lanes-'));
  const server = await serverElsewhere(routed);
  try {
    const count = String(2 ** (32 - length));
    const c = (block, ...rest) => ({ c: [block.split('/')[0], count, '64', '2048', ...rest] });
    const state = () => ({ state: join(mkdtempSync(join(folder, 's-')), 'state') });
    const named = { servers: SERVER };
    // A C prober of loopback has a responder of its own, so half as many are as many threads.
    const pairs = String(Math.max(1, threads >> 1));
    const rows = [
      ['loopback: bare C loop', loopback, c(loopback, pairs)],
      ['loopback', loopback, () => ({})],
      ['loopback, rate never reached', loopback, () => ({ ratePerSecond: 1e7 })],
      ['loopback, state', loopback, state],
      ['elsewhere: bare C loop', routed, c(routed, String(threads), SERVER, '3478')],
      ['elsewhere', routed, () => named],
      ['elsewhere, rate never reached and state', routed, () => ({ ...named, ...state(), ratePerSecond: 1e7 })],
    ].filter(([name]) => name.includes(values.only));
    const builds = { '': own, ...(values.against === undefined ? {} : { ', other build': resolve(values.against) }) };
    const contenders = rows.flatMap(([name, block, how]) =>
      how.c
        ? [{ name, of: name.split(/[:,]/)[0], once: () => run(cLoop, how.c) }]
        : Object.entries(builds).map(([suffix, index]) => ({
            name: name + suffix,
            of: name.split(/[:,]/)[0],
            once: () => run(process.execPath, [self, 'sweep', index, block, JSON.stringify(how())]),
          })),
    );
    for (const contender of contenders) contender.runs = [];
    for (let round = 0; round < rounds; round++) {
      for (const { name, once: go, runs } of round % 2 ? contenders.toReversed() : contenders) {
        const result = go();
        const ok = result.ok ?? result.answered;
        if (ok !== result.sources) throw new Error(`${name}: ${ok} of ${result.sources} answered`);
        runs.push(result);
      }
      process.stderr.write(`round ${round + 1} of ${rounds}\r`);
    }
    const rate = (result) => result.sources / result.seconds;
    const micros = (result) => (result.cpuSeconds / result.sources) * 1e6;
    console.log(`${count} sources, ${threads} threads, ${rounds} rounds\n${describeMachine()}\n`);
    console.log('| sweep | probes a second | × bare C loop | × the plain sweep | µs of processor a probe | MiB |');
    console.log('|---|---|---|---|---|---|');
    for (const { name, of, runs } of contenders) {
      const to = (other) => {
        const base = contenders.find((contender) => contender.name === other);
        return base === undefined ? '' : spread(runs.map((result, i) => rate(result) / rate(base.runs[i])));
      };
      const perSecond = Math.round(median(runs.map(rate))).toLocaleString('en-US');
      const memory = Math.max(...runs.map((result) => result.maxRssMiB ?? 0)).toFixed(0);
      const ratios = `${to(`${of}: bare C loop`)} | ${to(of)}`;
      console.log(`| ${name} | ${perSecond} | ${ratios} | ${spread(runs.map(micros))} | ${memory} |`);
    }
  } finally {
    server.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
}

const flags = process.getuid?.() === 0 ? ['-n'] : ['-U', '-r', '-n'];
if (positionals[0] === 'sweep') {
  await sweep(...positionals.slice(1));
} else if (positionals[0] === 'measure') {
  await measure();
} else if (spawnSync('unshare', [...flags, 'true']).status !== 0) {
  console.log('SKIPPED: no network namespaces here');
} else {
  const args = [...flags, process.execPath, self, 'measure', ...process.argv.slice(2)];
  process.exitCode = spawnSync('unshare', args, { stdio: 'inherit' }).status ?? 1;
}
