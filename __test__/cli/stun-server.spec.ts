/** `routepool stun-server`: as its users start and stop it, and the files that start it for good. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { Running } from '../helpers/running.ts';
import { Namespace, whyNoNamespaces } from '../lab/namespaces.ts';
import { RouteLab, SERVERS } from '../lab/route-lab.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const main = join(root, 'dist/cli/main.js');

const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
});

/** Starts the command with --json; gives its first line and how to end it. */
async function start(...args: string[]) {
  const child = spawn(process.execPath, [main, 'stun-server', '--json', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  const errors = text(child.stderr);
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (out += chunk));
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  const [first] = out.split('\n');
  if (!first) throw new Error(await errors);
  const info = JSON.parse(first) as {
    endpoints: { address: string; port: number; advertised: string }[];
    notes: string[];
    workers: number;
    tcp: boolean;
  };
  const end = async () => {
    child.kill('SIGTERM');
    const [code] = (await once(child, 'close')) as [number];
    return {
      code,
      counters: JSON.parse(out.trimEnd().split('\n').at(-1) ?? '') as { replies: number },
      errors: await errors,
    };
  };
  return { info, end };
}

async function ask(to: { address: string; port: number }): Promise<void> {
  const socket = createSocket('udp4');
  socket.send(Buffer.from('000100002112a442000102030405060708090a0b', 'hex'), to.port, to.address);
  await once(socket, 'message');
  socket.close();
}

function fails(...args: string[]) {
  const { status, stderr } = spawnSync(process.execPath, [main, 'stun-server', ...args], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { status, stderr };
}

test('listens, answers, and ends with its counts when told to', async () => {
  const { info, end } = await start('127.0.0.1', '127.0.0.2', '--port', '0', '--workers', '2');
  expect(info).toMatchObject({ workers: 2, tcp: true, notes: [] });
  expect(info.endpoints).toHaveLength(4);
  for (const endpoint of info.endpoints) await ask(endpoint);
  const { code, counters, errors } = await end();
  expect({ code, replies: counters.replies, errors }).toEqual({ code: 0, replies: 4, errors: '' });
});

test('with one address it says what it cannot do', async () => {
  const { info, end } = await start('127.0.0.1', '--port', '0', '--no-tcp');
  expect(info).toMatchObject({ tcp: false, notes: [expect.stringContaining('RFC 5780')] });
  expect(info.endpoints).toHaveLength(1);
  await end();
});

test('serves metrics', async () => {
  const run = new Running(
    spawn(process.execPath, [main, 'stun-server', '127.0.0.1', '--port', '0', '--metrics', '0', '--quiet'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
  running.push(run.child);
  await run.until('it told where its metrics are', () => run.stderr.includes('\n'));
  const [url] = /http:\S+/.exec(run.stderr) ?? [];
  const fetchText = async (address: string) => {
    const [response] = (await once(get(address), 'response')) as [import('node:http').IncomingMessage];
    return { status: response.statusCode, type: response.headers['content-type'], body: await text(response) };
  };
  const found = await fetchText(url ?? '');
  expect(found).toMatchObject({ status: 200, type: expect.stringContaining('version=0.0.4') });
  expect(found.body).toContain('routepool_stun_requests_total 0');
  expect((await fetchText((url ?? '').replace('metrics', 'other'))).status).toBe(404);
});

test('wrong usage is told in the words of the command', () => {
  for (const [args, code, words] of [
    [['0.0.0.0'], 2, 'ADDRESS'],
    [['127.0.0.1', '127.0.0.1'], 2, 'two different addresses for ADDRESS'],
    [['127.0.0.1', '--port', 'http'], 2, '--port'],
    [['127.0.0.1', '--port', '70000'], 2, '--port'],
    [['127.0.0.1', '--port'], 2, 'the option --port needs a value'],
    [['127.0.0.1', '--advertise', '0.0.0.0'], 2, 'for --advertise but received the wildcard 0.0.0.0'],
    [['127.0.0.1', '--metrics', 'x:y'], 2, '--metrics'],
    [['127.0.0.1', '--allow', 'me'], 2, '--allow'],
    [['--advertise', '192.0.2.1'], 2, 'name the addresses too'],
    [['127.0.0.1', '--nat'], 2, '--nat'],
    [
      ['::ffff:127.0.0.1'],
      2,
      'for ADDRESS but received the IPv4 address 127.0.0.1 in the form of IPv6: name 127.0.0.1',
    ],
    [['fe80::1%lo'], 2, 'for ADDRESS but received the link-local address fe80::1, which is valid on one link only'],
    [['203.0.113.77'], 1, 'does not hold that address'],
  ] as const) {
    const { status, stderr } = fails(...args);
    expect([status, stderr], args.join(' ')).toEqual([code, expect.stringContaining(words)]);
  }
});

const why = whyNoNamespaces();
if (why !== undefined) console.log(`SKIPPED: addresses of a server chosen from routes: ${why}`);

describe.skipIf(why !== undefined)('without addresses', () => {
  test('two with different external addresses are chosen, and told of', async () => {
    const lab = await RouteLab.create({ families: [4] });
    try {
      // The machine that will serve is the client: two of its three addresses leave as the same external one.
      lab.client.run('ip', 'addr', 'add', '10.99.1.3/24', 'dev', 'c0');
      lab.client.run('ip', 'addr', 'add', '10.99.1.4/24', 'dev', 'c0');
      lab.gateway.run('ip', 'addr', 'add', '203.0.113.250/24', 'dev', 'g1');
      lab.gateway.filter(`table ip nat {
        chain in {
          type nat hook prerouting priority -100
          ip daddr 203.0.113.254 dnat to 10.99.1.2
          ip daddr 203.0.113.250 dnat to 10.99.1.4
        }
        chain out {
          type nat hook postrouting priority 100
          oifname "g1" ip saddr 10.99.1.4 snat to 203.0.113.250
          oifname "g1" snat to 203.0.113.254
        }
      }`);
      await lab.startServers(SERVERS.slice(0, 2));
      const asked = SERVERS.slice(0, 2).flatMap((ip) => ['--server', ip]);
      const started = await lab.client.start(
        [process.execPath, main, 'stun-server', '--no-tcp', ...asked],
        /STUN server[\s\S]*one to one[\s\S]*one to one/,
      );
      const client = createClient('203.0.113.254');
      expect(lab.server.try(process.execPath, '--input-type=module', '-e', client).stdout.trim().split('\n')).toEqual([
        '203.0.113.254:3478',
        '203.0.113.254:3479',
        '203.0.113.250:3478',
        '203.0.113.250:3479',
      ]);
      lab.close();
      expect(await started.ended).toContain(
        'IPv4  10.99.1.2 (203.0.113.254) and 10.99.1.4 (203.0.113.250), ports 3478 and 3479',
      );
    } finally {
      lab.close();
    }
  });

  test('a prefix gets its share of answers and no more', async () => {
    const space = await Namespace.create();
    const peer = await space.beside();
    try {
      space.connect('d0', ['10.1.2.3/24'], peer, 'd1', ['10.1.2.4/24']);
      const options = [
        '10.1.2.3',
        '--rate-per-prefix',
        '10',
        '--metrics',
        '10.1.2.3:9464',
        '--workers',
        '2',
        '--no-tcp',
      ];
      await space.start([process.execPath, main, 'stun-server', ...options], /STUN server/);
      const { stdout, stderr } = peer.try(process.execPath, '--input-type=module', '-e', BURST);
      const [, answered] = /replies_total\{class="success"\} (\d+)/.exec(stdout) ?? [undefined, stderr];
      const [, limited] = /ignored_total\{reason="rate-limited"\} (\d+)/.exec(stdout) ?? [];
      // Ten at once, and one more for each tenth of a second that it took.
      expect(Number(answered)).toBeGreaterThanOrEqual(10);
      expect(Number(answered)).toBeLessThan(100);
      expect(Number(answered) + Number(limited)).toBe(200);
    } finally {
      space.close();
      peer.close();
    }
  });

  test('one external address makes a plain server, and says why', async () => {
    const space = await Namespace.create();
    const peer = await space.beside();
    try {
      space.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6');
      space.connect('d0', ['10.1.2.3/24'], peer, 'd1', ['10.1.2.4/24']);
      const started = await space.start([process.execPath, main, 'stun-server', '--offline', '--no-tcp'], /RFC 5780\)/);
      space.close();
      const said = await started.ended;
      expect(said).toContain('IPv4  10.1.2.3, port 3478  plain');
      expect(said).toContain('this machine has no second one');
    } finally {
      space.close();
      peer.close();
    }
  });
});

/** Sends 200 requests at once; prints what the metrics say once all have arrived. */
const BURST = `
  import { createSocket } from 'node:dgram';
  const socket = createSocket('udp4');
  for (let i = 0; i < 200; i++) socket.send(Buffer.from('000100002112a442000102030405060708090a0b', 'hex'), 3478, '10.1.2.3');
  let metrics = '';
  while (!metrics.includes('requests_total 200')) metrics = await (await fetch('http://10.1.2.3:9464/metrics', { signal: AbortSignal.timeout(5000) })).text();
  socket.close();
  console.log(metrics);`;

/** Asks a server to answer from each of its places; prints from where the answers came. */
function createClient(server: string): string {
  return `
    import { createSocket } from 'node:dgram';
    import { once } from 'node:events';
    for (const flags of ['00', '02', '04', '06']) {
      const socket = createSocket('udp4');
      socket.send(Buffer.from('000100082112a442000102030405060708090a0b00030004000000' + flags, 'hex'), 3478, '${server}');
      const [, from] = await once(socket, 'message', { signal: AbortSignal.timeout(5000) });
      console.log(from.address + ':' + from.port);
      socket.close();
    }`;
}

describe('the files that start it for good', () => {
  const unit = readFileSync(join(root, 'examples/stun-server.service'), 'utf8');
  const container = readFileSync(join(root, 'examples/stun-server.Containerfile'), 'utf8');

  test.for(['stun-server.service', 'block-route.service', 'validate-block.service'])(
    'systemd accepts %s',
    (name, context) => {
      if (spawnSync('systemd-analyze', ['--version']).error) return context.skip('systemd-analyze is not installed');
      const folder = mkdtempSync(join(tmpdir(), 'routepool-unit-'));
      try {
        const file = join(folder, name);
        // It looks for the programs, which are elsewhere in a checkout, and for the units that this one needs.
        for (const one of [name, 'block-route.service']) {
          const text = readFileSync(join(root, 'examples', one), 'utf8')
            .replace(/^ExecStart=\S*routepool/m, `ExecStart=${process.execPath} ${main}`)
            .replaceAll('=/sbin/ip', `=${process.execPath}`);
          writeFileSync(join(folder, one), text);
        }
        const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], {
          encoding: 'utf8',
          timeout: 30_000,
        });
        // What it says of other units of the machine is no concern of ours.
        expect(
          stderr
            .split('\n')
            .filter((line) => line.includes(name))
            .join('\n'),
        ).toBe('');
        expect(status).toBe(0);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );

  test('the command of the unit starts and ends in order', async () => {
    const args = /^ExecStart=\/usr\/local\/bin\/routepool stun-server (.*)$/m.exec(unit)?.[1]?.split(' ') ?? [];
    expect(args).toContain('--metrics');
    const run = new Running(
      spawn(
        process.execPath,
        [main, 'stun-server', '127.0.0.1', '--port', '0', ...args.map((arg) => (arg === '9464' ? '0' : arg))],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      ),
    );
    running.push(run.child);
    await run.until('it told where it listens', () => run.stdout.includes('\n'));
    run.child.kill('SIGTERM');
    expect(await run.closed).toEqual([0, null]);
  });

  test('what the container takes is enough to run', () => {
    const folder = mkdtempSync(join(tmpdir(), 'routepool-image-'));
    try {
      for (const [, sources = '', target = ''] of container.matchAll(/^COPY --from=build (.+) \/app\/(\S*)$/gm)) {
        for (const source of sources.split(' ').map((path) => path.replace('/src/', ''))) {
          const names = source.startsWith('*')
            ? readdirSync(root).filter((name) => name.endsWith(source.slice(1)))
            : [source];
          for (const name of names)
            cpSync(join(root, name), join(folder, target, name.endsWith('/') ? '' : basename(name)), {
              recursive: true,
            });
        }
      }
      const { status, stdout } = spawnSync(
        process.execPath,
        [join(folder, 'dist/cli/main.js'), 'validate', '127.16.0.0/28', '--json'],
        { encoding: 'utf8', timeout: 30_000 },
      );
      expect(status).toBe(0);
      expect((JSON.parse(stdout) as { summary: { sources: number } }).summary.sources).toBe(16);
      expect(container).toContain('ENTRYPOINT ["node", "/app/dist/cli/main.js", "stun-server"]');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
