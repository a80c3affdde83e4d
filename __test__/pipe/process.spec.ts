/** What pipes do to their process: they hold it while they are open, and nothing else does. */
import { describe, expect, it } from 'vitest';
import { program } from '../helpers/program.ts';

const SERVERS = `
  import { createServer } from 'node:net';
  import { createSocket } from 'node:dgram';
  import { once } from 'node:events';
  import { pipeOpen, setPipeReader, TCP, UDP } from 'routepool';
  const tcp = createServer((s) => { s.on('error', () => {}); s.pipe(s); s.unref(); }).listen(0, '127.0.0.1').unref();
  const udp = createSocket('udp4').bind(0, '127.0.0.1').unref();
  udp.on('message', (m, r) => udp.send(m, r.port, r.address));
  await Promise.all([once(tcp, 'listening'), once(udp, 'listening')]);
  const toTcp = ['127.0.0.1', tcp.address().port], toUdp = ['127.0.0.1', udp.address().port];
`;

describe.each(['direct', 'portable'])('a process with pipes, %s,', (reader) => {
  const run = (code: string) => program(`${SERVERS}\nsetPipeReader('${reader}');\n${code}`);

  it.each([
    [
      "that are unref'd",
      'for (const p of await Promise.all([pipeOpen(TCP, toTcp), pipeOpen(UDP, toUdp), pipeOpen(UDP, null)])) p.unref();',
    ],
    [
      "that are unref'd, amid a recv",
      'const p = await pipeOpen(UDP, toUdp); p.recv(); p.recv({ timeoutMs: 60_000 }); p.unref();',
    ],
    [
      'that are closed',
      'for (const p of await Promise.all([pipeOpen(TCP, toTcp), pipeOpen(UDP, toUdp)])) await p.close();',
    ],
    [
      'that were ended by their peer',
      'const p = await pipeOpen(TCP, toTcp); await p.end(); while (await p.recv() !== null);',
    ],
    [
      'that were destroyed',
      'for (const p of await Promise.all([pipeOpen(TCP, toTcp), pipeOpen(UDP, toUdp)])) p.destroy();',
    ],
    ['that could not be opened', 'await pipeOpen(TCP, ["127.0.0.1", 1]).catch(() => {});'],
    [
      "that are relayed and unref'd",
      'const [a, b] = await Promise.all([pipeOpen(UDP, toUdp), pipeOpen(UDP, toUdp)]); a.relay(b); a.unref(); b.unref();',
    ],
  ])('%s exits by itself', (_name, code) => {
    expect(run(code)).toMatchObject({ status: 0, signal: null, stderr: '' });
  });

  it('is held by an open pipe until it is closed', () => {
    const { stdout } = run(
      "const p = await pipeOpen(UDP, toUdp); setTimeout(() => { console.log('still here'); p.close(); }, 50).unref();",
    );
    expect(stdout).toBe('still here\n');
  });

  it('is held by a relay until it is over', () => {
    const { stdout, stderr } = run(`
      const sink = createServer((s) => { let n = 0; s.on('data', (d) => (n += d.length)).on('end', () => { console.log(n); s.end(); }); }).listen(0, '127.0.0.1').unref();
      const source = createServer((s) => { s.unref(); setTimeout(() => s.end(Buffer.alloc(20_000)), 300).unref(); }).listen(0, '127.0.0.1').unref();
      await Promise.all([once(sink, 'listening'), once(source, 'listening')]);
      sink.on('connection', (s) => s.unref());
      const [a, b] = await Promise.all([source, sink].map((server) => pipeOpen(TCP, ['127.0.0.1', server.address().port])));
      console.log((await a.relay(b)).bytesForward);`);
    expect([stdout.trim().split('\n'), stderr]).toEqual([['20000', '20000'], '']);
  });

  it('is held by a ref again', () => {
    const { stdout } = run(
      "const p = await pipeOpen(UDP, toUdp); p.unref().unref().ref(); setTimeout(() => { console.log('still here'); p.close(); }, 50).unref();",
    );
    expect(stdout).toBe('still here\n');
  });

  it("an unref'd pipe still receives", () => {
    const { stdout } = run(
      "const p = (await pipeOpen(UDP, toUdp)).unref(); const hold = setInterval(() => {}, 1000); await p.send('x'); console.log(String(await p.recv())); clearInterval(hold);",
    );
    expect(stdout).toBe('x\n');
  });

  it('survives workers that are terminated amid traffic', () => {
    const worker = `
      const { pipeOpen, setPipeReader, TCP, UDP } = await import('routepool');
      const { parentPort, workerData: { toTcp, toUdp, reader } } = await import('node:worker_threads');
      setPipeReader(reader);
      let n = 0;
      const flows = Array.from({ length: 16 }, (_, i) => pipeOpen(i % 2 ? TCP : UDP, i % 2 ? toTcp : toUdp));
      for (const pipe of await Promise.all(flows)) {
        pipe.on('message', (data) => { if (++n === 200) parentPort.postMessage(n); void pipe.send(data); });
        void pipe.send('ball');
      }`;
    const { stdout, stderr, status } = run(`
      import { Worker } from 'node:worker_threads';
      for (let i = 0; i < 20; i++) {
        const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(worker)}.replaceAll("'routepool'", JSON.stringify(import.meta.resolve('routepool'))))), { workerData: { toTcp, toUdp, reader: '${reader}' } });
        await once(worker, 'message');
        await worker.terminate();
      }
      const p = await pipeOpen(UDP, toUdp); await p.send('after'); console.log(String(await p.recv())); await p.close();`);
    expect([stdout, stderr, status]).toEqual(['after\n', '', 0]);
  });

  it('has no descriptor left of a worker that has ended', () => {
    const { stdout, stderr } = run(`
      import { Worker } from 'node:worker_threads';
      import { readdirSync } from 'node:fs';
      const count = () => readdirSync('/proc/self/fd').length;
      const code = "const { workerData } = await import('node:worker_threads'); await import(workerData.url).then(async ({ pipeOpen, setPipeReader, UDP, TCP }) => { setPipeReader(workerData.reader); const p = await Promise.all([pipeOpen(TCP, workerData.toTcp), pipeOpen(UDP, null)]); for (const each of p) each.unref(); })";
      const start = async () => once(new Worker(code, { eval: true, workerData: { toTcp, url: import.meta.resolve('routepool'), reader: '${reader}' } }), 'exit');
      await start();
      const before = count();
      for (let i = 0; i < 10; i++) await start();
      // The portable reader's thread ends by itself a moment after its worker.
      while (count() > before) await new Promise((resolve) => setImmediate(resolve));
      console.log('none left');`);
    expect([stdout, stderr]).toEqual(['none left\n', '']);
  });
});
