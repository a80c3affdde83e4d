/** The runtime of the addon: its threads come with the first work that needs them, and nothing is left of what ended. */
import { describe, expect, it } from 'vitest';
import { program } from '../helpers/program.ts';

const linux = process.platform === 'linux';

/** A server that never answers, each kind of call to it, and what the process has. */
const KINDS = `
  import { createSocket } from 'node:dgram';
  import { once } from 'node:events';
  import { readdirSync, readFileSync } from 'node:fs';
  import { Interface, pipeOpen, StunServer, UDP, validate } from 'routepool';
  const silent = createSocket('udp4').bind(0, '127.0.0.1').unref();
  await once(silent, 'listening');
  const servers = ['127.0.0.1:' + silent.address().port];
  const known = await StunServer.listen({ address: '127.0.0.1', port: 0 });
  const route = (await Interface.load('lo', { servers: ['127.0.0.1:' + known.port] })).route();
  await known.close();
  const kinds = {
    load: (signal) => Interface.load('lo', { servers, signal }),
    observe: (signal) => route.observe({ servers, signal }),
    nat: (signal) => Interface.find('lo').loadNat({ servers, signal }),
    natStopped: (stop) => Interface.find('lo').loadNat({ servers, stop }),
    validate: (signal) => validate(['127.16.0.0/24'], { servers, signal }).summary(),
    recv: async (signal) => { await using pipe = await pipeOpen(UDP, null); await pipe.recv({ signal }); },
  };
  const threads = () => readdirSync('/proc/self/task').map((task) => {
    try { return readFileSync('/proc/self/task/' + task + '/comm', 'utf8').trim(); } catch { return ''; }
  }).filter((name) => name.startsWith('routepool'));
  const count = () => ({ threads: threads().length, descriptors: readdirSync('/proc/self/fd').length });
`;

describe.skipIf(!linux)('the runtime', () => {
  it('has no thread before something needs it, and two then', () => {
    const { stdout, stderr } = program(`
      import { readdirSync, readFileSync } from 'node:fs';
      import { createSocket } from 'node:dgram';
      import { once } from 'node:events';
      import { Interface, listInterfaces, pipeOpen, UDP } from 'routepool';
      const names = () => readdirSync('/proc/self/task').map((task) => readFileSync('/proc/self/task/' + task + '/comm', 'utf8').trim()).filter((name) => name.startsWith('routepool'));
      listInterfaces();
      const pipe = await pipeOpen(UDP, null);
      const before = names();
      const silent = createSocket('udp4').bind(0, '127.0.0.1');
      await once(silent, 'listening');
      await Interface.load('lo', { servers: ['127.0.0.1:' + silent.address().port], timeoutMs: 50 });
      console.log(JSON.stringify([before, names()]));
      silent.close();
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
        const code = ${JSON.stringify(KINDS)}.replaceAll("'routepool'", JSON.stringify(import.meta.resolve('routepool')))
          + "; import { parentPort } from 'node:worker_threads'; for (let n = 0; n < 4; n++) kinds.${kind}(new AbortController().signal).catch(() => {}); setTimeout(() => parentPort.postMessage(0), 5); setInterval(() => {}, 1_000);";
        const url = new URL('data:text/javascript,' + encodeURIComponent(code));
        const own = kinds.${kind}(AbortSignal.timeout(60_000)).catch(() => {});
        for (let n = 0; n < 10; n++) {
          const worker = new Worker(url);
          await once(worker, 'message');
          await worker.terminate();
        }
        const after = await Interface.load('lo', { servers, timeoutMs: 50 });
        console.log(after.name);
        process.exit(0);`);
      expect([stdout, stderr, status]).toEqual(['lo\n', '', 0]);
    },
  );

  it.each(['load', 'observe', 'nat', 'validate', 'recv'])(
    'is no hindrance to process.exit() in the middle of %s',
    (kind) => {
      const { status, signal, stderr } = program(`${KINDS}
      for (let n = 0; n < 10; n++) kinds.${kind}(new AbortController().signal).catch(() => {});
      setTimeout(() => process.exit(7), 20);`);
      expect([status, signal, stderr]).toEqual([7, null, '']);
    },
  );

  it('is there again for a worker after it ended with another', () => {
    const { stdout, stderr } = program(`
      import { Worker } from 'node:worker_threads';
      import { once } from 'node:events';
      const code = "import(" + JSON.stringify(import.meta.resolve('routepool')) + ").then(async ({ Interface }) => { await Interface.load('lo', { servers: ['127.0.0.1:9'], timeoutMs: 20 }); console.log('loaded'); })";
      for (let n = 0; n < 5; n++) await once(new Worker(code, { eval: true }), 'exit');`);
    expect([stdout, stderr]).toEqual(['loaded\n'.repeat(5), '']);
  });
});
