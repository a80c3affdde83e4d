// node scripts/targets/smoke.mjs: what each built addon has to do, on the platform that this process runs on. The addon is the
// one that ROUTEPOOL_BINDING names. Every socket stays on loopback. Prints one line of JSON; any failure ends with exit code 1.
import assert from 'node:assert/strict';
import { capabilities, listInterfaces, StunServer, validate } from '../../dist/index.js';

// On macOS loopback is 127.0.0.1 alone.
const wholeLoopback = process.platform === 'linux' || process.platform === 'win32';
const [block, total] = wholeLoopback ? ['127.16.0.0/26', 64] : ['127.0.0.1/32', 1];

const interfaces = listInterfaces({ details: true });
const loopback = interfaces.find((facts) => facts.kind === 'loopback');
assert.ok(loopback, `no loopback interface among ${interfaces.map((facts) => facts.name).join(', ')}`);
assert.ok(loopback.addresses.some((address) => address.ip === '127.0.0.1'), 'loopback holds 127.0.0.1');

const server = StunServer.listen({ address: '127.0.0.1' });
const asked = `${server.address}:${server.port}`;
const sweeps = {};
for (const sockets of ['one', 'per-source']) {
  const run = validate(block, { server: asked, sockets, timeoutMs: 1_000, seed: 7 });
  const { counts } = await run.summary();
  assert.equal(counts.ok, total, `${sockets}: ${JSON.stringify(counts)}`);
  const pool = await run.pool();
  assert.equal(pool.length, total);
  sweeps[sockets] = total;
}
// The sources are the sockets' own: two of them are seen by the server as two.
if (wholeLoopback) {
  const run = validate('127.16.0.1-127.16.0.2', { server: asked, timeoutMs: 1_000 });
  const seen = [];
  for await (const verdict of run) seen.push([verdict.status, verdict.ip]);
  assert.deepEqual(seen.toSorted(), [['ok', '127.16.0.1'], ['ok', '127.16.0.2']]);
}
// A port that is taken is a system error in Node's shape, with the number that this platform's Node has a name for.
assert.throws(() => StunServer.listen({ address: '127.0.0.1', port: server.port }), { code: 'EADDRINUSE', syscall: 'bind' });
await server.close();

console.log(
  JSON.stringify({
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
    interfaces: interfaces.map((facts) => `${facts.name} (${facts.kind}, ${facts.addresses.length} addresses, ${facts.gateways.length} gateways)`),
    sweeps,
    without: capabilities()
      .filter((capability) => !capability.available)
      .map((capability) => capability.name),
  }),
);
