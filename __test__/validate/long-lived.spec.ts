/** What a long-lived program needs of a run besides its verdicts. */
import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { validate, type ValidationRun } from '../../src/index.ts';
import { program } from '../helpers/program.ts';

const SWEEPS = `
  import { validate } from 'routepool';
  const { readdirSync, readFileSync } = await import('node:fs');
  const sweeps = () => readdirSync('/proc/self/task').filter((task) => {
    try { return readFileSync('/proc/self/task/' + task + '/comm', 'utf8').startsWith('routepool-sweep'); } catch { return false; }
  }).length;
  const turn = () => new Promise((resolve) => setTimeout(resolve, 5));`;

describe.runIf(process.platform === 'linux')('threads', () => {
  it('of a run that was dropped half-way end when it is collected', async () => {
    const text = `${SWEEPS}
      (() => { validate('127.16.0.0/16', { ratePerSecond: 10 }).on('progress', () => {}); })();
      await turn();
      if (sweeps() !== 1) throw new Error('no thread');
      const until = Date.now() + 5000;
      while (sweeps() > 0 && Date.now() < until) { globalThis.gc(); await turn(); }
      console.log(sweeps());`;
    expect(program(text, ['--expose-gc'])).toMatchObject({ status: 0, stdout: '0\n' });
  });

  it('have ended once a run is disposed of', async () => {
    const text = `${SWEEPS}
      const run = validate('127.16.0.0/16', { ratePerSecond: 10 });
      await run[Symbol.asyncDispose]();
      while (sweeps() > 0) await turn();
      console.log(sweeps(), (await run.summary()).stopped);`;
    expect(program(text)).toMatchObject({ status: 0, stdout: '0 true\n' });
  });

  it.each([0.1, 0.5, 0.9])('have ended after an abort at %f, and nothing more is asked', (share) => {
    const text = `${SWEEPS}
      const controller = new AbortController();
      const { signal } = controller;
      const run = validate('127.16.0.0/14', { signal });
      let seen = 0;
      const error = await (async () => { for await (const _ of run) if (++seen >= 262144 * ${share}) controller.abort(); })().catch((e) => e);
      while (sweeps() > 0) await turn();
      console.log(error.code, seen === Math.ceil(262144 * ${share}));`;
    expect(program(text)).toMatchObject({ status: 0, stdout: 'ABORT_ERR true\n' });
  });

  it('a collected awaiter is none: a summary alone is still waited for', async () => {
    const text = `
      import { validate } from 'routepool';
      validate('127.16.0.0/24', { ratePerSecond: 1000 }).summary().then((s) => console.log(s.sources));
      setInterval(() => globalThis.gc(), 5).unref();`;
    expect(program(text, ['--expose-gc'])).toMatchObject({ status: 0, stdout: '256\n' });
  });
});

describe('the signal', () => {
  it.each<[string, (run: ValidationRun) => Promise<unknown>]>([
    ['summary', (run) => run.summary()],
    [
      'a whole loop',
      async (run) => {
        for await (const _ of run);
      },
    ],
    [
      'a loop that is left',
      async (run) => {
        for await (const _ of run) break;
        await run.summary();
      },
    ],
    ['dispose', (run) => run[Symbol.asyncDispose]()],
  ])('has no listener left after %s', async (_name, use) => {
    const { signal } = new AbortController();
    await use(validate('127.16.0.0/22', { signal }));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('ends a loop at the very next verdict', async () => {
    const controller = new AbortController();
    let seen = 0;
    const loop = (async () => {
      for await (const _ of validate('127.16.0.0/20', { signal: controller.signal }))
        if (++seen === 100) controller.abort();
    })();
    await expect(loop).rejects.toMatchObject({ code: 'ABORT_ERR' });
    expect(seen).toBe(100);
  });
});

describe('the event loop', () => {
  it('has its turn while a reader slower than the sweep reads', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    for await (const _ of validate('127.16.0.0/16')) {
      const until = process.hrtime.bigint() + 20_000n;
      while (process.hrtime.bigint() < until);
    }
    clearInterval(timer);
    // 65,536 times 20 microseconds are 1.3 seconds; a batch takes some 20 ms.
    expect(turns).toBeGreaterThan(30);
  });
});

describe('a summary', () => {
  it('can be written as JSON', async () => {
    expect(
      JSON.parse(JSON.stringify(await validate('127.16.0.0/30', { seed: 2n ** 64n - 1n }).summary())),
    ).toMatchObject({ seed: '18446744073709551615' });
  });
});

describe('errors that come up later', () => {
  it('show the line that began the run', async () => {
    const run = validate('127.16.0.0/30', {
      servers: 'x.test',
      lookup: (_n, _o, done) => setImmediate(() => done(new Error('no'), [])),
    });
    const error: unknown = await run.summary().catch((caught: unknown) => caught);
    expect((error as Error).stack).toContain('long-lived.spec.ts');
  });

  it('a server given by an address of the other family is a wrong server', async () => {
    const error: unknown = await Promise.resolve()
      .then(() => validate('127.16.0.0/30', { servers: '[::1]:3478' }).summary())
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'ERR_ROUTEPOOL_SERVER', option: 'servers' });
  });
});
