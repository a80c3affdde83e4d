// node scripts/build/targets/smoke.mjs: what each built addon has to do, on the platform that this process runs on. The
// addon is the one that ROUTEPOOL_BINDING names. Every socket stays on loopback. Prints one line of JSON; any failure
// ends with exit code 1.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

// An installed package in place of the checkout's, where a check of tarballs names it.
const { capabilities, listInterfaces, StunServer, validate } = await import(
  process.env.ROUTEPOOL_SMOKE ?? '../../../dist/index.js'
);

// macOS has 127.0.0.1 alone, and wine lets other addresses be bound but sends from 127.0.0.1: asked of the system
// without routepool.
const wholeLoopback = await keepsSource('127.16.0.5');
const [block, total] = wholeLoopback ? ['127.16.0.0/26', 64] : ['127.0.0.1/32', 1];

async function keepsSource(address) {
  const [server, client] = [createSocket('udp4'), createSocket('udp4')];
  try {
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    client.bind(0, address);
    await once(client, 'listening');
    const [[, from]] = await Promise.all([
      once(server, 'message'),
      client.send('x', server.address().port, '127.0.0.1'),
    ]);
    return from.address === address;
  } catch {
    return false;
  } finally {
    server.close();
    client.close();
  }
}

// Not node:assert: its errors ask the terminal for colours, and not every Node has a usable one (wine).
function check(holds, what) {
  if (!holds) throw new Error(what);
}

const interfaces = listInterfaces({ details: true });
const loopback = interfaces.find((facts) => facts.kind === 'loopback');
check(wholeLoopback || process.platform !== 'linux', 'a datagram from 127.16.0.5 leaves as another address');
check(loopback, `no loopback interface among ${interfaces.map((facts) => facts.name).join(', ')}`);
check(
  loopback.addresses.some((address) => address.ip === '127.0.0.1'),
  'loopback holds 127.0.0.1',
);

const server = StunServer.listen({ address: '127.0.0.1' });
const asked = `${server.address}:${server.port}`;
const sweeps = {};
for (const sockets of ['one', 'per-source']) {
  const run = validate(block, { servers: asked, sockets, timeoutMs: 1_000, seed: 7 });
  const { counts } = await run.summary();
  check(counts.ok === total, `${sockets}: ${JSON.stringify(counts)}`);
  const pool = await run.pool();
  check(pool.length === total, `${sockets}: a pool of ${pool.length}`);
  sweeps[sockets] = total;
}
// The sources are the sockets' own: two of them are seen by the server as two.
if (wholeLoopback) {
  const run = validate('127.16.0.1-127.16.0.2', { servers: asked, timeoutMs: 1_000 });
  const seen = [];
  for await (const verdict of run) seen.push([verdict.status, verdict.ip]);
  check(seen.toSorted().join(' ') === 'ok,127.16.0.1 ok,127.16.0.2', `the sources were seen as ${seen.join(' ')}`);
}
// A port that is taken is a system error in Node's shape, with the number that this platform's Node has a name for.
let refused;
try {
  StunServer.listen({ address: '127.0.0.1', port: server.port });
} catch (error) {
  refused = error;
}
check(refused?.code === 'EADDRINUSE' && refused.syscall === 'bind', `a port that is taken: ${refused}`);
await server.close();

console.log(
  JSON.stringify({
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
    interfaces: interfaces.map(
      (facts) =>
        `${facts.name} (${facts.kind}, ${facts.addresses.length} addresses, ${facts.gateways.length} gateways)`,
    ),
    sweeps,
    without: capabilities()
      .filter((capability) => !capability.available)
      .map((capability) => capability.name),
  }),
);
