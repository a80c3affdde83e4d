/** Local ports of many connections: one port serves once for each destination (IP_BIND_ADDRESS_NO_PORT). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Namespace, whyNoNamespaces } from '../lab/namespaces.ts';

const why = whyNoNamespaces();
if (why !== undefined) console.log(`SKIPPED: ${why}`);

describe.skipIf(why !== undefined)('a source with few ports', () => {
  let space: Namespace;
  beforeAll(async () => {
    space = await Namespace.create();
  });
  afterAll(() => space?.close());

  it('connects from each port to each destination', () => {
    const url = new URL('../../dist/index.js', import.meta.url).href;
    const code = `
      import { createServer } from 'node:net';
      import { once } from 'node:events';
      import { writeFileSync } from 'node:fs';
      const { pipeOpen, TCP, validate } = await import('${url}');
      const pool = await validate('127.60.0.0/30').pool();
      const servers = await Promise.all([1, 2, 3].map(async () => {
        const server = createServer(() => {}).listen(0, '127.0.0.1');
        await once(server, 'listening');
        return server.address().port;
      }));
      writeFileSync('/proc/sys/net/ipv4/ip_local_port_range', '40000 40009');
      const open = async (k, n) => pipeOpen(TCP, ['127.0.0.1', servers[n]], pool.at(k));
      const all = [];
      for (const k of [0, 1]) for (const n of [0, 1, 2]) for (let i = 0; i < 10; i++) all.push(await open(k, n));
      const tuples = new Set(all.map((p) => [p.local, p.remote].join(' ')));
      const ports = new Set(all.map((p) => p.localPort));
      const more = await open(0, 0).then(() => 'opened', (error) => [error.code, error.syscall, error.localAddress].join(' '));
      console.log(JSON.stringify([all.length, tuples.size, ports.size, more]));
      process.exit(0);`;
    const output = space.run(process.execPath, '--input-type=module', '-e', code);
    // 60 connections of two sources with ten ports; the 31st of a source to a destination has no port left.
    expect(JSON.parse(output)).toEqual([60, 60, 10, expect.stringMatching(/^EADDRNOTAVAIL connect/)]);
  });
});
