// Interfaces, in network namespaces of its own: loading one against the round trip to the servers, and listing 5,000
// addresses against node:os.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { fileURLToPath } from 'node:url';

const [role = 'main'] = process.argv.slice(2);
const smoke = process.argv.includes('--smoke');
const self = fileURLToPath(import.meta.url);
const ip = (...args) => {
  const { status, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${error ?? stderr}`);
};

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

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
  const stunServers = ['203.0.113.1', '203.0.113.2', '203.0.113.3'];
  const rounds = smoke ? 5 : 50;
  const loads = [];
  const trips = [];
  for (let i = 0; i < rounds; i++) {
    const began = performance.now();
    const nic = await Interface.load('c0', { stunServers });
    loads.push(performance.now() - began);
    if (!(nic.route() instanceof Route)) throw new Error('no route');
    trips.push(Math.max(...nic.route().evidence.observations[0].answers.map((answer) => answer.roundTripMs ?? 0)));
  }
  console.log(`Interface.load with three servers: ${median(loads).toFixed(2)} ms, its slowest round trip ${median(trips).toFixed(2)} ms (medians of ${rounds})`);

  const many = smoke ? 500 : 5_000;
  const batch = Array.from({ length: many }, (_, i) => `addr add 10.1.${i >> 8}.${i & 255}/32 dev c0`).join('\n');
  spawnSync('ip', ['-batch', '-'], { input: batch });
  const time = (call) => {
    const times = [];
    for (let i = 0; i < (smoke ? 3 : 15); i++) {
      const began = performance.now();
      call();
      times.push(performance.now() - began);
    }
    return median(times);
  };
  const found = listInterfaces({ details: true }).find(({ name }) => name === 'c0').addresses.length;
  const os = networkInterfaces().c0.length;
  const ours = time(() => listInterfaces({ details: true }));
  const node = time(() => networkInterfaces());
  console.log(`listing ${found.toLocaleString('en-US')} addresses: routepool ${ours.toFixed(1)} ms, node:os ${node.toFixed(1)} ms (${os.toLocaleString('en-US')} addresses), ratio ${(node / ours).toFixed(2)}`);
  server.kill();
  process.exit(0);
} else {
  const flags = process.getuid?.() === 0 ? ['-n'] : ['-U', '-r', '-n'];
  const { status, error } = spawnSync('unshare', [...flags, process.execPath, self, 'measure', ...(smoke ? ['--smoke'] : [])], { stdio: 'inherit' });
  if (error || status !== 0) console.log(`SKIPPED: no network namespaces here (${error?.message ?? `unshare ended with ${status}`})`);
}
