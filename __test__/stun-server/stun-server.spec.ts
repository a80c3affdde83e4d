/** The STUN server through its public API; what it answers to which bytes is tested in Rust. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { StunServer } from '../../src/index.ts';

const open: (Socket | StunServer)[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

function listen(...options: Parameters<typeof StunServer.listen>): StunServer {
  const server = StunServer.listen(...options);
  open.push(server);
  return server;
}

/** A Binding request, with CHANGE-REQUEST if there are flags: 2 the port, 4 the address. */
function request(flags?: number): Buffer {
  const header = Buffer.from('000100002112a442000102030405060708090a0b', 'hex');
  if (flags === undefined) return header;
  header.writeUInt16BE(8, 2);
  return Buffer.concat([header, Buffer.from([0, 3, 0, 4, 0, 0, 0, flags])]);
}

/** Sends bytes from an address; gives the reply and where it came from. */
async function ask(bytes: Buffer, to: { address: string; port: number }, from = '127.0.0.77') {
  const socket = createSocket(to.address.includes(':') ? 'udp6' : 'udp4');
  open.push(socket);
  socket.bind(0, to.address.includes(':') ? '::1' : from);
  await once(socket, 'listening');
  socket.send(bytes, to.port, to.address);
  const [reply, sender] = (await once(socket, 'message')) as [Buffer, { address: string; port: number }];
  return { reply, sender: `${sender.address}:${sender.port}` };
}

/** The IPv4 attribute of a reply. */
function address(reply: Buffer, wanted: number): string | undefined {
  for (let at = 20; at < reply.length; at += 4 + ((reply.readUInt16BE(at + 2) + 3) & ~3)) {
    if (reply.readUInt16BE(at) === wanted)
      return `${[...reply.subarray(at + 8, at + 12)].join('.')}:${reply.readUInt16BE(at + 6)}`;
  }
  return undefined;
}

test('two addresses answer from the one, the other, and each of their ports', async () => {
  const server = listen({ address: ['127.0.0.1', '127.0.0.2'] });
  expect(server.endpoints).toHaveLength(4);
  expect(server.endpoints[0]).toEqual({ address: server.address, port: server.port, advertised: '127.0.0.1' });
  const names = server.endpoints.map((endpoint) => `${endpoint.address}:${endpoint.port}`);
  for (const [flags, differs] of [
    [undefined, 0],
    [0, 0],
    [2, 1],
    [4, 2],
    [6, 3],
  ] as const) {
    for (const [at, endpoint] of server.endpoints.entries()) {
      const { reply, sender } = await ask(request(flags), endpoint);
      expect(sender).toBe(names[at ^ differs]);
      expect(address(reply, 0x802b)).toBe(sender);
      expect(address(reply, 0x802c)).toBe(names[at ^ 3]);
    }
  }
  // Closed, so that all is counted.
  await server.close();
  const { requests, replies, ignored } = server.counters();
  expect({ requests, replies, ignored }).toEqual({ requests: 20, replies: 20, ignored: 0 });
});

test('one address is a plain server, and what it cannot do it refuses by 420', async () => {
  const server = listen();
  expect(server.endpoints).toHaveLength(1);
  const { reply } = await ask(request(6), server);
  expect(reply.subarray(0, 2).toString('hex')).toBe('0111');
  expect([...reply.subarray(26, 28)]).toEqual([4, 20]);
  expect(address((await ask(request(), server)).reply, 0x802c)).toBeUndefined();
  await server.close();
  expect(server.counters()).toMatchObject({ replies: 2, errors: 1 });
});

test('advertised addresses are told in place of the bound ones', async () => {
  const server = listen({ address: ['127.0.0.1', '127.0.0.2'], advertise: ['198.51.100.1', '198.51.100.2'] });
  const { reply, sender } = await ask(request(), server);
  expect(sender).toBe(`127.0.0.1:${server.port}`);
  expect(address(reply, 0x802b)).toBe(`198.51.100.1:${server.port}`);
  expect(address(reply, 0x802c)).toBe(`198.51.100.2:${server.endpoints[3]?.port}`);
});

test('both families at once', async () => {
  const server = listen({ address: ['127.0.0.1', '::1'] });
  expect(server.endpoints.map((endpoint) => endpoint.address)).toEqual(['127.0.0.1', '::1']);
  for (const endpoint of server.endpoints) expect((await ask(request(), endpoint)).reply.readUInt16BE(0)).toBe(0x0101);
});

// Sharing a port is offered on Linux only.
test.skipIf(process.platform !== 'linux')(
  'several workers share the ports, and the counters are those of all',
  async () => {
    const server = listen({ address: ['127.0.0.1', '127.0.0.2'], workers: 3 });
    for (let i = 0; i < 30; i++) await ask(request(6), server, `127.0.1.${i}`);
    await server.close();
    expect(server.counters()).toMatchObject({ requests: 30, replies: 30 });
  },
);

test('clients of RFC 3489 are answered when that is on, and counted when it is off', async () => {
  const old = request();
  old.writeUInt32BE(0x01020304, 4);
  const strict = listen();
  const socket = createSocket('udp4');
  open.push(socket);
  socket.send(old, strict.port, strict.address);
  await expect.poll(() => strict.counters().reasons['no-cookie']).toBe(1);
  const server = listen({ address: ['127.0.0.1', '127.0.0.2'], rfc3489: true });
  const { reply } = await ask(old, server);
  expect(address(reply, 4)).toBe(`${server.address}:${server.port}`);
  expect(address(reply, 5)).toBe(`127.0.0.2:${server.endpoints[3]?.port}`);
});

test('what is wrong with the options is said by name, and nothing stays open', async () => {
  const wrong = (options: object) => () => StunServer.listen(options);
  for (const [options, option] of [
    [{ address: [] }, 'address'],
    [{ address: ['127.0.0.1', 7] }, 'address'],
    [{ address: 'localhost' }, 'address'],
    [{ address: ['127.0.0.1', '127.0.0.1'] }, 'address'],
    [{ address: '0.0.0.0' }, 'address'],
    [{ advertise: ['192.0.2.1', '192.0.2.2'] }, 'advertise'],
    [{ advertise: 'me' }, 'advertise'],
    [{ advertise: '0.0.0.0' }, 'advertise'],
    [{ advertise: '224.0.0.1' }, 'advertise'],
    [{ port: 70_000 }, 'port'],
    [{ address: ['127.0.0.1', '127.0.0.2'], port: 3478, otherPort: 3478 }, 'otherPort'],
    [{ workers: 0 }, 'workers'],
    [{ rfc3489: 'yes' }, 'rfc3489'],
    [{ software: 7 }, 'software'],
    [{ tcp: 1 }, 'tcp'],
    [{ allow: [] }, 'allow'],
    [{ allow: ['10.0.0.0/8', 'everybody'] }, 'allow'],
    [{ ratePerPrefix: -1 }, 'ratePerPrefix'],
    [{ hostname: '127.0.0.1' }, 'hostname'],
  ] as const) {
    expect(wrong(options), JSON.stringify(options)).toThrow(
      expect.objectContaining({ code: 'ERR_ROUTEPOOL_OPTION', option }),
    );
  }
  // Addresses that nobody else has ports of.
  const server = listen({ address: '127.83.0.2' });
  expect(wrong({ address: ['127.83.0.1', '127.83.0.2'], port: server.port })).toThrow(
    `bind EADDRINUSE 127.83.0.2:${server.port}`,
  );
});

test('over TCP, with TCP alone told of', async () => {
  const server = listen({ tcp: true });
  const socket = connect(server.port, server.address);
  socket.write(request());
  const [reply] = (await once(socket, 'data')) as [Buffer];
  expect(reply.readUInt16BE(0)).toBe(0x0101);
  socket.destroy();
  expect(server.counters()).toMatchObject({ connections: 1, replies: 1 });
});

test('metrics are Prometheus text, and the counts are those of counters()', async () => {
  const server = listen({ address: ['127.0.0.1', '127.0.0.2'], allow: '127.0.0.77' });
  await ask(request(), server);
  await ask(Buffer.concat([request(6).subarray(0, 22), Buffer.from([0, 0, 0, 0, 0, 0])]), server);
  const stranger = createSocket('udp4');
  open.push(stranger);
  stranger.send(request(), server.port, server.address);
  await expect.poll(() => server.counters().reasons['not-allowed']).toBe(1);
  const lines = server.metrics().trimEnd().split('\n');
  for (const line of lines)
    expect(line).toMatch(
      /^(# (HELP|TYPE) routepool_stun_[a-z_]+ .+|routepool_stun_[a-z_]+(\{([a-z]+="[^"]*",?)+\})? \d+)$/,
    );
  expect(lines).toContain('routepool_stun_requests_total 3');
  expect(lines).toContain('routepool_stun_replies_total{class="success"} 1');
  expect(lines).toContain('routepool_stun_replies_total{class="error"} 1');
  expect(lines).toContain('routepool_stun_ignored_total{reason="not-allowed"} 1');
  expect(lines).toContain(
    `routepool_stun_endpoint_info{address="127.0.0.1",port="${server.port}",advertised="127.0.0.1"} 1`,
  );
});
