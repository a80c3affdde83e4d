/** TCP daemons: at one address, at many, at a block; who is answered from where, and what cannot be listened at. */
import { once } from 'node:events';
import http from 'node:http';
import { connect, createServer, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { Daemon, pipeOpen, TCP, UDP } from '../../src/index.ts';
import { AddressSet } from '../../src/daemon/address-set.ts';
import { Endpoint } from '../../src/address/endpoint.ts';
import { cleanUp, client, closers, daemon, hasIpv6, pool } from '../helpers/daemons.ts';

cleanUp();

describe('a TCP daemon', () => {
  it('at a pool serves all its addresses with one socket, and says which one was asked', async () => {
    const server = daemon();
    const group = await server.listen(TCP, 0, pool);
    expect(group.servers.length).toBe(1);
    expect(group.servers[0]).toMatchObject({
      protocol: 'tcp',
      address: '0.0.0.0',
      family: 4,
      isShared: true,
      externalAddress: undefined,
      closed: false,
    });
    server.on(
      'pipe',
      (pipe) =>
        void pipe
          .send(`${pipe.localAddress} ${pipe.externalAddress} ${pipe.route?.ext()} ${pipe.remoteAddress}`)
          .then(() => pipe.close()),
    );
    for (const host of ['127.86.0.0', '127.86.0.77', '127.86.0.255']) {
      const socket = await client(host, group.port, '127.87.0.1');
      expect([socket.remoteAddress, await text(socket)]).toEqual([host, `${host} ${host} ${host} 127.87.0.1`]);
    }
    expect(group.servers[0]?.routeOf('127.86.0.9')?.ext()).toBe('127.86.0.9');
    expect(group.servers[0]?.routeOf('127.87.0.9')).toBeUndefined();
  });

  it('does not serve an address beside its block', async () => {
    const group = await daemon().listen(TCP, 0, '127.86.0.0/24');
    const socket = connect({ host: '127.86.1.0', port: group.port });
    // It is reset, perhaps before it knows that it was connected.
    await new Promise((done) => socket.on('error', () => undefined).on('close', done));
    expect(group.servers[0]?.counters()).toEqual({ accepted: 0, refused: 0, ignored: 1, kernelDrops: 0 });
  });

  it('at a few addresses has a socket for each, all at one port, each with its external address', async () => {
    const group = await daemon().listen(TCP, 0, pool.slice(3, 6));
    const facts = group.servers.map(({ address, port, externalAddress, isShared }) => ({
      address,
      port,
      externalAddress,
      isShared,
    }));
    expect(facts).toEqual(
      [3, 4, 5].map((k) => ({
        address: `127.86.0.${k}`,
        port: group.port,
        externalAddress: `127.86.0.${k}`,
        isShared: false,
      })),
    );
  });

  it('listens at routes, bound routes, addresses and ranges alike, each address once', async () => {
    const bound = await pool.at(9)?.bind();
    const group = await daemon().listen(TCP, 0, [
      pool.at(8) ?? '',
      bound ?? '',
      '127.86.0.8',
      '127.86.0.10-127.86.0.11',
      '127.86.0.12/31',
    ]);
    expect(group.servers.map((each) => each.address).toSorted()).toEqual(
      ['8', '9', '10', '11', '12', '13'].map((k) => `127.86.0.${k}`).toSorted(),
    );
    const port = group.port;
    await group.close();
    const again = (await pool.at(9)?.bind({ port })) ?? '';
    const listened = () =>
      daemon()
        .listen(TCP, 0, again)
        .catch(() => undefined);
    let second: Awaited<ReturnType<typeof listened>>;
    while ((second = await listened()) === undefined) await new Promise(setImmediate);
    expect(second.port).toBe(port);
  });

  it('puts one socket or one per address as asked', async () => {
    const one = await daemon().listen(TCP, 0, ['127.86.0.1', '127.86.0.2'], { sockets: 'one' });
    expect(one.servers.map(String)).toEqual([`tcp 0.0.0.0:${one.port}`]);
    const each = await daemon().listen(TCP, 0, '127.86.0.0/25', { sockets: 'per-address' });
    expect(each.servers.length).toBe(128);
  });

  it('carries http, through the stream of each pipe', async () => {
    const web = http.createServer((request, response) => response.end(`${request.socket.localAddress} ${request.url}`));
    const server = daemon();
    server.on('pipe', (pipe) => web.emit('connection', pipe.stream()));
    const { port } = await server.listen(TCP, 0, pool);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    closers.push(() => agent.destroy());
    for (const path of ['/a', '/b']) {
      const [response] = (await once(http.get({ host: '127.86.0.5', port, path, agent }), 'response')) as [
        http.IncomingMessage,
      ];
      expect(await text(response)).toBe(`127.86.0.5 ${path}`);
      await new Promise(setImmediate);
    }
    expect(server.connections).toBe(1);
  });

  it.skipIf(!hasIpv6)('has both families side by side', async () => {
    const server = daemon();
    server.on('pipe', (pipe) => void pipe.send(`${pipe.localAddress} ${pipe.remoteAddress}`).then(() => pipe.close()));
    const group = await server.listenLoopback(TCP, 0);
    expect(group.servers.map((each) => each.address)).toEqual(['127.0.0.1', '::1']);
    for (const host of ['127.0.0.1', '::1']) expect(await text(await client(host, group.port))).toBe(`${host} ${host}`);
  });

  it.skipIf(!hasIpv6).each([
    [true, ['0.0.0.0', '::']],
    [false, ['::']],
    [undefined, ['0.0.0.0', '::']],
  ])('at all addresses with v6only %s shows IPv4 peers as IPv4', async (v6only, addresses) => {
    const server = daemon();
    server.on('pipe', (pipe) => void pipe.send(`${pipe.localAddress} ${pipe.remoteAddress}`).then(() => pipe.close()));
    const group = await server.listenAll(TCP, 0, v6only === undefined ? {} : { v6only });
    expect(group.servers.map((each) => each.address)).toEqual(addresses);
    for (const host of ['127.0.0.1', '127.86.0.3', '::1'])
      expect((await text(await client(host, group.port))).split(' ')[0]).toBe(host);
  });

  it.skipIf(!hasIpv6)('at :: alone takes IPv4 only when told so', async () => {
    const six = await daemon().listen(TCP, 0, '::');
    await expect(client('127.0.0.1', six.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    const both = await daemon().listen(TCP, 0, '::', { v6only: false });
    await client('127.0.0.1', both.port);
  });
});

describe('what cannot be listened at', () => {
  const occupy = async (address: string): Promise<number> => {
    const taken = createServer().listen(0, address);
    await once(taken, 'listening');
    closers.push(() => new Promise((done) => taken.close(done)));
    return (taken.address() as AddressInfo).port;
  };
  const three = ['127.86.0.1', '127.86.0.2', '127.86.0.3'];

  it('is told by name, and the others are closed again', async () => {
    const port = await occupy('127.86.0.2');
    const server = daemon();
    const error: unknown = await server.listen(TCP, port, three).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'EADDRINUSE',
      address: '127.86.0.2',
      port,
      message: `bind EADDRINUSE 127.86.0.2:${port}`,
    });
    expect((error as { failures: unknown[] }).failures).toMatchObject([
      { address: '127.86.0.2', port, error: { code: 'EADDRINUSE' } },
    ]);
    expect(String((error as Error).stack)).toContain('daemon.spec.ts');
    expect(server.servers).toEqual([]);
    const others = () =>
      daemon()
        .listen(TCP, port, ['127.86.0.1', '127.86.0.3'])
        .catch(() => undefined);
    while ((await others()) === undefined) await new Promise(setImmediate);
  });

  it('is left out where that is allowed', async () => {
    const port = await occupy('127.86.0.2');
    const group = await daemon().listen(TCP, port, three, { allowPartial: true });
    expect(group.servers.map((each) => each.address)).toEqual(['127.86.0.1', '127.86.0.3']);
    expect(group.failed).toMatchObject([
      { address: '127.86.0.2', port, error: { code: 'EADDRINUSE', syscall: 'bind' } },
    ]);
    await client('127.86.0.3', port);
    await expect(daemon().listen(TCP, port, '127.86.0.2', { allowPartial: true })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
  });

  it.each<[string, unknown[], object]>([
    [
      'an address of somebody else',
      [TCP, 0, '203.0.113.7'],
      { code: 'EADDRNOTAVAIL', syscall: 'bind', address: '203.0.113.7' },
    ],
    ['a block of somebody else', [UDP, 0, '203.0.113.0/24'], { code: 'ERR_ROUTEPOOL_NOT_LOCAL' }],
    ['a port of root', [TCP, 65_536, '127.0.0.1'], { code: 'ERR_ROUTEPOOL_OPTION', option: 'port' }],
    ['a port that is none', [TCP, '80', '127.0.0.1'], { code: 'ERR_ROUTEPOOL_OPTION', option: 'port' }],
    ['no port', [TCP, undefined, '127.0.0.1'], { code: 'ERR_ROUTEPOOL_OPTION', option: 'port' }],
    ['a protocol that is none', ['sctp', 0, '127.0.0.1'], { code: 'ERR_ROUTEPOOL_OPTION', option: 'protocol' }],
    ['nowhere', [TCP, 0, []], { code: 'ERR_ROUTEPOOL_OPTION', option: 'where' }],
    ['a name', [TCP, 0, 'localhost'], { code: 'ERR_ROUTEPOOL_OPTION', option: 'where' }],
    ['a number', [TCP, 0, 7], { code: 'ERR_ROUTEPOOL_OPTION', option: 'where' }],
    ['a prefix that is too long', [TCP, 0, '10.0.0.0/33'], { code: 'ERR_ROUTEPOOL_BLOCK', option: 'where' }],
    [
      'more sockets than there can be',
      [TCP, 0, '127.0.0.0/8', { sockets: 'per-address' }],
      { code: 'ERR_ROUTEPOOL_OPTION', option: 'sockets' },
    ],
    [
      'an option that there is not',
      [TCP, 0, '127.0.0.1', { partial: true }],
      { code: 'ERR_ROUTEPOOL_OPTION', message: expect.stringMatching(/allowPartial/) as string },
    ],
    [
      'an interface with a NUL in its name',
      [TCP, 0, '127.0.0.1', { interface: 'lo\0' }],
      { code: 'ERR_ROUTEPOOL_OPTION', option: 'interface' },
    ],
    [
      'an interface that there is not',
      [TCP, 0, '127.0.0.1', { interface: 'no-such0' }],
      { code: 'ENODEV', syscall: 'setsockopt' },
    ],
  ])('%s', async (_name, args, error) => {
    const listen = (...all: unknown[]) => daemon().listen(...(all as Parameters<Daemon['listen']>));
    await expect(listen(...args)).rejects.toMatchObject(error);
  });

  it('an empty pool, a closed daemon, and an interface of another name say so', async () => {
    await expect(daemon().listen(TCP, 0, pool.slice(0, 0))).rejects.toMatchObject({
      code: 'ERR_ROUTEPOOL_NO_ROUTE',
      message: expect.stringMatching(/no address to listen at/) as string,
    });
    await expect(daemon().listenAll(TCP, 0, null as never)).rejects.toMatchObject({
      code: 'ERR_ROUTEPOOL_OPTION',
      option: 'options',
    });
    await expect(daemon().listenLocal(TCP, 0, 'no-such0')).rejects.toMatchObject({
      code: 'ERR_ROUTEPOOL_NO_INTERFACE',
    });
    await expect(daemon().listenLocal(TCP, 0, 'lo')).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_NO_ROUTE' });
    const over = new Daemon();
    await over.close();
    await expect(over.listen(TCP, 0, '127.0.0.1')).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_CLOSED' });
    expect(() => new Daemon({ maxConnections: 0 })).toThrow(/from 1 to 1000000 for `maxConnections`/);
    expect(() => new Daemon({ maxConnection: 1 } as never)).toThrow(/did you mean `maxConnections`/);
  });
});

it('a set of ranges knows what is in it', () => {
  const packed = (text: string) => Endpoint.of(text, 0).packed.slice(0, 16);
  const ranges = [
    ['10.0.0.5', '10.0.0.9'],
    ['10.0.1.0', '10.0.1.0'],
    ['200.0.0.0', '255.255.255.255'],
  ];
  const set = new AddressSet(Buffer.concat(ranges.flat().map(packed)));
  const known: [string, boolean][] = [
    ['10.0.0.4', false],
    ['10.0.0.5', true],
    ['10.0.0.9', true],
    ['10.0.0.10', false],
    ['10.0.1.0', true],
    ['10.0.1.1', false],
    ['199.255.255.255', false],
    ['255.255.255.255', true],
    ['0.0.0.0', false],
  ];
  for (const [ip, want] of known) expect([ip, set.has(packed(ip))]).toEqual([ip, want]);
  expect(new AddressSet(new Uint8Array(0)).has(packed('10.0.0.5'))).toBe(false);
});

it('a pipe to a daemon is answered, from a route to a route', async () => {
  const server = daemon().addMessageListener((data, _from, pipe) => void pipe.send(`${String(data)} back`));
  for (const protocol of [TCP, UDP] as const) {
    const { port } = await server.listen(protocol, 0, pool);
    const pipe = await pipeOpen(protocol, ['127.86.0.250', port], pool.at(99));
    closers.push(() => pipe.close());
    await pipe.send('there and');
    expect(String(await pipe.recv())).toBe('there and back');
  }
});
