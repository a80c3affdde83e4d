// How long it takes until work that is told to end has ended, and what 1,000 starts and aborts leave behind.
// npm run bench:abort [-- --against PATH/dist/index.js]: a server on loopback that never answers; each kind of call is
// started, left alone for 10 ms and told to end. `stop` asks for what is known by then, so it waits for the native
// work; an abort rejects at once, and the native work ends after it.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
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
      const found = run(process.execPath, [
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
  const { Interface, StunServer, UDP, pipeOpen, validate } = await import(values.measure);
  const silent = createSocket('udp4').bind(0, '127.0.0.1');
  await once(silent, 'listening');
  const servers = [`127.0.0.1:${silent.address().port}`];
  const lo = Interface.find('lo');
  const known = await StunServer.listen({ address: '127.0.0.1', port: 0 });
  const nic = await Interface.load('lo', { servers: [`127.0.0.1:${known.port}`] });
  const route = nic.route();
  const kinds = {
    'Interface.load, abort': (signal) => Interface.load('lo', { servers, signal }),
    'Route.observe, abort': (signal) => route.observe({ servers, signal }),
    'Interface.loadNat, abort': (signal) => lo.loadNat({ servers, signal }),
    'Interface.loadNat, stop': (stop) => lo.loadNat({ servers, stop }),
    'validate, stop': (stop) => {
      const sweep = validate(['127.16.0.0/24'], { servers });
      stop.addEventListener('abort', () => sweep.stop());
      return sweep.summary();
    },
    'pipe recv, abort': async (signal) => {
      await using pipe = await pipeOpen(UDP, ['127.0.0.1', silent.address().port]);
      await pipe.recv({ signal });
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
