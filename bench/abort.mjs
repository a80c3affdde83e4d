// How long it takes until work that is told to end has ended, and what 1,000 starts and aborts leave behind.
// npm run bench:abort [-- --against PATH/dist/index.js]: in a network namespace of its own, with a server that nobody
// is at; each kind of call is started, left alone for 10 ms and told to end. `stop` asks for what is known by then, so
// it waits for the native work; an abort rejects at once, and the native work ends after it.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { readArguments } from '../scripts/common/arguments.mjs';
import { describeMachine, median, run } from './harness.mjs';

const { values } = readArguments({
  usage: 'npm run bench:abort [-- --against PATH | --smoke]',
  about: 'Measures how soon work ends that is told to.',
  options: {
    against: { type: 'string', about: 'the dist/index.js of another build, measured in turn with this one' },
    smoke: { type: 'boolean', default: false, about: 'a few calls: whether it works' },
    measure: { type: 'string', about: 'measures one build, and prints JSON (used by the bench itself)' },
  },
});
const own = new URL('../dist/index.js', import.meta.url).href;

if (values.measure === undefined) {
  console.log(describeMachine());
  const builds = { new: own };
  if (values.against !== undefined) builds.old = pathToFileURL(values.against).href;
  for (const round of values.smoke ? [1] : [1, 2, 3]) {
    for (const [name, url] of Object.entries(builds)) {
      const user = process.getuid?.() === 0 ? [] : ['-U', '-r'];
      const found = run('unshare', [
        ...user,
        '-n',
        process.execPath,
        import.meta.filename,
        '--measure',
        url,
        ...(values.smoke ? ['--smoke'] : []),
      ]);
      for (const [kind, { medianMs, worstMs, left }] of Object.entries(found)) {
        console.log(`${round} ${name} ${kind}: median ${medianMs} ms, longest ${worstMs} ms; ${left}`);
      }
    }
  }
} else {
  for (const command of [
    'link set lo up',
    'link add c0 type veth peer name s0',
    'addr add 10.77.0.1/24 dev c0',
    'link set c0 up',
    'link set s0 up',
  ]) {
    const { status, stderr } = spawnSync('ip', command.split(' '), { encoding: 'utf8' });
    if (status !== 0) throw new Error(`ip ${command}: ${stderr}`);
  }
  const { Interface, UDP, pipeOpen, validate } = await import(values.measure);
  const servers = ['10.77.0.2:3478'];
  const nic = Interface.find('c0');
  const route = (await Interface.load('c0', { servers, timeoutMs: 20 })).rp[4].routes[0];
  const kinds = {
    'Interface.load, abort': (signal) => Interface.load('c0', { servers, signal }),
    'Route.observe, abort': (signal) => route.observe({ servers, signal }),
    'Interface.loadNat, abort': (signal) => nic.loadNat({ servers, signal }),
    'Interface.loadNat, stop': (stop) => nic.loadNat({ servers, stop }),
    'validate, stop': (stop) => {
      const sweep = validate(['10.77.0.1'], { servers });
      stop.addEventListener('abort', () => sweep.stop());
      return sweep.summary();
    },
    'pipe recv, abort': async (signal) => {
      const pipe = await pipeOpen(UDP, ['10.77.0.2', 9]);
      await pipe.recv({ signal }).finally(() => pipe.close());
    },
  };
  const count = () => {
    const threads = readdirSync('/proc/self/task').length;
    const memory = /VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return { threads, descriptors: readdirSync('/proc/self/fd').length, kib: Number(memory) };
  };
  const found = {};
  for (const [kind, start] of Object.entries(kinds)) {
    const times = [];
    const round = async () => {
      const controller = new AbortController();
      const call = start(controller.signal).catch((error) => {
        if (error.name !== 'AbortError') throw error;
      });
      await new Promise((resolve) => setTimeout(resolve, 10));
      const began = performance.now();
      controller.abort();
      await call;
      times.push(performance.now() - began);
    };
    const total = values.smoke ? 10 : 1_000;
    for (let n = 0; n < total / 10; n++) await round();
    const before = count();
    for (let n = 0; n < total / 20; n++) await Promise.all(Array.from({ length: 20 }, round));
    await new Promise((resolve) => setTimeout(resolve, 100));
    const after = count();
    const change = Object.keys(before).map((key) => `${key} ${before[key]} → ${after[key]}`);
    found[kind] = {
      medianMs: median(times).toFixed(2),
      worstMs: Math.max(...times).toFixed(1),
      left: change.join(', '),
    };
  }
  console.log(JSON.stringify(found));
  process.exit(0);
}
