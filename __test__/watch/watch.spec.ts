/** A watch as part of a program: what it does to its process, and how it ends. */
import { getEventListeners, once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { NetworkWatch, watch, type NetworkChange } from '../../src/index.ts';
import { netlinkSockets } from '../helpers/netlink.mjs';
import { program } from '../helpers/program.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a process', () => {
  it.each([
    ['that watches and does not look', "import { watch } from 'routepool'; watch();"],
    [
      "that leaves an unref'd watch with a listener",
      "import { watch } from 'routepool'; watch().unref().on('change', () => {});",
    ],
    [
      'that takes its listener away',
      "import { watch } from 'routepool'; const f = () => {}; watch().on('change', f).off('change', f);",
    ],
    [
      'that takes all listeners away',
      "import { watch } from 'routepool'; watch().on('address-added', () => {}).removeAllListeners();",
    ],
    [
      'that closes while it iterates',
      "import { watch } from 'routepool'; const w = watch(); setTimeout(() => w.close(), 20); for await (const _ of w);",
    ],
    [
      'that disposes of it',
      "import { watch } from 'routepool'; const w = watch(); w.on('change', () => {}); await w[Symbol.asyncDispose]();",
    ],
    [
      'that aborts',
      "import { watch } from 'routepool'; try { for await (const _ of watch({ signal: AbortSignal.timeout(20) })); } catch (e) { if (e.code !== 'ABORT_ERR') throw e; }",
    ],
    [
      'whose abort has only listeners',
      "import { watch } from 'routepool'; watch({ signal: AbortSignal.timeout(20) }).on('change', () => {});",
    ],
    [
      "whose unref'd watch waits for a name server",
      "import { watch } from 'routepool'; watch({ external: { servers: 'x.test', lookup: () => {} } }).unref().on('change', () => {});",
    ],
  ])('%s exits by itself', (_name, code) => {
    expect(program(code)).toMatchObject({ status: 0, signal: null, stderr: '' });
  });

  it.each([
    ['somebody iterates', '(async () => { for await (const _ of w); })();'],
    ['somebody listens', "w.on('default-changed', () => {});"],
    ['somebody listens after unref and ref', "w.unref().on('change', () => {}); w.ref();"],
  ])('is held while %s', (_name, use) => {
    // The timer does not hold it, so that it comes only if the watch does.
    const code = `import { watch } from 'routepool'; const w = watch(); ${use} setTimeout(() => { console.log('still here'); w.close(); }, 100).unref();`;
    expect(program(code)).toMatchObject({ status: 0, stdout: 'still here\n', stderr: '' });
  });

  it('survives workers that are terminated while they watch', () => {
    const { stdout, stderr, status } = program(`
      import { Worker } from 'node:worker_threads';
      import { once } from 'node:events';
      const code = "import { parentPort } from 'node:worker_threads'; import('routepool').then(async ({ watch }) => { const w = watch({ pollMs: 10 }); w.on('change', () => {}); parentPort.postMessage(1); for await (const _ of w); })";
      for (let i = 0; i < 20; i++) {
        const worker = new Worker(code, { eval: true });
        await once(worker, 'message');
        await worker.terminate();
      }
      console.log('done');`);
    expect([stdout, stderr, status]).toEqual(['done\n', '', 0]);
  });

  it.runIf(process.platform === 'linux')('has no socket left of a watch that was forgotten', () => {
    const text = `
      import { watch } from 'routepool';
      import { netlinkSockets } from ${JSON.stringify(new URL('../helpers/netlink.mjs', import.meta.url).href)};
      const turn = () => new Promise((resolve) => setTimeout(resolve, 1));
      (() => { watch(); watch().on('close', () => {}); const w = watch(); const f = () => {}; w.on('change', f); w.off('change', f); })();
      while (netlinkSockets() < 3) await turn();
      const until = Date.now() + 10000;
      while (netlinkSockets() > 0 && Date.now() < until) { globalThis.gc(); await turn(); }
      console.log(netlinkSockets());`;
    expect(program(text, ['--expose-gc'])).toMatchObject({ status: 0, stdout: '0\n', stderr: '' });
  });

  it('keeps a watch that somebody listens to, held or not', () => {
    const text = `
      import { watch } from 'routepool';
      const found = new FinalizationRegistry(() => { console.log('collected'); });
      (() => { const w = watch().unref(); found.register(w, 0); w.on('change', () => {}); })();
      for (let i = 0; i < 20; i++) { globalThis.gc(); await new Promise((resolve) => setTimeout(resolve, 1)); }
      console.log('end');`;
    expect(program(text, ['--expose-gc'])).toMatchObject({ status: 0, stdout: 'end\n', stderr: '' });
  });
});

describe.runIf(process.platform === 'linux')('sockets', () => {
  it('end with their watch', async () => {
    const all = Array.from({ length: 10 }, () => watch());
    while (netlinkSockets() < 10) await turn();
    for (const each of all) await each.close();
    while (netlinkSockets() > 0) await turn();
    expect(netlinkSockets()).toBe(0);
  });
});

describe('the end of a watch', () => {
  it('ends the loop, and is told once', async () => {
    const run = watch();
    let closes = 0;
    run.on('close', () => closes++);
    const loop = run[Symbol.asyncIterator]();
    const waiting = [loop.next(), loop.next()];
    await Promise.all([run.close(), run.close()]);
    expect(await Promise.all(waiting)).toEqual([
      { value: undefined, done: true },
      { value: undefined, done: true },
    ]);
    await turn();
    expect([closes, run.closed]).toEqual([1, true]);
    expect(await loop.next()).toEqual({ value: undefined, done: true });
  });

  it('comes when its loop is left', async () => {
    const run = watch();
    await run[Symbol.asyncIterator]().return?.();
    expect(run.closed).toBe(true);
  });

  it('rejects a loop after an abort, with the reason and the line that began it', async () => {
    const controller = new AbortController();
    const run = watch({ signal: controller.signal });
    const next = run[Symbol.asyncIterator]().next();
    controller.abort(new Error('enough'));
    const error: unknown = await next.catch((caught: unknown) => caught);
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: { message: 'enough' } });
    expect((error as Error).stack).toContain('watch.spec.ts');
  });

  it('is there from the start if it was aborted before', async () => {
    const run = watch({ signal: AbortSignal.abort() });
    await once(run, 'close');
    await expect(run[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'ABORT_ERR' });
  });

  it('leaves no listener at the signal', async () => {
    const { signal } = new AbortController();
    await watch({ signal }).close();
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('a watch', () => {
  it('feeds one loop', async () => {
    const run = watch();
    const loop = run[Symbol.asyncIterator]();
    expect(() => run[Symbol.asyncIterator]()).toThrow(expect.objectContaining({ code: 'ERR_ROUTEPOOL_MISUSE' }));
    await loop.return?.();
  });

  it('says how it learns of changes', async () => {
    const run = watch({ pollMs: 10 });
    expect(run).toBeInstanceOf(NetworkWatch);
    expect(run.counters()).toMatchObject({ method: 'polling', scans: expect.any(Number), externalChecks: 0 });
    while (run.counters().scans < 3) await turn();
    await run.close();
  });

  it('sends nothing unless it is asked to', async () => {
    const run = watch();
    const seen: NetworkChange[] = [];
    run.on('change', (change) => seen.push(change));
    await turn();
    expect([run.counters().externalChecks, seen]).toEqual([0, []]);
    await run.close();
  });

  it.each<[object, RegExp]>([
    [{ pollMs: 1 }, /a number from 10 to 86400000 for `pollMs` but received 1/],
    [{ interval: 5 }, /did you mean `pollMs`\?/],
    [{ external: 7 }, /a boolean or an object like \{ intervalMs: 20000 \} for `external` but received 7/],
    [
      { external: { intervalMs: 1_000 } },
      /at least 20000 with public servers .* for `external\.intervalMs` but received 1000/,
    ],
    [{ external: { servers: 'stun.l.google.com:19302', intervalMs: 1_000 } }, /at least 20000 with public servers/],
    [{ external: { servers: '192.0.2.1', intervalMs: 50 } }, /from 100 to 86400000/],
    [
      { external: { interfaces: 'eth0' } },
      /a list of names of interfaces for `external\.interfaces` but received 'eth0'/,
    ],
    [{ external: { servers: 'http://x' } }, /http/],
    [{ external: { stunServers: [] } }, /unknown option `stunServers`; did you mean `servers`\?/],
    [{ signal: 1 }, /an AbortSignal for `signal`/],
  ])('refuses %j at once', async (options, message) => {
    // Those of earlier tests have gone.
    while (netlinkSockets() > 0) await turn();
    expect(() => watch(options)).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(message),
        code: expect.stringMatching(/^ERR_ROUTEPOOL_(OPTION|SERVER)$/),
      }),
    );
    expect(netlinkSockets()).toBe(0);
  });
});
