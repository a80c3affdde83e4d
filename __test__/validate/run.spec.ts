/** A run from start to end, and all the ways to leave it. */
import { spawnSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readdirSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { dgramStun } from '../helpers/dgram-stun.ts';
import { program } from '../helpers/program.ts';
import { StunServer, validate, type ValidationProgress, type Verdict } from '../../src/index.ts';

const BLOCK = '127.40.0.0/20';
const SIZE = 4_096;

describe('a run', () => {
  it('has a verdict for each source, once, and a summary', async () => {
    const seen = new Map<string, Verdict>();
    const run = validate(BLOCK, { seed: 7 });
    for await (const verdict of run) {
      expect(seen.has(verdict.ip)).toBe(false);
      seen.set(verdict.ip, verdict);
    }
    expect([...seen.values()].filter((v) => v.status !== 'ok' || v.portRewritten)).toEqual([]);
    const summary = await run.summary();
    expect([seen.size, summary.counts.ok, summary.allOk, summary.seed, summary.sources]).toEqual([
      SIZE,
      SIZE,
      true,
      7n,
      SIZE,
    ]);
    expect(summary.serverOrigin).toBe('embedded');
  });

  it('says of each source the port that a server of others has seen it ask from', async () => {
    const server = await dgramStun();
    const verdicts: Verdict[] = [];
    for await (const verdict of validate('127.40.32.0/24', { servers: server.address })) verdicts.push(verdict);
    server.close();
    const seen = verdicts.map(({ ip }) => [ip, 'ok', server.ports.get(ip)]);
    expect(verdicts.map((v) => [v.ip, v.status, v.status === 'ok' ? v.externalPort : undefined])).toEqual(seen);
    expect(seen.filter(([, , port]) => port === undefined)).toEqual([]);
  });

  it('repeats its order by its seed', async () => {
    const order = async (seed: number) => {
      const ips = [];
      // One socket per source at a low speed keeps answers in the order of the questions.
      for await (const { ip } of validate('127.41.0.0/26', { seed, ratePerSecond: 4_000 })) ips.push(ip);
      return ips.join();
    };
    const [first, again, other] = [await order(1), await order(1), await order(2)];
    expect(first).toBe(again);
    expect(first).not.toBe(other);
    expect(first.startsWith('127.41.0.0,127.41.0.1,127.41.0.2,')).toBe(false);
  });

  it('gives the proven sources as a pool', async () => {
    const pool = await validate(['127.42.0.0/22', '127.43.0.5-127.43.0.9'], { hosts: 'no-0-255' }).pool();
    const ips = [...pool].map((route) => route.ext());
    expect([pool.length, ips.length, pool.af]).toEqual([4 * 254 + 5, 4 * 254 + 5, 4]);
    const at = (k: number) => pool.at(k)?.ext();
    expect([at(0), at(254), at(-1), at(ips.length), at(-ips.length - 1)]).toEqual([
      '127.42.0.1',
      '127.42.1.1',
      '127.43.0.9',
      undefined,
      undefined,
    ]);
    for (const k of [0, 17, 500, 1_000, 1_020]) {
      expect(at(k)).toBe(ips[k]);
      expect(pool.at(k)?.local()).toBe(ips[k]);
      expect(pool.indexOf(ips[k] ?? '')).toBe(k);
    }
    expect([pool.has('127.42.1.7'), pool.has('127.42.1.0'), pool.has('10.0.0.1'), pool.has('x')]).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect(inspect(pool)).toContain('127.42.0.1-127.42.0.254, 127.42.1.1-127.42.1.254');
    expect(JSON.parse(JSON.stringify(pool))).toMatchObject({ af: 4, size: '1021' });
  });

  it('gives packed batches', async () => {
    let count = 0;
    for await (const batch of validate(BLOCK).batches()) {
      expect(batch.length).toBeGreaterThan(0);
      for (let i = 0; i < batch.length; i++) if (batch.status(i) === 'ok') count++;
    }
    expect(count).toBe(SIZE);
  });

  it.each([
    ['one', (ports: number) => ports === 1, 'no sentence about sockets'],
    ['per-source', (ports: number) => ports > 200, 'One socket was opened for each source'],
  ] as const)('works with the sockets %s, as a server sees by their ports', async (sockets, isRight, note) => {
    const server = await dgramStun();
    const { counts, notes } = await validate('127.44.0.0/24', { sockets, servers: server.address }).summary();
    server.close();
    // The first question is another one: whether the server is there at all.
    const ports = [...server.ports].filter(([ip]) => ip.startsWith('127.44.0.')).map(([, port]) => port);
    expect([counts.ok, ports.length]).toEqual([256, 256]);
    const { size } = new Set(ports);
    expect(isRight(size), `${size} ports`).toBe(true);
    expect(notes.join().includes(note)).toBe(sockets === 'per-source');
  });

  it.runIf(process.platform === 'linux')(
    'works with a socket per source where there are few descriptors: that is nothing of an address',
    () => {
      const text =
        "import { validate } from 'routepool'; console.log((await validate('127.44.4.0/23', { sockets: 'per-source' }).summary()).counts.ok);";
      const node = [
        'sh',
        '-c',
        'ulimit -n 40; exec "$@"',
        'sh',
        process.execPath,
        '--input-type=module',
        '-e',
        text,
      ] as const;
      const { stdout, stderr } = spawnSync('env', node, { encoding: 'utf8' });
      expect([stdout, stderr]).toEqual(['512\n', '']);
    },
  );

  it('tells its progress at most four times a second, and once at the end', async () => {
    const events: (ValidationProgress & { at: number })[] = [];
    const run = validate('127.45.0.0/22', { ratePerSecond: 1_000 });
    run.on('progress', (progress) => events.push({ ...progress, at: performance.now() }));
    await run.summary();
    expect(events.length).toBeGreaterThanOrEqual(3);
    const gaps = events.slice(1, -1).map((event, i) => event.at - (events[i]?.at ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThan(200);
    const last = events.at(-1);
    expect([last?.done, last?.total, last?.ok, last?.notOk, last?.phase]).toEqual([1_024, 1_024, 1_024, 0, 'done']);
    for (const { ratePerSecond } of events.slice(1)) expect(ratePerSecond).toBeLessThan(1_300);
  });

  it('waits for a slow loop and loses nothing', async () => {
    const run = validate('127.46.0.0/16');
    const told: number[] = [];
    run.on('progress', ({ done }) => told.push(done));
    // Verdicts that are found, and wait: 16,384 in the ring, a batch at each end of it, those in flight.
    const most = 16_384 + 2 * 1_024 + 4_096;
    let count = 0;
    for await (const batch of run.batches()) {
      if (count === 0) {
        // Ahead of a loop that does not go on, the sweep stands still: nothing more is done from one look to the next.
        while (told.length < 3 || told.at(-1) !== told.at(-2)) await new Promise((resolve) => setTimeout(resolve, 20));
        expect(told.at(-1)).toBeGreaterThan(1_024);
        expect(told.at(-1)).toBeLessThan(most);
      }
      count += batch.length;
    }
    expect(count).toBe(65_536);
  });

  it('asks servers by name, resolved once by the given lookup', async () => {
    const server = StunServer.listen();
    const asked: string[] = [];
    const summary = await validate('127.47.0.0/24', {
      servers: `stun.example.test:${server.port}`,
      lookup: (name, options, callback) => {
        asked.push(`${name} ${options.family} ${options.all}`);
        callback(null, [{ address: '127.0.0.1', family: 4 }]);
      },
    }).summary();
    expect([asked, summary.allOk, summary.serverOrigin]).toEqual([['stun.example.test 4 true'], true, 'named']);
    expect(summary.servers).toEqual([
      { name: `stun.example.test:${server.port}`, address: '127.0.0.1', port: server.port },
    ]);
    await server.close();
  });

  it('says that a server on this machine proves nothing about the network', async () => {
    const server = StunServer.listen();
    const { notes } = await validate('127.47.0.0/28', { servers: `127.0.0.1:${server.port}` }).summary();
    await server.close();
    for (const each of [notes, (await validate('127.47.0.0/28').summary()).notes]) {
      expect(each).toEqual([
        expect.stringMatching(/^The server was inside this machine.* nothing about the network beyond/),
      ]);
    }
  });

  it('says which name does not resolve', async () => {
    const run = validate('127.47.0.0/24', {
      servers: 'nowhere.test',
      lookup: (_name, _options, callback) =>
        callback(Object.assign(new Error('getaddrinfo ENOTFOUND nowhere.test'), { code: 'ENOTFOUND' }), []),
    });
    await expect(run.summary()).rejects.toMatchObject({
      code: 'ERR_ROUTEPOOL_RESOLVE',
      option: 'servers',
      cause: { code: 'ENOTFOUND' },
    });
    await expect(run.summary()).rejects.toThrow("'nowhere.test' could not be resolved");
  });
});

describe('leaving a run', () => {
  it.each([0.1, 0.5, 0.9])('breaking out at %f stops the sweep', async (share) => {
    // So large that the sweep, which is ahead by what is held for a slow loop at most, has not ended at nine tenths.
    const run = validate('127.48.0.0/14');
    let count = 0;
    for await (const _ of run) if (++count >= 262_144 * share) break;
    const summary = await run.summary();
    expect([summary.stopped, summary.untested > 0, summary.counts.ok >= count]).toEqual([true, true, true]);
  });

  it.each([0.1, 0.5, 0.9])('aborting at %f rejects loop and summary with the reason', async (share) => {
    const controller = new AbortController();
    const run = validate('127.49.0.0/16', { signal: controller.signal });
    const reason = new Error('enough');
    let count = 0;
    const loop = (async () => {
      for await (const _ of run) if (++count >= 65_536 * share) controller.abort(reason);
    })();
    await expect(loop).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: reason });
    await expect(run.summary()).rejects.toMatchObject({ code: 'ABORT_ERR' });
  });

  it('aborting after the end changes nothing', async () => {
    const controller = new AbortController();
    const run = validate('127.0.0.0/28', { signal: controller.signal });
    const loop = run.batches();
    while (!(await loop.next()).done);
    const summary = await run.summary();
    controller.abort();
    expect(await run.summary()).toBe(summary);
    expect([(await run.pool()).length, (await loop.next()).done]).toEqual([16, true]);
    const failing = new AbortController();
    const failed = validate('127.0.0.0/28', { interface: 'no-such0', signal: failing.signal });
    await expect(failed.summary()).rejects.toMatchObject({ option: 'interface' });
    failing.abort();
    await expect(failed.summary()).rejects.toMatchObject({ option: 'interface' });
  });

  it('a signal that is aborted already throws, and a used one keeps no listener', async () => {
    expect(() => validate(BLOCK, { signal: AbortSignal.abort() })).toThrowError(
      expect.objectContaining({ code: 'ABORT_ERR' }),
    );
    const controller = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = AbortSignal.prototype;
    Object.assign(controller.signal, {
      addEventListener: (...args: Parameters<typeof addEventListener>) => (
        listeners++,
        addEventListener.apply(controller.signal, args)
      ),
      removeEventListener: (...args: Parameters<typeof removeEventListener>) => (
        listeners--,
        removeEventListener.apply(controller.signal, args)
      ),
    });
    await validate('127.0.0.0/28', { signal: controller.signal }).summary();
    expect(listeners).toBe(0);
  });

  it('stop() ends it with a partial result', async () => {
    const run = validate('127.50.0.0/16', { ratePerSecond: 2_000 });
    run.once('progress', () => run.stop());
    const summary = await run.summary();
    expect([summary.stopped, summary.untested > 60_000]).toEqual([true, true]);
  });

  it('aborting or stopping ends it also while a name lookup does not return', async () => {
    const options = { servers: 'x.example:1', lookup: () => undefined };
    const reason = new Error('enough');
    const controller = new AbortController();
    const aborted = validate('127.16.0.0/24', { ...options, signal: controller.signal });
    const [summary, loop] = [aborted.summary(), aborted.batches().next()];
    controller.abort(reason);
    for (const end of [summary, loop]) await expect(end).rejects.toMatchObject({ code: 'ABORT_ERR', cause: reason });
    const stopped = validate('127.16.0.0/24', options);
    const verdicts = (async () => {
      for await (const _ of stopped) expect.unreachable();
    })();
    stopped.stop();
    await verdicts;
    expect(await stopped.summary()).toMatchObject({
      stopped: true,
      untested: 256,
      allOk: false,
      servers: [],
      notes: [expect.stringContaining('before the servers')],
    });
    expect((await stopped.pool()).length).toBe(0);
  });

  it('one run feeds one loop, and none after its verdicts were not kept', async () => {
    const run = validate('127.0.0.0/28');
    run.batches();
    expect(() => run[Symbol.asyncIterator]()).toThrowError(expect.objectContaining({ code: 'ERR_ROUTEPOOL_MISUSE' }));
    const other = validate('127.0.0.0/28');
    await other.summary();
    expect(() => other.batches()).toThrow('begin the loop first');
  });

  it('concurrent calls of next() get each verdict once', async () => {
    const iterator = validate('127.51.0.0/24')[Symbol.asyncIterator]();
    const results = await Promise.all(Array.from({ length: 260 }, () => iterator.next()));
    expect(new Set(results.flatMap((r) => (r.done ? [] : [r.value.ip]))).size).toBe(256);
    expect(results.filter((r) => r.done).length).toBe(4);
  });

  it('two at once do not disturb each other', async () => {
    const summaries = await Promise.all(
      ['127.52.0.0/17', '127.53.0.0/17', '127.54.0.0/20'].map((block) => validate(block).summary()),
    );
    expect(summaries.map((s) => s.counts.ok)).toEqual([32_768, 32_768, 4_096]);
  });

  it('a hundred runs leave no descriptor, no thread and no memory behind', () => {
    const text = `
      import { validate } from 'routepool';
      import { readdirSync } from 'node:fs';
      const open = () => readdirSync('/proc/self/fd').length + readdirSync('/proc/self/task').length;
      const memory = () => (globalThis.gc(), process.memoryUsage.rss());
      const once = async (i) => { for await (const _ of validate('127.55.0.0/20', { ratePerSecond: i % 2 ? 1e6 : undefined })); };
      for (let i = 0; i < 30; i++) await once(i);
      const [before, first] = [open(), memory()];
      for (let i = 0; i < 100; i++) await once(i);
      const last = memory();
      // The last thread may still be closing its sockets.
      while (open() > before) await new Promise((resolve) => setTimeout(resolve, 10));
      console.log(Math.round((last - first) / 2 ** 20));`;
    const { stdout, stderr, status } = program(text, ['--expose-gc']);
    expect([stderr, status]).toEqual(['', 0]);
    // One run's verdicts alone are 0.2 MiB; the allocators' own ups and downs are some 3.
    expect(Number(stdout)).toBeLessThan(12);
  });
});

describe('a saved state', () => {
  it('is gone on with, and refused for another block', async () => {
    const state = join(mkdtempSync(join(tmpdir(), 'routepool-')), 'state');
    const first = validate(BLOCK, { state, ratePerSecond: 5_000 });
    let count = 0;
    for await (const _ of first) if (++count === 700) break;
    const partial = await first.summary();
    const second = validate(BLOCK, { state });
    let resumed = 0;
    const ips = new Set<string>();
    for await (const verdict of second) {
      ips.add(verdict.ip);
      if (verdict.resumed) resumed++;
    }
    const summary = await second.summary();
    expect([ips.size, summary.allOk, summary.resumed, resumed]).toEqual([SIZE, true, true, partial.counts.ok]);
    expect(() => validate('127.40.16.0/20', { state })).toThrowError(
      expect.objectContaining({ code: 'ERR_ROUTEPOOL_STATE', option: 'state' }),
    );
    expect(() => validate(BLOCK, { state, servers: '127.0.0.1:3333' })).toThrow(
      'its `servers` is embedded, asked for was 127.0.0.1:3333',
    );
    expect(() => validate(BLOCK, { state, interface: 'lo' })).toThrow('its `interface` is not set, asked for was lo');
    expect(() => validate(BLOCK, { state: '/proc/nowhere/state' })).toThrowError(
      expect.objectContaining({ code: 'ERR_ROUTEPOOL_STATE' }),
    );
  });

  const place = () => join(mkdtempSync(join(tmpdir(), 'routepool-')), 'state');

  it('is used by one run at a time, also after it was aborted or never began', async () => {
    const state = place();
    const controller = new AbortController();
    const run = validate(BLOCK, { state, ratePerSecond: 1_000, signal: controller.signal });
    expect(() => validate(BLOCK, { state })).toThrow(`in use by another run (process ${process.pid})`);
    controller.abort();
    await run[Symbol.asyncDispose]();
    await expect(run.summary()).rejects.toMatchObject({ code: 'ABORT_ERR' });
    const unresolved = {
      state: place(),
      servers: 'x.test',
      lookup: (_n: string, _o: object, done: (error: Error, found: []) => void) => done(new Error('no'), []),
    };
    for (let i = 0; i < 2; i++)
      await expect(validate(BLOCK, unresolved).summary()).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_RESOLVE' });
    expect((await validate(BLOCK, { state }).summary()).allOk).toBe(true);
    expect(readdirSync(dirname(state))).toEqual(['state']);
  });

  it('is a regular file, or a link to one', async () => {
    const [pipe, link] = [place(), place()];
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    for (const state of [pipe, '/dev/full', tmpdir()])
      expect(() => validate(BLOCK, { state })).toThrow('is not a regular file');
    symlinkSync('elsewhere', link);
    await validate('127.40.0.0/28', { state: link }).summary();
    expect([lstatSync(link).isSymbolicLink(), readdirSync(dirname(link))]).toEqual([true, ['elsewhere', 'state']]);
  });
});
