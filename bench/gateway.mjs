// A /16 validated through a gateway: three network namespaces in a row, the server in the last, against the same sweep
// on loopback with a server process there too. No wire: it shows what three network stacks cost on one machine.
// usage: node bench/gateway.mjs [--rounds N] [--smoke]
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine, median, spread } from './harness.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string' }, smoke: { type: 'boolean', default: false } },
});
const self = fileURLToPath(import.meta.url);
const command = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const rounds = Number(values.rounds ?? (values.smoke ? 1 : 7));
const length = values.smoke ? 20 : 16;
const serve = ['stun-server', '--no-tcp', '--workers', '1', '--rate-per-prefix', '0', '--json'];

function run(program, ...args) {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error ?? stderr}`);
}
const ip = (...args) => run('ip', ...args);

/** A namespace of its own: its holder waits on standard input. */
async function space() {
  const child = spawn(
    'unshare',
    [
      '-n',
      'sh',
      '-c',
      'ip link set lo up && echo up && read line; exec "$@"',
      'sh',
      process.execPath,
      command,
      ...serve,
      '203.0.113.1',
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  await once(child.stdout, 'data');
  const inside = (...args) => run('nsenter', '-t', String(child.pid), '-n', '--', ...args);
  return { child, inside };
}

async function measure() {
  const { validate } = await import('../dist/index.js');
  ip('link', 'set', 'lo', 'up');
  const [gateway, server] = [await space(), await space()];
  const loopback = spawn(process.execPath, [command, ...serve, '127.0.0.1'], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await once(loopback.stdout, 'data');
    ip('link', 'add', 'c0', 'type', 'veth', 'peer', 'name', 'g0', 'netns', String(gateway.child.pid));
    gateway.inside('ip', 'link', 'add', 'g1', 'type', 'veth', 'peer', 'name', 's0', 'netns', String(server.child.pid));
    for (const [inside, link, address] of [
      [run, 'c0', '10.99.1.2/24'],
      [gateway.inside, 'g0', '10.99.1.1/24'],
      [gateway.inside, 'g1', '203.0.113.254/24'],
      [server.inside, 's0', '203.0.113.1/24'],
    ]) {
      inside('ip', 'addr', 'add', address, 'dev', link);
      inside('ip', 'link', 'set', link, 'up');
    }
    ip('route', 'add', 'default', 'via', '10.99.1.1');
    ip('route', 'add', 'local', '198.18.0.0/16', 'dev', 'lo');
    gateway.inside('ip', 'route', 'add', '198.18.0.0/16', 'via', '10.99.1.2');
    gateway.inside('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
    server.inside('ip', 'route', 'add', 'default', 'via', '203.0.113.254');
    server.child.stdin.end('go\n');
    await once(server.child.stdout, 'data');
    const rates = { gateway: [], loopback: [] };
    for (let round = 0; round < rounds; round++) {
      for (const [name, block, address] of [
        ['gateway', `198.18.0.0/${length}`, '203.0.113.1'],
        ['loopback', `127.16.0.0/${length}`, '127.0.0.1'],
      ]) {
        const { sources, counts, elapsedMs } = await validate(block, { servers: address }).summary();
        if (counts.ok !== sources)
          throw new Error(`${sources - counts.ok} of ${sources} sources were not proven through ${name}`);
        rates[name].push((sources / elapsedMs) * 1_000);
      }
    }
    const text = (list) => Math.round(median(list)).toLocaleString('en-US');
    console.log(`${describeMachine()}
a /${length} through a gateway: ${text(rates.gateway)} a second; on loopback, server in a process of its own: ${text(rates.loopback)} a second
gateway / loopback: ${spread(rates.gateway.map((rate, i) => rate / rates.loopback[i]))}`);
  } finally {
    for (const child of [gateway.child, server.child, loopback]) child.kill('SIGKILL');
  }
}

if (positionals[0] === 'measure') {
  await measure();
  process.exit(0);
}
const flags = process.getuid?.() === 0 ? ['-n'] : ['-U', '-r', '-n'];
const probe = spawnSync('unshare', [...flags, 'true']);
if (probe.error || probe.status !== 0) console.log('SKIPPED: no network namespaces here');
else
  process.exitCode =
    spawnSync('unshare', [...flags, process.execPath, self, 'measure', ...process.argv.slice(2)], { stdio: 'inherit' })
      .status ?? 1;
