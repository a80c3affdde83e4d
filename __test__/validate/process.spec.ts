/** What a run does to its process: nothing lasting. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { program as script } from '../helpers/program.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('a process', () => {
  it.each([
    ['that only imports', "import 'routepool';"],
    [
      'that starts a run and forgets it',
      "import { validate } from 'routepool'; validate('127.80.0.0/16', { ratePerSecond: 10 });",
    ],
    [
      'that breaks out of a loop',
      "import { validate } from 'routepool'; for await (const v of validate('127.80.0.0/16')) break;",
    ],
    ["that leaves an unref'd server open", "import { StunServer } from 'routepool'; StunServer.listen().unref();"],
    ['that closes its server', "import { StunServer } from 'routepool'; await StunServer.listen().close();"],
    ['that uses up a run', "import { validate } from 'routepool'; await validate('127.80.0.0/20').summary();"],
    [
      'that aborts',
      "import { validate } from 'routepool'; await validate('127.80.0.0/16', { signal: AbortSignal.timeout(20) }).summary().catch(() => {});",
    ],
    [
      'that aborts a lookup without an end',
      "import { validate } from 'routepool'; await validate('127.80.0.0/24', { servers: 'x.example', lookup: () => {}, signal: AbortSignal.timeout(20) }).summary().catch(() => {});",
    ],
    [
      'whose error nobody awaits',
      "import { validate } from 'routepool'; validate('127.80.0.0/24', { servers: 'x.invalid' });",
    ],
  ])('%s exits by itself', (_name, code) => {
    expect(script(code)).toMatchObject({ status: 0, signal: null, stderr: '' });
  });

  it.each([
    ['process.exit()', 'process.exit(7)', 7, ''],
    ['an error that nobody catches', "throw new Error('mine')", 1, 'Error: mine'],
  ])('ends amid sweeps by %s, without a crash', (_name, code, status, words) => {
    const found = script(`
      import { StunServer, validate } from 'routepool';
      const server = StunServer.listen();
      const [embedded, other] = [validate('127.80.0.0/12'), validate('127.96.0.0/12', { servers: \`127.0.0.1:\${server.port}\` })];
      void other.summary();
      let seen = 0;
      for await (const _ of embedded) if (++seen === 3000) { ${code}; }`);
    expect(found).toMatchObject({ status, signal: null, stderr: expect.stringContaining(words) });
  });

  it('proves a million sources within 120 MiB of memory', () => {
    const { stdout, stderr } = script(`
      import { validate } from 'routepool';
      let ok = 0;
      for await (const { status } of validate('127.32.0.0/12')) if (status === 'ok') ok++;
      console.log(ok, process.resourceUsage().maxRSS < 120 * 1024 || process.resourceUsage().maxRSS);`);
    expect([stdout, stderr]).toEqual(['1048576 true\n', '']);
  });

  it('has no thread, socket or file more after importing', () => {
    const { stdout, stderr } = script(`
      import { readdirSync } from 'node:fs';
      const count = () => [readdirSync('/proc/self/task').length, readdirSync('/proc/self/fd').length].join();
      // The first asynchronous read starts the pool of libuv, which importing anything does; node:util of Node 22 opens
      // a file.
      await (await import('node:fs/promises')).readFile('package.json');
      await import('node:util');
      const before = count();
      await import('routepool');
      console.log(before === count());`);
    expect([stdout, stderr]).toEqual(['true\n', '']);
  });

  it('is held while somebody waits', () => {
    const { stdout } = script(
      "import { validate } from 'routepool'; const s = await validate('127.81.0.0/24', { ratePerSecond: 500 }).summary(); console.log(s.counts.ok);",
    );
    expect(stdout).toBe('256\n');
  });

  it('is held by a server until it is closed', () => {
    const { stdout } = script(
      "import { StunServer } from 'routepool'; const s = StunServer.listen(); setTimeout(() => { console.log('still here'); s.close(); }, 50).unref();",
    );
    expect(stdout).toBe('still here\n');
  });

  it('is loaded by require() too', () => {
    const { stdout, status } = spawnSync(
      process.execPath,
      ['-e', "console.log(typeof require('routepool').validate)"],
      { cwd: root, encoding: 'utf8' },
    );
    expect([stdout, status]).toEqual(['function\n', 0]);
  });

  it('survives workers that are terminated amid a sweep', () => {
    const { stdout, stderr, status } = script(`
      import { Worker } from 'node:worker_threads';
      import { once } from 'node:events';
      const code = "import('routepool').then(async ({ validate }) => { let n = 0; for await (const v of validate('127.96.0.0/12')) if (++n === 2000) postMessage(n); })";
      for (let i = 0; i < 20; i++) {
        const worker = new Worker("import { parentPort } from 'node:worker_threads'; const postMessage = (m) => parentPort.postMessage(m);" + code, { eval: true });
        await once(worker, 'message');
        await worker.terminate();
      }
      console.log('done');`);
    expect([stdout, stderr, status]).toEqual(['done\n', '', 0]);
  });
});
