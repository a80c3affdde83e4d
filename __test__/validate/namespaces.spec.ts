/** Through real gateways: every verdict must be what the gateway was told to do. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { GatewayLab, SERVER } from '../lab/gateway-lab.ts';
import { Namespace, whyNoNamespaces } from '../lab/namespaces.ts';
import type { ValidationSummary } from '../../src/index.ts';

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const no = whyNoNamespaces();
const noFilter = whyNoNamespaces('nft');
if (no) console.warn(`SKIPPED: all tests in network namespaces, because ${no}`);
else if (noFilter) console.warn(`SKIPPED: the tests with gateways, because ${noFilter}`);

/** How long a sweep takes on a busy machine is not what is tested; one that takes longer than this hangs. */
const HANGS = 240_000;

const open: { close: () => void }[] = [];
afterEach(() => {
  for (const lab of open.splice(0)) lab.close();
});

async function lab(block: string, rules?: string): Promise<GatewayLab> {
  const made = await GatewayLab.create(block, rules);
  open.push(made);
  return made;
}

async function space(options?: Parameters<typeof Namespace.create>[0]): Promise<Namespace> {
  const made = await Namespace.create(options);
  open.push(made);
  return made;
}

interface Row {
  ip: string;
  status: string;
  external: string;
  error: string;
  reason: string;
  asked: string;
}

function rows(csv: string): Row[] {
  const [header = '', ...lines] = csv.trimEnd().split('\n');
  const names = header.split(',');
  return lines.map(
    (line) => Object.fromEntries(line.split(',').map((value, i) => [names[i], value])) as unknown as Row,
  );
}

function validate(where: Namespace, ...args: string[]) {
  const output = where.try(process.execPath, cli, 'validate', ...args);
  return { ...output, rows: args.includes('--csv') ? rows(output.stdout) : [] };
}

function count(list: Row[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of list) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/**
 * By the last five bits of the source: 7 is dropped, 9 leaves as 192.0.2.1, and of the rest one packet in five is lost.
 */
const MIXED = `
table ip lab {
  chain raw { type filter hook prerouting priority raw;
    ip saddr & 0.0.0.31 == 0.0.0.7 drop
    ip saddr 198.18.0.0/16 ip saddr & 0.0.0.31 != 0.0.0.9 notrack
    ip daddr 198.18.0.0/16 notrack
    udp dport 3478 numgen random mod 5 == 0 drop
  }
  chain post { type nat hook postrouting priority srcnat; ip saddr 198.18.0.0/16 oifname g1 snat to 192.0.2.1 }
}`;

function truth(ip: string): [string, string] {
  const low = Number(ip.split('.')[3]) % 32;
  if (low === 7) return ['no-reply', ''];
  return low === 9 ? ['mapped', '192.0.2.1'] : ['ok', ip];
}

describe.skipIf(noFilter)('through a gateway', () => {
  for (const [speed, block, size, ...options] of [
    ['full speed', '198.18.0.0/16', 65_536],
    ['500 a second', '198.18.4.0/22', 1_024, '--rate', '500'],
  ] as const) {
    it(`tells what drops, what rewrites and what loses 1 in 5, at ${speed}`, async () => {
      const made = await lab('198.18.0.0/16', MIXED);
      await made.startStunServer();
      const run = validate(made.client, block, '--server', SERVER, '--csv', '--quiet', ...options);
      expect(run.stderr).toBe('');
      expect(run.rows.length).toBe(size);
      const wrong = run.rows.filter(({ ip, status, external }) => {
        const [wantedStatus, wantedExternal] = truth(ip);
        return status !== wantedStatus || external !== wantedExternal;
      }, HANGS);
      expect(wrong).toEqual([]);
      expect(run.status).toBe(3);
    });
  }

  it(
    'tells the same after two kills: a run goes on from its state',
    async () => {
      const made = await lab('198.18.0.0/16', MIXED);
      await made.startStunServer();
      const state = join(mkdtempSync(join(tmpdir(), 'routepool-')), 'sweep.state');
      const args = ['198.18.0.0/18', '--server', SERVER, '--csv', '--quiet', '--state', state];
      for (const rate of ['6000', '8000']) {
        const before = statSync(state, { throwIfNoEntry: false })?.ino;
        const child = await made.client.start(
          [process.execPath, cli, 'validate', ...args, '--rate', rate],
          /^ip,status/,
        );
        // Each write swaps a new file in: the first is the one of the beginning, the third has news.
        const seen = new Set([before]);
        while (seen.size < 4) {
          seen.add(statSync(state, { throwIfNoEntry: false })?.ino);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        child.kill();
        await child.ended;
      }
      const run = validate(made.client, ...args);
      expect([run.stderr, run.rows.length]).toEqual(['', 16_384]);
      expect(run.rows.filter(({ ip, status, external }) => truth(ip).join() !== [status, external].join())).toEqual([]);
      // What was proven before is not asked again: its verdict comes from the state.
      expect(run.rows.filter(({ status, asked }) => status === 'ok' && asked === '0').length).toBeGreaterThan(1_000);
    },
    HANGS,
  );

  it(
    'calls the silent ones behind a NAT without ports unknown, not dead',
    async () => {
      const made = await lab(
        '198.18.0.0/20',
        'table ip lab { chain post { type nat hook postrouting priority srcnat; ip saddr 198.18.0.0/16 meta l4proto udp snat to 192.0.2.1:40000-41999 } }',
      );
      await made.startStunServer();
      const run = validate(made.client, '198.18.0.0/20', '--server', SERVER, '--csv', '--quiet', '--passes', '3');
      const counts = count(run.rows);
      expect(counts['no-reply'] ?? 0).toBe(0);
      expect(counts['mapped']).toBeGreaterThan(1_900);
      expect((counts['mapped'] ?? 0) + (counts['unknown'] ?? 0)).toBe(4_096);
      expect(run.rows.filter(({ status }) => status === 'unknown').every(({ reason }) => reason === 'nat-ports')).toBe(
        true,
      );
      // New mappings fail until old ones expire: the sweep slows down meanwhile.
    },
    HANGS,
  );

  it(
    'names where a limit lets few probes pass, how many, and how long the rest would take',
    async () => {
      const limited = await lab(
        '198.18.0.0/24',
        `table ip lab { chain forward { type filter hook forward priority filter;
           ip saddr 198.18.0.0/24 limit rate over 5/second burst 5 packets drop } }`,
      );
      await limited.startStunServer();
      const args = ['validate', '198.18.0.0/24', '--server', SERVER, '--json', '--quiet'];
      // The whole takes minutes. After so long the rate is known.
      const { stdout } = limited.client.try(
        'timeout',
        '--foreground',
        '-s',
        'INT',
        '12',
        process.execPath,
        cli,
        ...args,
      );
      const { summary } = JSON.parse(stdout) as { summary: ValidationSummary };
      const { ok, unknown } = summary.counts;
      expect([summary.stopped, ok + unknown + summary.untested]).toEqual([true, 256]);
      const [limit, ...others] = summary.limits;
      expect(others).toEqual([]);
      expect(limit).toMatchObject({ first: '198.18.0.0', last: '198.18.0.255', unknown: unknown + summary.untested });
      const { ratePerSecond = 0, neededMs = 0 } = limit ?? {};
      expect(ratePerSecond).toBeGreaterThan(1);
      expect(ratePerSecond).toBeLessThan(25);
      // Each is asked several times, beside another.
      expect(neededMs).toBeGreaterThan((1_000 * (256 - ok)) / ratePerSecond);
      expect(summary.notes.join(' ')).toContain('From 198.18.0.0 to 198.18.0.255 the network carries about');
    },
    HANGS,
  );

  it('waits out a network that goes away, and reports nobody dead', async () => {
    const made = await lab('198.18.0.0/16');
    await made.startStunServer();
    const script = `
      import { validate } from 'routepool';
      const run = validate('198.18.0.0/18', { servers: '${SERVER}', ratePerSecond: 8000 });
      let seen = 0;
      const counts = {};
      for await (const { status } of run) {
        counts[status] = (counts[status] ?? 0) + 1;
        if (++seen === 6000) console.log('half');
      }
      console.log(JSON.stringify({ counts, notes: (await run.summary()).notes }));`;
    const child = await made.client.start([process.execPath, '--input-type=module', '-e', script], /half/);
    made.gateway.run('ip', 'link', 'set', 'g1', 'down');
    await new Promise((resolve) => setTimeout(resolve, 2_500)); // how long the network is gone
    made.gateway.run('ip', 'link', 'set', 'g1', 'up');
    const text = await child.ended;
    const { counts, notes } = JSON.parse(text.slice(text.indexOf('{'))) as {
      counts: Record<string, number>;
      notes: string[];
    };
    expect(counts).toEqual({ ok: 16_384 });
    expect(notes.join()).toContain('The network went away once');
  });

  it('tells a silent server, a closed port and a missing route apart', async () => {
    const made = await lab(
      '198.18.0.0/24',
      'table ip lab { chain f { type filter hook forward priority 0; udp dport 9 drop } }',
    );
    const silent = validate(made.client, '198.18.0.0/24', '--server', `${SERVER}:9`, '--timeout', '300');
    const closed = validate(made.client, '198.18.0.0/24', '--server', `${SERVER}:3478`);
    made.client.run('ip', 'route', 'del', 'default');
    const unreachable = validate(made.client, '198.18.0.0/24', '--server', SERVER);
    expect([silent.status, closed.status, unreachable.status]).toEqual([1, 1, 1]);
    expect(silent.stderr).toContain('never answered');
    expect(closed.stderr).toContain('no STUN server listens');
    expect(unreachable.stderr).toContain('There is no way from this machine');
  });

  it('has a firewall of its own machine named, by errno', async () => {
    const made = await lab('198.18.0.0/24');
    await made.startStunServer();
    made.client.filter(
      'table ip own { chain o { type filter hook output priority 0; ip saddr 198.18.0.8/29 udp dport 3478 drop } }',
    );
    const run = validate(made.client, '198.18.0.0/24', '--server', SERVER, '--csv', '--quiet');
    expect(count(run.rows)).toEqual({ 'ok': 248, 'send-error': 8 });
    expect(run.rows.filter(({ status }) => status !== 'ok').every(({ error }) => error === 'EPERM')).toBe(true);
  });
});

describe.skipIf(no)('in a namespace', () => {
  it.each([
    ['an unprivileged user, buffers of the default size', ['--receive-buffer', '106496']],
    ['an unprivileged user', []],
  ])('reports no good source dead: %s', async (_name, options) => {
    const alone = await space({ unprivileged: true });
    const run = validate(alone, '127.16.0.0/16', '--csv', '--quiet', ...options);
    expect(run.stderr).toBe('');
    expect(count(run.rows)).toEqual({ ok: 65_536 });
  });

  it('proves an IPv6 block held by a local route, and refuses one that is not', async () => {
    const alone = await space();
    alone.run('ip', '-6', 'route', 'add', 'local', 'fd00:1::/64', 'dev', 'lo');
    const held = validate(alone, 'fd00:1::/112', '--server', 'embedded', '--csv', '--quiet');
    expect(count(held.rows)).toEqual({ ok: 65_536 });
    const sampled = validate(alone, 'fd00:1::/64', '--server', 'embedded', '--sample', '80:2');
    expect(sampled.stdout).toContain('131,072 of 131,072 sampled sources of fd00:1::/64 proven');
    expect(sampled.stdout).toContain('This is not a validation of the whole block');
    const other = validate(alone, 'fd00:2::/112', '--server', 'embedded');
    expect(other.status).toBe(2);
    expect(other.stderr).toContain('ip -6 route add local fd00:2::/112 dev lo');
  });

  it('tells at once that loopback is down, whether it was ever up or not', async () => {
    const down = ['--seed', '1', '127.73.0.0/28'];
    const says = /The loopback interface lo is down.* Nothing was sent\. Bring it up with: ip link set lo up/;
    const here = await space();
    expect(validate(here, ...down).status).toBe(0);
    here.run('ip', 'link', 'set', 'lo', 'down');
    const was = validate(here, ...down);
    expect([was.status, was.stderr]).toEqual([1, expect.stringMatching(says)]);
    // In a namespace that nobody has touched the kernel has no table of local routes yet.
    const never = here.try('unshare', '-n', process.execPath, cli, 'validate', ...down);
    expect([never.status, never.stderr]).toEqual([1, expect.stringMatching(says)]);
    const missing = here.try('unshare', '-n', process.execPath, cli, 'validate', '10.7.0.0/28', '--server', '10.7.0.1');
    expect(missing.stderr).toMatch(says);
    expect(here.try('unshare', '-n', process.execPath, cli).stderr).not.toMatch(/ENOENT/);
  });

  it('proves nothing by an address that devices on the way can rewrite, and says what to do', async () => {
    const alone = await space();
    alone.run('ip', 'route', 'add', 'local', '198.18.0.0/28', 'dev', 'lo');
    const server = fileURLToPath(new URL('../lab/lying-server.mjs', import.meta.url));
    await alone.start([process.execPath, server, '127.0.0.1', '3478', 'rewritten'], /listening/);
    const run = validate(alone, '198.18.0.0/28', '--server', '127.0.0.1:3478', '--csv');
    expect(run.rows.map(({ status, reason }) => [status, reason])).toEqual(
      Array.from({ length: 16 }, () => ['unknown', 'unprotected-reply']),
    );
    expect(run.stderr).toContain('sent MAPPED-ADDRESS and no XOR-MAPPED-ADDRESS');
  });

  it('uses the hosts of a subnet on a link, and names a part that is missing', async () => {
    const alone = await space();
    alone.run('ip', 'link', 'add', 'd0', 'type', 'veth', 'peer', 'name', 'd1');
    for (const host of [1, 2, 3, 4, 5, 6]) alone.run('ip', 'addr', 'add', `10.7.0.${host}/29`, 'dev', 'd0');
    alone.run('ip', 'link', 'set', 'd0', 'up');
    expect(count(validate(alone, '10.7.0.0/29', '--server', 'embedded', '--csv', '--quiet').rows)).toEqual({ ok: 6 });
    const part = validate(alone, '10.7.0.0/28', '--server', 'embedded');
    expect(part.stderr).toContain('holds only a part of 10.7.0.0/28: 10.7.0.7 is not local');
  });
});

const turnserver = spawnSync('turnserver', ['--version']).error ? 'coturn is not installed' : no;
if (turnserver) console.warn(`SKIPPED: the test against coturn, because ${turnserver}`);

describe.skipIf(turnserver)('strangers', () => {
  it('coturn proves a block', async () => {
    const alone = await space();
    alone.run('ip', 'route', 'add', 'local', '198.18.0.0/24', 'dev', 'lo');
    const options = ['-S', '--no-tls', '--no-dtls', '--no-cli', '-L', '127.0.0.1', '-p', '3478'];
    await alone.start(
      ['turnserver', '-n', ...options, '--log-file', 'stdout', '--pidfile', '/dev/null'],
      /Listener address/,
    );
    // It says that it will listen, not when it does.
    while (validate(alone, '198.18.0.1', '--server', '127.0.0.1:3478').stderr.includes('refused the probe'));
    const run = validate(alone, '198.18.0.0/24', '--server', '127.0.0.1:3478', '--csv', '--quiet');
    expect(count(run.rows)).toEqual({ ok: 256 });
  });

  it("coturn's and Debian's clients read our server", async () => {
    const alone = await space();
    const server = fileURLToPath(new URL('../lab/stun-server.mjs', import.meta.url));
    await alone.start([process.execPath, server, '127.0.0.1', '3478'], /listening/);
    const coturn = alone.run('turnutils_stunclient', '-p', '3478', '127.0.0.1');
    expect(coturn).toMatch(/UDP reflexive addr: 127\.0\.0\.1:\d+/);
  });
});
