/** Daemons: at one address, at many, at a block; who is answered from where, limits, failures, the end. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import http from 'node:http';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Daemon, listInterfaces, pipeOpen, TCP, UDP, validate, type DaemonOptions, type Pipe, type RoutePool } from '../src/index.ts';
import { AddressSet } from '../src/daemon/address-set.ts';
import { Endpoint } from '../src/pipe/endpoint.ts';

let pool: RoutePool;
beforeAll(async () => {
  pool = await validate('127.86.0.0/24').pool();
});

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

function daemon(options?: DaemonOptions): Daemon {
  const made = new Daemon(options);
  closers.push(() => made.close());
  return made;
}

async function client(host: string, port: number, localAddress?: string): Promise<Socket> {
  const socket = connect({ host, port, ...(localAddress === undefined ? {} : { localAddress }) });
  closers.push(() => socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Asks over UDP with a connected socket: the kernel lets nothing else through than the answer of the address that was asked. */
async function ask(host: string, port: number, question = 'who'): Promise<string> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  closers.push(() => new Promise<void>((done) => socket.close(done)));
  socket.connect(port, host);
  await once(socket, 'connect');
  socket.send(question);
  return String(((await once(socket, 'message')) as [Buffer])[0]);
}

const hasIpv6 = listInterfaces({ details: true }).some((facts) => facts.addresses.some((address) => address.ip === '::1'));
if (!hasIpv6) console.warn('skipped: IPv6, since this machine has no ::1');

describe('a TCP daemon', () => {
  it('at a pool serves all its addresses with one socket, and says which one was asked', async () => {
    const server = daemon();
    const group = await server.listen(TCP, 0, pool);
    expect(group.servers.length).toBe(1);
    expect(group.servers[0]).toMatchObject({ protocol: 'tcp', address: '0.0.0.0', family: 4, isShared: true, externalAddress: undefined, closed: false });
    server.on('pipe', (pipe) => void pipe.send(`${pipe.localAddress} ${pipe.externalAddress} ${pipe.route?.ext()} ${pipe.remoteAddress}`).then(() => pipe.close()));
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
    const facts = group.servers.map(({ address, port, externalAddress, isShared }) => ({ address, port, externalAddress, isShared }));
    expect(facts).toEqual([3, 4, 5].map((k) => ({ address: `127.86.0.${k}`, port: group.port, externalAddress: `127.86.0.${k}`, isShared: false })));
  });

  it('listens at routes, bound routes, addresses and ranges alike, each address once', async () => {
    const bound = await pool.at(9)?.bind();
    const group = await daemon().listen(TCP, 0, [pool.at(8) ?? '', bound ?? '', '127.86.0.8', '127.86.0.10-127.86.0.11', '127.86.0.12/31']);
    expect(group.servers.map((each) => each.address).toSorted()).toEqual(['8', '9', '10', '11', '12', '13'].map((k) => `127.86.0.${k}`).toSorted());
    const port = group.port;
    await group.close();
    const again = (await pool.at(9)?.bind({ port })) ?? '';
    const listened = () => daemon().listen(TCP, 0, again).catch(() => undefined);
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
      const [response] = (await once(http.get({ host: '127.86.0.5', port, path, agent }), 'response')) as [http.IncomingMessage];
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
    for (const host of ['127.0.0.1', '127.86.0.3', '::1']) expect((await text(await client(host, group.port))).split(' ')[0]).toBe(host);
  });

  it.skipIf(!hasIpv6)('at :: alone takes IPv4 only when told so', async () => {
    const six = await daemon().listen(TCP, 0, '::');
    await expect(client('127.0.0.1', six.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    const both = await daemon().listen(TCP, 0, '::', { v6only: false });
    await client('127.0.0.1', both.port);
  });
});

describe('a UDP daemon', () => {
  const mirror = (pipe: Pipe) => void pipe.addMessageListener((data) => void pipe.send(`${String(data)} ${pipe.localAddress} ${pipe.externalAddress}`));

  it('at a block is one socket, and answers from the address that was asked', async () => {
    const server = daemon().addUpListener(mirror);
    const group = await server.listen(UDP, 0, pool);
    expect(group.servers.map((each) => [each.protocol, each.address])).toEqual([['udp', '0.0.0.0']]);
    const hosts = Array.from({ length: 40 }, (_, k) => `127.86.0.${k * 6}`);
    expect(await Promise.all(hosts.map((host) => ask(host, group.port)))).toEqual(hosts.map((host) => `who ${host} ${host}`));
    expect(server.connections).toBe(40);
  });

  it('at single addresses answers from each', async () => {
    const group = await daemon().addUpListener(mirror).listen(UDP, 0, ['127.86.0.1', '127.86.0.2']);
    expect(group.servers.map((each) => each.isShared)).toEqual([false, false]);
    expect(await ask('127.86.0.2', group.port)).toBe('who 127.86.0.2 undefined');
  });

  it.skipIf(!hasIpv6).each([true, false])('at all addresses answers from the one that was asked (v6only %s)', async (v6only) => {
    const group = await daemon().addUpListener(mirror).listenAll(UDP, 0, { v6only });
    for (const host of ['127.0.0.1', '127.86.0.200', '::1']) expect(await ask(host, group.port)).toBe(`who ${host} undefined`);
  });

  it('has one pipe for a peer and an address, and another for the same peer and another address', async () => {
    const server = daemon();
    const group = await server.listen(UDP, 0, pool);
    const socket: UdpSocket = createSocket('udp4');
    closers.push(() => new Promise<void>((done) => socket.close(done)));
    for (const host of ['127.86.0.1', '127.86.0.1', '127.86.0.2', '127.86.0.1']) socket.send(host, group.port, host);
    const [first, second] = [await server.accept(), await server.accept()];
    const all = async (pipe: Pipe | null | undefined, count: number) => Promise.all(Array.from({ length: count }, async () => String(await pipe?.recv())));
    expect(await all(first, 3)).toEqual(['127.86.0.1', '127.86.0.1', '127.86.0.1']);
    expect(await all(second, 1)).toEqual(['127.86.0.2']);
    expect(first?.remotePort).toBe(second?.remotePort);
  });

  it('does not hear what is for another address', async () => {
    const server = daemon();
    const group = await server.listen(UDP, 0, pool);
    const socket = createSocket('udp4');
    closers.push(() => new Promise<void>((done) => socket.close(done)));
    socket.send('x', group.port, '127.88.0.1');
    socket.send('y', group.port, '127.86.0.1');
    expect(String(await (await server.accept())?.recv())).toBe('y');
    expect(group.servers[0]?.counters()).toMatchObject({ accepted: 1, ignored: 1 });
  });

  it('forgets a peer that is silent, and knows it anew', async () => {
    const server = daemon({ peerTimeoutMs: 30 });
    const group = await server.listen(UDP, 0, '127.86.0.1');
    const socket = createSocket('udp4');
    closers.push(() => new Promise<void>((done) => socket.close(done)));
    socket.send('one', group.port, '127.86.0.1');
    const first = await server.accept();
    expect(String(await first?.recv())).toBe('one');
    expect(await first?.recv()).toBeNull();
    while (server.connections > 0) await new Promise(setImmediate);
    socket.send('two', group.port, '127.86.0.1');
    const second = await server.accept();
    expect([String(await second?.recv()), second === first]).toEqual(['two', false]);
  });

  it('remembers a peer that is only sent to', async () => {
    const server = daemon({ peerTimeoutMs: 30 });
    const group = await server.listen(UDP, 0, '127.86.0.1');
    const socket = createSocket('udp4');
    closers.push(() => new Promise<void>((done) => socket.close(done)));
    socket.send('subscribe', group.port, '127.86.0.1');
    const pipe = await server.accept();
    let news = 0;
    socket.on('message', () => news++);
    // More than three of the times that silence is given.
    for (const end = performance.now() + 100; performance.now() < end; ) {
      await Promise.all([once(socket, 'message'), pipe?.send('news')]);
    }
    expect([pipe?.closed, news > 3]).toEqual([false, true]);
  });

  it('keeps forged senders within bounds', async () => {
    const server = daemon({ maxPeers: 100 });
    const group = await server.listen(UDP, 0, pool);
    const socket = createSocket('udp4');
    closers.push(() => new Promise<void>((done) => socket.close(done)));
    for (let k = 0; k < 256; k++) socket.send('x', group.port, `127.86.0.${k}`);
    while ((group.servers[0]?.counters().refused ?? 0) < 156) await new Promise(setImmediate);
    expect(server.connections).toBe(100);
  });

  it('drops what a peer sends that nobody reads, counts it, and serves the others', async () => {
    const server = daemon({ highWaterMark: 1_000 });
    const group = await server.listen(UDP, 0, '127.86.0.1');
    const loud = createSocket('udp4');
    closers.push(() => new Promise<void>((done) => loud.close(done)));
    for (let i = 0; i < 50; i++) loud.send(Buffer.alloc(100, i), group.port, '127.86.0.1');
    const pipe = (await server.accept()) ?? expect.unreachable('it was accepted');
    server.addUpListener(mirror);
    expect(await ask('127.86.0.1', group.port)).toBe('who 127.86.0.1 undefined');
    expect(pipe.counters().dropped).toBe(40);
    expect((await pipe.recv())?.[0]).toBe(0);
  });

  it('drops the datagrams of peers beyond its limit, and counts them', async () => {
    const server = daemon({ maxConnections: 2 }).addUpListener(mirror);
    const group = await server.listen(UDP, 0, '127.86.0.1');
    await ask('127.86.0.1', group.port);
    await ask('127.86.0.1', group.port);
    const third = createSocket('udp4');
    closers.push(() => new Promise<void>((done) => third.close(done)));
    third.send('x', group.port, '127.86.0.1');
    while (group.servers[0]?.counters().refused !== 1) await new Promise(setImmediate);
    expect(server.connections).toBe(2);
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
    expect(error).toMatchObject({ code: 'EADDRINUSE', address: '127.86.0.2', port, message: `bind EADDRINUSE 127.86.0.2:${port}` });
    expect((error as { failures: unknown[] }).failures).toMatchObject([{ address: '127.86.0.2', port, error: { code: 'EADDRINUSE' } }]);
    expect(String((error as Error).stack)).toContain('daemon.spec.ts');
    expect(server.servers).toEqual([]);
    const others = () => daemon().listen(TCP, port, ['127.86.0.1', '127.86.0.3']).catch(() => undefined);
    while ((await others()) === undefined) await new Promise(setImmediate);
  });

  it('is left out where that is allowed', async () => {
    const port = await occupy('127.86.0.2');
    const group = await daemon().listen(TCP, port, three, { allowPartial: true });
    expect(group.servers.map((each) => each.address)).toEqual(['127.86.0.1', '127.86.0.3']);
    expect(group.failed).toMatchObject([{ address: '127.86.0.2', port, error: { code: 'EADDRINUSE', syscall: 'bind' } }]);
    await client('127.86.0.3', port);
    await expect(daemon().listen(TCP, port, '127.86.0.2', { allowPartial: true })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it.each<[string, unknown[], object]>([
    ['an address of somebody else', [TCP, 0, '203.0.113.7'], { code: 'EADDRNOTAVAIL', syscall: 'bind', address: '203.0.113.7' }],
    ['a block of somebody else', [UDP, 0, '203.0.113.0/24'], { code: 'ERR_ROUTEPOOL_NOT_LOCAL' }],
    ['a port of root', [TCP, 65_536, '127.0.0.1'], { code: 'ERR_ROUTEPOOL_OPTION', option: 'port' }],
    ['a port that is none', [TCP, '80', '127.0.0.1'], { code: 'ERR_ROUTEPOOL_OPTION', option: 'port' }],
    ['no port', [TCP, undefined, '127.0.0.1'], { code: 'ERR_ROUTEPOOL_OPTION', option: 'port' }],
    ['a protocol that is none', ['sctp', 0, '127.0.0.1'], { code: 'ERR_ROUTEPOOL_OPTION', option: 'protocol' }],
    ['nowhere', [TCP, 0, []], { code: 'ERR_ROUTEPOOL_OPTION', option: 'where' }],
    ['a name', [TCP, 0, 'localhost'], { code: 'ERR_ROUTEPOOL_OPTION', option: 'where' }],
    ['a number', [TCP, 0, 7], { code: 'ERR_ROUTEPOOL_OPTION', option: 'where' }],
    ['a prefix that is too long', [TCP, 0, '10.0.0.0/33'], { code: 'ERR_ROUTEPOOL_BLOCK', option: 'where' }],
    ['more sockets than there can be', [TCP, 0, '127.0.0.0/8', { sockets: 'per-address' }], { code: 'ERR_ROUTEPOOL_OPTION', option: 'sockets' }],
    ['an option that there is not', [TCP, 0, '127.0.0.1', { partial: true }], { code: 'ERR_ROUTEPOOL_OPTION', message: expect.stringMatching(/allowPartial/) as string }],
    ['an interface that there is not', [TCP, 0, '127.0.0.1', { interface: 'no-such0' }], { code: 'ENODEV', syscall: 'setsockopt' }],
  ])('%s', async (_name, args, error) => {
    const listen = (...all: unknown[]) => daemon().listen(...(all as Parameters<Daemon['listen']>));
    await expect(listen(...args)).rejects.toMatchObject(error);
  });

  it('an empty pool, a closed daemon, and an interface of another name say so', async () => {
    await expect(daemon().listen(TCP, 0, pool.slice(0, 0))).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_NO_ROUTE', message: expect.stringMatching(/no address to listen at/) as string });
    await expect(daemon().listenLocal(TCP, 0, 'no-such0')).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_NO_INTERFACE' });
    await expect(daemon().listenLocal(TCP, 0, 'lo')).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_NO_ROUTE' });
    const over = new Daemon();
    await over.close();
    await expect(over.listen(TCP, 0, '127.0.0.1')).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_CLOSED' });
    expect(() => new Daemon({ maxConnections: 0 })).toThrow(/from 1 to 1000000 for `maxConnections`/);
    expect(() => new Daemon({ maxConnection: 1 } as never)).toThrow(/did you mean `maxConnections`/);
  });
});

describe('connections', () => {
  it('wait for accept, which has time-outs, can be aborted, and ends with the daemon', async () => {
    const server = daemon();
    const group = await server.listen(TCP, 0, '127.86.0.1');
    expect(await server.accept({ timeoutMs: 5 })).toBeUndefined();
    const stop = new AbortController();
    const aborted = server.accept({ signal: stop.signal });
    stop.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'ABORT_ERR' });
    const socket = await client('127.86.0.1', group.port);
    const pipe = await server.accept();
    expect([pipe?.remotePort, pipe?.localPort]).toEqual([socket.localPort, group.port]);
    const last = server.accept();
    await server.close();
    expect([await last, await server.accept()]).toEqual([null, null]);
  });

  it('that nobody takes stop the accepting, and none is lost', async () => {
    const server = daemon();
    const group = await server.listen(TCP, 0, '127.86.0.1');
    const sockets = await Promise.all(Array.from({ length: 300 }, () => client('127.86.0.1', group.port)));
    while (server.connections < 128) await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(server.connections).toBeLessThanOrEqual(128 + 64);
    const seen = new Set<number | undefined>();
    for await (const pipe of server) {
      seen.add(pipe.remotePort);
      if (seen.size === 300) break;
    }
    expect(seen).toEqual(new Set(sockets.map((socket) => socket.localPort)));
  });

  it('hold to the limit exactly, and each gets its turn', async () => {
    const server = daemon({ maxConnections: 3 });
    const group = await server.listen(TCP, 0, ['127.86.0.1', '127.86.0.2']);
    let [open, most, served] = [0, 0, 0];
    server.on('pipe', (pipe) => {
      most = Math.max(most, ++open);
      pipe.once('close', () => open--);
      pipe.addMessageListener((data) => void pipe.send(data).then(() => pipe.close()).then(() => served++));
    });
    const answers = Array.from({ length: 40 }, async (_, i) => {
      const socket = await client(`127.86.0.${1 + (i % 2)}`, group.port);
      socket.write(String(i));
      return text(socket);
    });
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 40 }, (_, i) => String(i)));
    expect([most, served, open]).toEqual([3, 40, 0]);
  });

  it('tell listeners of the daemon: up, messages, end', async () => {
    const server = daemon();
    const told: string[] = [];
    server
      .addUpListener((pipe) => told.push(`up ${pipe.localAddress}`))
      .addMessageListener((data, from, pipe) => {
        told.push(`message ${String(data)}`);
        expect(from.port).toBe(pipe.remotePort);
        void pipe.send('thanks');
      })
      .addEndListener((_pipe, error) => told.push(`end ${error}`));
    const group = await server.listen(TCP, 0, pool);
    const socket = await client('127.86.0.4', group.port);
    socket.end('hello');
    expect(await text(socket)).toBe('thanks');
    expect(told).toEqual(['up 127.86.0.4', 'message hello', 'end undefined']);
  });

  it('that came before there was a listener are given to it', async () => {
    const server = daemon();
    const group = await server.listen(TCP, 0, '127.86.0.1');
    const socket = await client('127.86.0.1', group.port);
    while (server.connections === 0) await new Promise(setImmediate);
    const [pipe] = (await once(server, 'pipe')) as [Pipe];
    expect(pipe.remotePort).toBe(socket.localPort);
  });

  it('answer a reset peer with an error of their own pipe, and no other', async () => {
    const server = daemon();
    const group = await server.listen(TCP, 0, '127.86.0.1');
    const [bad, good] = [await client('127.86.0.1', group.port), await client('127.86.0.1', group.port)];
    const [badPipe, goodPipe] = [await server.accept(), await server.accept()];
    const failing = badPipe?.recv();
    bad.resetAndDestroy();
    await expect(failing).rejects.toMatchObject({ code: 'ECONNRESET' });
    good.write('still here');
    expect(String(await goodPipe?.recv())).toBe('still here');
  });
});

describe('the end', () => {
  it('sends what was sent, closes all, frees the port, and says so once', async () => {
    const server = new Daemon();
    const group = await server.listen(TCP, 0, ['127.86.0.1', '127.86.0.2']);
    const socket = await client('127.86.0.2', group.port);
    const pipe = await server.accept();
    void pipe?.send(Buffer.alloc(3_000_000));
    let closes = 0;
    server.on('close', () => closes++);
    const [received] = await Promise.all([text(socket), server.close(), server.close()]);
    expect([received.length, closes, pipe?.closed, server.servers, server.connections]).toEqual([3_000_000, 1, true, [], 0]);
    const again = () => daemon().listen(TCP, group.port, '127.86.0.2').catch(() => undefined);
    while ((await again()) === undefined) await new Promise(setImmediate);
  });

  it.skipIf(process.platform !== 'linux')('leaves no descriptor behind, after thousands of connections', async () => {
    const open = () => readdirSync('/proc/self/fd').length;
    const server = new Daemon();
    server.on('pipe', (pipe) => void pipe.close());
    const group = await server.listen(TCP, 0, pool);
    await text(await client('127.86.0.1', group.port));
    const before = open();
    for (let round = 0; round < 40; round++) {
      await Promise.all(Array.from({ length: 50 }, async (_, k) => text(await client(`127.86.0.${k}`, group.port))));
      closers.length = 0;
    }
    while (server.connections > 0) await new Promise(setImmediate);
    expect(group.servers[0]?.counters().accepted).toBe(2_001);
    // The portable reader closes them on its own thread.
    while (open() > before) await new Promise(setImmediate);
    await server.close();
    while (open() >= before) await new Promise(setImmediate);
  });

  it('does not wait for ever for a peer that takes nothing', async () => {
    const server = new Daemon({ closeTimeoutMs: 50 });
    const group = await server.listen(TCP, 0, '127.86.0.1');
    const socket = (await client('127.86.0.1', group.port)).pause();
    const pipe = await server.accept();
    const sending = pipe?.send(Buffer.alloc(30_000_000));
    sending?.catch(() => undefined);
    await server.close();
    await expect(sending).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_CLOSED' });
    socket.destroy();
  });

  it('of one group leaves the others', async () => {
    const server = daemon();
    const [one, two] = [await server.listen(TCP, 0, '127.86.0.1'), await server.listen(TCP, 0, '127.86.0.1')];
    await one.close();
    expect(server.servers).toEqual(two.servers);
    await client('127.86.0.1', two.port);
    // The portable reader closes on its own thread: soon.
    const tried = () => client('127.86.0.1', one.port).catch((reason: NodeJS.ErrnoException) => reason.code);
    while ((await tried()) !== 'ECONNREFUSED') await new Promise(setImmediate);
  });

  const script = fileURLToPath(new URL('./helpers/daemon-exit.mjs', import.meta.url));
  it.each(['closed', 'unref'])('lets the process exit when %s', async (how) => {
    const { stdout } = await promisify(execFile)(process.execPath, [script, how], { timeout: 20_000 });
    expect(stdout).toBe('listening\nanswered\n');
  });

  const whyNoLimit = spawnSync('sh', ['-c', 'ulimit -n 80']).status === 0 ? undefined : 'the shell cannot limit descriptors';
  if (whyNoLimit !== undefined) console.warn(`skipped: want of descriptors, since ${whyNoLimit}`);
  it.skipIf(whyNoLimit !== undefined)('is not near when descriptors run out: it goes on when there are some again', async () => {
    const child = spawn('sh', ['-c', `ulimit -n 80; exec "${process.execPath}" "${script}" descriptors`]);
    const lines: string[] = [];
    const ended = once(child, 'close');
    const port = new Promise<number>((resolve) => {
      child.stdout.on('data', (chunk: Buffer) => {
        lines.push(...String(chunk).split('\n').filter((line) => line !== ''));
        if (lines.length >= 2) resolve(Number(lines[1]));
      });
    });
    const sockets = await Promise.all(Array.from({ length: 300 }, async () => client('127.0.0.1', await port)));
    for (const socket of sockets) socket.write('x');
    expect(await Promise.all(sockets.map(text))).toEqual(sockets.map(() => 'x'));
    child.stdin.end();
    expect([(await ended)[0], lines[2]]).toEqual([0, 'EMFILE accept']);
  });
});

it('a set of ranges knows what is in it', () => {
  const packed = (text: string) => Endpoint.of(text, 0).packed.slice(0, 16);
  const ranges = [['10.0.0.5', '10.0.0.9'], ['10.0.1.0', '10.0.1.0'], ['200.0.0.0', '255.255.255.255']];
  const set = new AddressSet(Buffer.concat(ranges.flat().map(packed)));
  const known: [string, boolean][] = [['10.0.0.4', false], ['10.0.0.5', true], ['10.0.0.9', true], ['10.0.0.10', false], ['10.0.1.0', true], ['10.0.1.1', false], ['199.255.255.255', false], ['255.255.255.255', true], ['0.0.0.0', false]];
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
