// Interfaces, in network namespaces of its own: loading one against the round trip to the servers, and listing up to
// 50,000 addresses against node:os.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { fileURLToPath } from 'node:url';
import { describeMachine, median, spread } from './harness.mjs';

const [role = 'main'] = process.argv.slice(2);
const smoke = process.argv.includes('--smoke');
const self = fileURLToPath(import.meta.url);
const ip = (...args) => {
  const { status, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${error ?? stderr}`);
};

if (role === 'serve') {
  const { StunServer } = await import('../dist/index.js');
  ip('link', 'set', 'lo', 'up');
  console.log('ready');
  await once(process.stdin, 'data');
  for (const n of [1, 2, 3]) ip('addr', 'add', `203.0.113.${n}/24`, 'dev', 's0');
  ip('link', 'set', 's0', 'up');
  for (const n of [1, 2, 3]) await StunServer.listen({ address: `203.0.113.${n}`, port: 3478 });
  console.log('listening');
} else if (role === 'measure') {
  const { Interface, listInterfaces, Route } = await import('../dist/index.js');
  ip('link', 'set', 'lo', 'up');
  const server = spawn('unshare', ['-n', process.execPath, self, 'serve'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(server.stdout, 'data');
  ip('link', 'add', 'c0', 'type', 'veth', 'peer', 'name', 's0', 'netns', String(server.pid));
  ip('addr', 'add', '203.0.113.100/24', 'dev', 'c0');
  ip('link', 'set', 'c0', 'up');
  server.stdin.write('go\n');
  await once(server.stdout, 'data');
  const servers = ['203.0.113.1', '203.0.113.2', '203.0.113.3'];
  const rounds = smoke ? 5 : 50;
  const loads = [];
  const trips = [];
  for (let i = 0; i < rounds; i++) {
    const began = performance.now();
    const nic = await Interface.load('c0', { servers });
    loads.push(performance.now() - began);
    if (!(nic.route() instanceof Route)) throw new Error('no route');
    trips.push(Math.max(...nic.route().evidence.observations[0].answers.map((answer) => answer.roundTripMs ?? 0)));
  }
  console.log(
    `Interface.load with three servers: ${median(loads).toFixed(2)} ms, its slowest round trip ${median(trips).toFixed(2)} ms (medians of ${rounds})`,
  );

  // At most 5,000 on an interface: the kernel walks all addresses of an interface to add one, and would take minutes.
  const turns = smoke ? 3 : 15;
  let held = 0;
  for (const many of smoke ? [50, 500] : [500, 5_000, 50_000]) {
    const batch = [];
    for (; held < many; held++) {
      const link = `n${Math.floor(held / 5_000)}`;
      if (held % 5_000 === 0) batch.push(`link add ${link} type veth peer name p${link}`);
      batch.push(`addr add 10.${held >> 16}.${(held >> 8) & 255}.${held & 255}/32 dev ${link}`);
      if (held % 5_000 === 0) batch.push(`link set ${link} up`, `link set p${link} up`);
    }
    const { status, stderr } = spawnSync('ip', ['-batch', '-'], { input: batch.join('\n'), encoding: 'utf8' });
    if (status !== 0) throw new Error(`ip -batch: ${stderr}`);
    const ours = [];
    const os = [];
    const names = [];
    const timed = (times, call) => {
      const began = performance.now();
      const result = call();
      times.push(performance.now() - began);
      return result;
    };
    // In turn, so that what disturbs one disturbs the other.
    for (let i = 0; i < turns; i++) {
      const all = timed(ours, () => listInterfaces({ details: true }));
      const nodes = timed(os, () => networkInterfaces());
      timed(names, () => listInterfaces());
      const found = all.reduce((sum, { addresses }) => sum + addresses.length, 0);
      const nodeFound = Object.values(nodes).reduce((sum, addresses) => sum + addresses.length, 0);
      if (found !== nodeFound || found < many)
        throw new Error(`routepool found ${found} addresses, node:os ${nodeFound}`);
    }
    const per = (times) => `${median(times).toFixed(2)} ms (${((median(times) / many) * 1_000).toFixed(2)} µs each)`;
    const ratios = ours.map((time, i) => os[i] / time);
    console.log(
      `listing ${many.toLocaleString('en-US')} addresses: routepool ${per(ours)}, node:os ${per(os)}, node:os takes ${spread(ratios)} times as long; names alone ${median(names).toFixed(2)} ms`,
    );
  }
  server.kill();
  process.exit(0);
} else {
  console.log(describeMachine());
  const flags = process.getuid?.() === 0 ? ['-n'] : ['-U', '-r', '-n'];
  const { status, error } = spawnSync(
    'unshare',
    [...flags, process.execPath, self, 'measure', ...(smoke ? ['--smoke'] : [])],
    { stdio: 'inherit' },
  );
  if (error || status !== 0)
    console.log(`SKIPPED: no network namespaces here (${error?.message ?? `unshare ended with ${status}`})`);
}
