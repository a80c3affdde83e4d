/** The runtime of the addon: its threads come with the first work that needs them, and nothing stays of what ended. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Namespace, whyNoNamespaces } from '../lab/namespaces.ts';
import type { Output } from '../lab/namespaces.ts';

const why = whyNoNamespaces();
if (why) console.log(`SKIPPED, the runtime: ${why}`);

/** A server that nobody is at, each kind of call to it, and what the process has. */
const KINDS = `
  import { once } from 'node:events';
  import { readdirSync, readFileSync } from 'node:fs';
  import { Interface, pipeOpen, UDP, validate } from 'routepool';
  const servers = ['10.77.0.2:3478'];
  const nic = Interface.find('c0');
  const route = (await Interface.load('c0', { servers, timeoutMs: 20 })).rp[4].routes[0];
  const kinds = {
    load: (signal) => Interface.load('c0', { servers, signal }),
    observe: (signal) => route.observe({ servers, signal }),
    nat: (signal) => nic.loadNat({ servers, signal }),
    natStopped: (stop) => nic.loadNat({ servers, stop }),
    validate: (signal) => validate(['10.77.0.1'], { servers, signal }).summary(),
    recv: async (signal) => {
      const pipe = await pipeOpen(UDP, null);
      await pipe.recv({ signal }).finally(() => pipe.close());
    },
  };
  const threads = () => readdirSync('/proc/self/task').map((task) => {
    try { return readFileSync('/proc/self/task/' + task + '/comm', 'utf8').trim(); } catch { return ''; }
  }).filter((name) => /^routepool/.test(name));
  const count = () => ({ threads: threads().length, descriptors: readdirSync('/proc/self/fd').length });
`;

const built = `'${new URL('../../dist/index.js', import.meta.url).href}'`;

describe.skipIf(why !== undefined)('the runtime', () => {
  let space: Namespace;
  beforeAll(async () => {
    space = await Namespace.create();
    space.batch([
      'link add c0 type veth peer name s0',
      'addr add 10.77.0.1/24 dev c0',
      'link set c0 up',
      'link set s0 up',
    ]);
  });
  afterAll(() => space.close());

  /** Runs an ES module given as text in the namespace. */
  const program = (text: string): Output =>
    space.try(process.execPath, '--input-type=module', '-e', text.replaceAll("'routepool'", built));

  it('has no thread before something needs it, and two then', () => {
    const { stdout, stderr } = program(`
      import { readdirSync, readFileSync } from 'node:fs';
      import { Interface, listInterfaces, pipeOpen, UDP } from 'routepool';
      const names = () => readdirSync('/proc/self/task').map((task) => readFileSync('/proc/self/task/' + task + '/comm', 'utf8').trim()).filter((name) => /^routepool/.test(name));
      listInterfaces();
      const pipe = await pipeOpen(UDP, null);
      const before = names();
      await Interface.load('c0', { servers: ['10.77.0.2'], timeoutMs: 50 });
      console.log(JSON.stringify([before, names()]));
      await pipe.close();`);
    expect([stdout, stderr]).toEqual([`${JSON.stringify([[], ['routepool', 'routepool']])}\n`, '']);
  });

  it('has nothing left of calls that were aborted', () => {
    const { stdout, stderr } = program(`${KINDS}
      const round = async (start) => {
        const controller = new AbortController();
        const call = start(controller.signal).catch((error) => { if (error.name !== 'AbortError') throw error; });
        await new Promise((resolve) => setTimeout(resolve, 2));
        controller.abort();
        await call;
      };
      for (const start of Object.values(kinds)) await round(start);
      const settled = async () => { for (let n = 0; n < 20; n++) await new Promise((resolve) => setTimeout(resolve, 10)); };
      await settled();
      const before = count();
      for (const start of Object.values(kinds)) {
        for (let n = 0; n < 5; n++) await Promise.all(Array.from({ length: 20 }, () => round(start)));
      }
      const began = Date.now();
      while ((count().descriptors > before.descriptors || count().threads > before.threads) && Date.now() < began + 10_000) await settled();
      const after = count();
      console.log(after.threads <= before.threads, after.descriptors <= before.descriptors);`);
    expect([stdout, stderr]).toEqual(['true true\n', '']);
  });

  it.each(['load', 'observe', 'nat', 'natStopped', 'validate', 'recv'])(
    'survives workers that are terminated in the middle of %s, and goes on for the others',
    (kind) => {
      const { stdout, stderr, status } = program(`${KINDS}
        import { Worker } from 'node:worker_threads';
        const code = ${JSON.stringify(KINDS)}
          + "; import { parentPort } from 'node:worker_threads'; for (let n = 0; n < 4; n++) kinds.${kind}(new AbortController().signal).catch(() => {}); setTimeout(() => parentPort.postMessage(0), 5); setInterval(() => {}, 1_000);";
        const url = new URL('data:text/javascript,' + encodeURIComponent(code));
        const own = kinds.${kind}(AbortSignal.timeout(60_000)).catch(() => {});
        for (let n = 0; n < 10; n++) {
          const worker = new Worker(url);
          await once(worker, 'message');
          await worker.terminate();
        }
        const after = await Interface.load('c0', { servers, timeoutMs: 50 });
        console.log(after.name);
        process.exit(0);`);
      expect([stdout, stderr, status]).toEqual(['c0\n', '', 0]);
    },
  );

  it.each(['load', 'observe', 'nat', 'validate', 'recv'])(
    'is no hindrance to process.exit() in the middle of %s',
    (kind) => {
      const { status, stderr } = program(`${KINDS}
      for (let n = 0; n < 10; n++) kinds.${kind}(new AbortController().signal).catch(() => {});
      setTimeout(() => process.exit(7), 20);`);
      expect([status, stderr]).toEqual([7, '']);
    },
  );

  it('is there again for a worker after it ended with another', () => {
    const { stdout, stderr } = program(`
      import { Worker } from 'node:worker_threads';
      import { once } from 'node:events';
      const code = "import('routepool').then(async ({ Interface }) => { await Interface.load('c0', { servers: ['10.77.0.2'], timeoutMs: 20 }); console.log('loaded'); })";
      for (let n = 0; n < 5; n++) await once(new Worker(code, { eval: true }), 'exit');`);
    expect([stdout, stderr]).toEqual(['loaded\n'.repeat(5), '']);
  });
});
