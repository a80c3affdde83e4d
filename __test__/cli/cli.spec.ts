/** The command, as people and scripts call it. */
import { spawn, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { mkdtempSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { STATUSES } from '../../src/validate/verdict.ts';
import { Running } from '../helpers/running.ts';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

function cli(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, FORCE_COLOR: undefined, NO_COLOR: undefined },
  });
}

const BLOCK = '127.70.0.0/24';

describe('routepool validate', () => {
  it('says in words what was proven, and what that means', () => {
    const { status, stdout, stderr } = cli('validate', BLOCK, '--seed', '5');
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^✔ 256 of 256 sources of 127\.70\.0\.0\/24 proven in \d+ ms/);
    expect(stdout).toContain('seed 5');
    expect(stdout).toContain('nothing about the network beyond');
    expect(stdout).not.toContain('\u001B[');
  });

  it('says nothing beyond the facts when it is quiet', () => {
    const { status, stdout } = cli('validate', BLOCK, '--seed', '5', '--quiet');
    expect([status, stdout.trimEnd().split('\n').length]).toEqual([0, 2]);
    expect(stdout).not.toContain('nothing about the network beyond');
  });

  it('prints csv, ndjson and json that machines read', () => {
    const csv = cli('validate', BLOCK, '--csv', '--quiet').stdout.trimEnd().split('\n');
    expect([csv.length, csv[0]]).toEqual([257, 'ip,status,external,external_port,error,reason,asked,rtt_ms']);
    expect(csv[1]).toMatch(/^127\.70\.0\.\d+,ok,127\.70\.0\.\d+,\d+,,,1,[\d.]+$/);
    const lines = cli('validate', BLOCK, '--ndjson', '--quiet')
      .stdout.trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { status: string });
    expect([lines.length, lines.every(({ status }) => status === 'ok')]).toEqual([256, true]);
    const document = JSON.parse(
      cli('validate', BLOCK, '--json', '--seed', '18446744073709551615', '--quiet').stdout,
    ) as { verdicts: unknown[]; summary: { seed: string; counts: { ok: number } } };
    expect([document.verdicts.length, document.summary.seed, document.summary.counts.ok]).toEqual([
      256,
      '18446744073709551615',
      256,
    ]);
  });

  it('prints addresses alone with --only', () => {
    const ok = cli('validate', '127.70.0.0/30', '--only', 'ok', '--quiet').stdout.trimEnd().split('\n');
    expect(ok.toSorted()).toEqual(['127.70.0.0', '127.70.0.1', '127.70.0.2', '127.70.0.3']);
    expect(cli('validate', BLOCK, '--only', 'no-reply,mapped', '--quiet').stdout).toBe('');
    expect(cli('validate', BLOCK, '--only', 'unknown', '--csv', '--quiet').stdout.trimEnd().split('\n').length).toBe(1);
  });

  it.each<[string[], string]>([
    [['validate'], 'name a block'],
    [['validate', '10.0.0.0/33'], '0 to 32'],
    [['validate', '203.0.113.0/24'], 'ip route add local 203.0.113.0/24 dev lo'],
    [['validate', BLOCK, '--rat', '5'], 'did you mean --rate?'],
    [['validate', BLOCK, '--rate', 'fast'], "--rate but received 'fast'"],
    [['validate', BLOCK, '--rate', '-1'], 'write --rate=-1'],
    [['validate', BLOCK, '--rate=-1'], 'for --rate but received -1'],
    [['validate', BLOCK, '--rate', '0'], 'for --rate but received 0'],
    [['validate', BLOCK, '--timeout', '0'], 'for --timeout but received 0'],
    [['validate', BLOCK, '--receive-buffer', '1'], 'for --receive-buffer but'],
    [['validate', BLOCK, '--sample', '129'], 'for --sample but'],
    [['validate', BLOCK, '--server', '127.0.0.1:3478,127.0.0.2:3478'], 'name --server twice'],
    [['validate', BLOCK, '--rate'], 'needs a value'],
    [['validate', BLOCK, '--json=yes'], 'takes no value'],
    [['validate', BLOCK, '--json', '--csv'], 'choose one'],
    [['validate', BLOCK, '--only', 'dead'], "received 'dead'"],
    [['validate', BLOCK, '--sample', '64/2'], '--sample'],
    [['validate', BLOCK, '--hosts', 'few'], 'hosts'],
    [['validate', BLOCK, '--server', 'x:0'], '1 to 65535'],
    [['validate', '127.70.0.1,127.70.0.2'], 'put a space between them'],
    [['validate', BLOCK, '--interface', 'no-such0'], "there is no interface 'no-such0'; the interfaces are: lo"],
    [['validate', 'fd00::/64'], 'ask a sample (--sample), for example one host per /80'],
    [['validat', BLOCK], "did you mean 'validate'?"],
    [[BLOCK], `did you mean 'routepool validate ${BLOCK}'?`],
    [['lo'], "did you mean 'routepool interfaces lo'?"],
  ])('%j is a usage error that says what to do', (args, words) => {
    const { status, stdout, stderr } = cli(...args);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain(words);
    expect(stderr).not.toContain('    at ');
  });

  it('has help and a version', () => {
    expect(cli('--help').stdout).toContain('validate BLOCK');
    expect(cli('validate', '--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('--rate N') });
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(cli('--version').stdout).toBe(`${version}\n`);
  });

  it('says in one line that the addon cannot be loaded', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'validate', '127.16.0.0/24'], {
      encoding: 'utf8',
      env: { ...process.env, ROUTEPOOL_BINDING: '/no/such/file.node' },
    });
    expect([status, stdout, stderr]).toEqual([
      1,
      '',
      expect.stringMatching(/^routepool: ROUTEPOOL_BINDING names \/no\/such\/file\.node, .*\n$/),
    ]);
  });

  it('tells of itself without the addon', () => {
    const said = (...args: string[]) =>
      spawnSync(process.execPath, [main, ...args], {
        encoding: 'utf8',
        env: { ...process.env, ROUTEPOOL_BINDING: '/no/such/file.node' },
      });
    expect(said('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('validate BLOCK'), stderr: '' });
    expect(said('--version')).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\S*\n$/),
      stderr: '',
    });
    for (const name of ['interfaces', 'nat', 'stun-server', 'validate', 'watch']) {
      expect(said(name, '--help')).toMatchObject({
        status: 0,
        stdout: expect.stringMatching(`^routepool ${name}: `),
        stderr: '',
      });
    }
    expect(said('help', 'validate').stdout, 'each status').toContain(STATUSES.join(', '));
  });

  it('says that a name does not resolve, and that is a failure', () => {
    const { status, stderr } = cli('validate', BLOCK, '--server', 'nowhere.invalid');
    expect(status).toBe(1);
    expect(stderr).toContain("'nowhere.invalid' could not be resolved");
  });

  it('ends quietly when its reader has seen enough, stopped and with its state saved', () => {
    const state = join(mkdtempSync(join(tmpdir(), 'routepool-')), 'sweep.state');
    const script = '{ "$@"; echo "exit $?" >&2; } | head -n 3';
    const args = ['validate', '127.64.0.0/12', '--csv', '--quiet', '--state', state];
    const { stdout, stderr, status } = spawnSync('sh', ['-c', script, 'sh', process.execPath, main, ...args], {
      encoding: 'utf8',
    });
    expect([stdout.trimEnd().split('\n').length, stderr, status]).toEqual([3, 'exit 3\n', 0]);
    expect(statSync(state).size).toBeGreaterThan(1 << 17);
  });

  it.each(['--csv', '--json', '--ndjson', '--seed=1'])('a full disk is a failure in one line: %s', (format) => {
    const state = join(mkdtempSync(join(tmpdir(), 'routepool-')), 'sweep.state');
    const args = ['validate', '127.71.0.0/18', format, '--quiet', '--state', state];
    const { stderr, status } = spawnSync('sh', ['-c', '"$@" >/dev/full', 'sh', process.execPath, main, ...args], {
      encoding: 'utf8',
    });
    expect([stderr, status]).toEqual([
      'routepool: standard output could not be written: ENOSPC: no space left on device\n',
      1,
    ]);
    // What was found is kept: nothing proven is asked again.
    expect(cli(...args.filter((arg) => arg !== format), '--only', 'ok', '--csv').stdout).toMatch(/,ok,[^,]+,,,,0,$/m);
  });

  it('colours only where it is wanted', () => {
    const run = (env: NodeJS.ProcessEnv) =>
      spawnSync(process.execPath, [main, 'validate', '127.70.0.0/30'], {
        encoding: 'utf8',
        env: { ...process.env, ...env },
      }).stdout;
    expect(run({ FORCE_COLOR: '1', NO_COLOR: '' })).toContain('\u001B[32m');
    expect(run({ FORCE_COLOR: '1', NO_COLOR: '1' })).not.toContain('\u001B[');
  });

  // util-linux's script(1) gives it a terminal; that of other systems has other options.
  const noTerminal =
    spawnSync('script', ['-qec', 'exit 0', '/dev/null']).status === 0
      ? undefined
      : "util-linux's command 'script' is not here";
  if (noTerminal) console.warn(`SKIPPED: the test on a terminal, because ${noTerminal}`);

  it.skipIf(noTerminal)('shows its progress in one line of a terminal, and takes it away', () => {
    const onTerminal = (columns: number, env: NodeJS.ProcessEnv = {}) => {
      const command = `stty cols ${columns}; '${process.execPath}' '${main}' validate 127.70.0.0/22 --rate 1500`;
      return spawnSync('script', ['-qec', command, '/dev/null'], {
        encoding: 'utf8',
        env: { ...process.env, TERM: 'xterm', NO_COLOR: '1', ...env },
      }).stdout;
    };
    for (const columns of [100, 30]) {
      const shown = onTerminal(columns);
      const lines = shown.slice(0, shown.indexOf('✔')).split('\r\u001B[K');
      // Begun anew each time, and empty before the summary.
      expect([lines[0], lines.at(-1), lines.length > 3]).toEqual(['', '', true]);
      for (const line of lines) expect(line.length).toBeLessThan(columns);
      if (columns === 100)
        expect(lines).toContainEqual(expect.stringMatching(/^█+░+ \d+ % {2}[\d,]+ ok {2}[\d,]+ a second$/));
      expect(shown).toContain('✔ 1,024 of 1,024 sources');
    }
    expect(onTerminal(100, { TERM: 'dumb' })).toMatch(/^✔ /);
  });

  it('finishes with the partial result when interrupted', async () => {
    const run = new Running(
      spawn(process.execPath, [main, 'validate', '127.72.0.0/16', '--rate', '2000', '--json'], {
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
    // The first verdicts are written once 64 KiB of them have gathered.
    await run.until('the first verdicts', () => run.stdout !== '');
    run.child.kill('SIGINT');
    const [code] = await run.closed;
    const { verdicts, summary } = JSON.parse(run.stdout) as {
      verdicts: unknown[];
      summary: { stopped: boolean; untested: number };
    };
    expect([code, summary.stopped, verdicts.length + summary.untested]).toEqual([3, true, 65_536]);
    expect(run.stderr).toContain('interrupt again to leave at once');
    expect(run.stderr).toMatch(/stopped: [\d,]+ without a verdict/);
  });

  it('that dies at its start fails a test at once, with what it has said', async () => {
    const run = new Running(
      spawn(process.execPath, [main, 'validate', 'no-block', '--json'], { stdio: ['ignore', 'pipe', 'pipe'] }),
    );
    await expect(run.until('the first verdicts', () => run.stdout !== '')).rejects.toThrow(
      /ended \(exit code 2\) before the first verdicts[^]*'no-block'/,
    );
  });

  it('goes on after SIGKILL and ends with the table of a run that was not killed', async () => {
    const state = join(mkdtempSync(join(tmpdir(), 'routepool-')), 'sweep.state');
    const table = (csv: string) =>
      csv
        .trimEnd()
        .split('\n')
        .slice(1)
        .map((line) =>
          line
            .split(',')
            .filter((_, i) => [0, 1, 2, 4, 5].includes(i))
            .join(),
        )
        .toSorted();
    const args = ['validate', '127.73.0.0/18', '--state', state, '--csv', '--quiet'];
    for (const until of [1, 2]) {
      const run = new Running(
        spawn(process.execPath, [main, ...args, '--rate', '2000'], { stdio: ['ignore', 'pipe', 'pipe'] }),
      );
      // Killed when the state has been written a few times: it is swapped in, so each write is another file.
      const seen = new Set<number>();
      await run.until('its state was written', () => {
        const entry = statSync(state, { throwIfNoEntry: false });
        if (entry) seen.add(entry.ino * 1e6 + (entry.mtimeMs % 1e6));
        return seen.size > until * 2;
      });
      run.child.kill('SIGKILL');
      expect(await run.closed).toEqual([null, 'SIGKILL']);
    }
    const resumed = cli(...args);
    const whole = cli('validate', '127.73.0.0/18', '--csv', '--quiet');
    expect(resumed.stderr).toBe('');
    expect(table(resumed.stdout)).toEqual(table(whole.stdout));
    const again = cli(...args);
    expect(table(again.stdout)).toEqual(table(whole.stdout));
    expect(
      resumed.stdout.split('\n').filter((line) => line.includes(',ok,') && line.endsWith(',0,')).length,
    ).toBeGreaterThan(1_000);
  });
});
