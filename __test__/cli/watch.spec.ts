/** `routepool watch` as people call it. */
import { spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { Namespace, whyNoNamespaces } from '../lab/namespaces.ts';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const why = whyNoNamespaces();
if (why !== undefined) console.warn(`routepool watch: SKIPPED, ${why}`);

describe('routepool watch', () => {
  it.each<[string[], RegExp]>([
    [['eth0'], /takes no argument but received 'eth0'/],
    [['--interval', '30'], /need --external/],
    [
      ['--external', '--interval', '1'],
      /at least 20000 with public servers .* for --interval \(in milliseconds\) but received 1000/,
    ],
    [['--external', '--server', 'http://x'], /http/],
    [['--count', '0'], /a positive integer for --count/],
    [['--poll', '1'], /from 10 to 86400000 for --poll/],
    [['--jsn'], /did you mean --json\?/],
  ])('refuses %j and says what to do', (args, message) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'watch', ...args], { encoding: 'utf8' });
    expect([status, stdout, stderr]).toEqual([2, '', expect.stringMatching(message)]);
  });

  it('has a help', () => {
    const { status, stdout } = spawnSync(process.execPath, [main, 'watch', '--help'], { encoding: 'utf8' });
    expect([status, stdout]).toEqual([0, expect.stringContaining('Usage: routepool watch')]);
  });
});

describe.skipIf(why !== undefined)('routepool watch in a namespace', () => {
  let space: Namespace;
  afterEach(() => space.close());

  /** Starts the command, and gives it once it watches. */
  async function start(...args: string[]) {
    space = await Namespace.create();
    space.run('ip', 'link', 'add', 'c0', 'type', 'veth', 'peer', 'name', 'p0');
    const child = space.spawn(['env', 'NO_COLOR=1', process.execPath, main, 'watch', ...args]);
    const output = { text: '', errors: '' };
    child.stdout.on('data', (chunk) => (output.text += String(chunk)));
    child.stderr.on('data', (chunk) => (output.errors += String(chunk)));
    await watches(child);
    return { child, output, ended: once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]> };
  }

  /** It watches: what happens from now on is told. The threads of the addon come with the watch. */
  async function watches(child: ChildProcessWithoutNullStreams): Promise<void> {
    const begun = () =>
      /^routepool$/m.test(spawnSync('sh', ['-c', `cat /proc/${child.pid}/task/*/comm`], { encoding: 'utf8' }).stdout);
    while (child.exitCode === null && !begun()) await new Promise((resolve) => setImmediate(resolve));
  }

  it('tells in words and ends after a number of changes', async () => {
    const { output, ended } = await start('--count', '1');
    space.run('ip', 'addr', 'add', '10.0.0.7/24', 'dev', 'c0');
    expect(await ended).toEqual([0, null]);
    expect(output.text).toMatch(/^\d\d:\d\d:\d\d \+ address 10\.0\.0\.7\/24 \(private\) is new on c0\n$/);
    expect(output.errors).toBe('watching the interfaces of this machine; Ctrl-C ends\n');
  });

  it('tells in JSON, a line each, and ends in order on SIGINT', async () => {
    const { child, output, ended } = await start('--json');
    space.run('ip', 'addr', 'add', '8.8.8.7/24', 'dev', 'c0');
    while (!output.text.includes('\n')) await once(child.stdout, 'data');
    child.kill('SIGINT');
    expect(await ended).toEqual([0, null]);
    const lines = output.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toEqual([
      {
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        type: 'address-added',
        interface: 'c0',
        index: expect.any(Number),
        ip: '8.8.8.7',
        prefixLength: 24,
        family: 4,
        scope: 'global',
      },
    ]);
    expect(output.errors).toBe('');
  });

  it('ends when its reader has gone', async () => {
    const { child, output, ended } = await start('--json');
    child.stdout.destroy();
    space.run('ip', 'addr', 'add', '10.0.0.7/24', 'dev', 'c0');
    expect(await ended).toEqual([3, null]);
    expect(output.errors).toBe('');
  });
});
