/** UDP daemons: who is answered from where, peers, limits. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { UDP, type Pipe } from '../../src/index.ts';
import { ask, cleanUp, closers, daemon, hasIpv6, pool } from '../helpers/daemons.ts';

cleanUp();

describe('a UDP daemon', () => {
  const mirror = (pipe: Pipe) =>
    void pipe.addMessageListener(
      (data) => void pipe.send(`${String(data)} ${pipe.localAddress} ${pipe.externalAddress}`),
    );

  it('at a block is one socket, and answers from the address that was asked', async () => {
    const server = daemon().addUpListener(mirror);
    const group = await server.listen(UDP, 0, pool);
    expect(group.servers.map((each) => [each.protocol, each.address])).toEqual([['udp', '0.0.0.0']]);
    const hosts = Array.from({ length: 40 }, (_, k) => `127.86.0.${k * 6}`);
    expect(await Promise.all(hosts.map((host) => ask(host, group.port)))).toEqual(
      hosts.map((host) => `who ${host} ${host}`),
    );
    expect(server.connections).toBe(40);
  });

  it('at single addresses answers from each', async () => {
    const group = await daemon().addUpListener(mirror).listen(UDP, 0, ['127.86.0.1', '127.86.0.2']);
    expect(group.servers.map((each) => each.isShared)).toEqual([false, false]);
    expect(await ask('127.86.0.2', group.port)).toBe('who 127.86.0.2 undefined');
  });

  it.skipIf(!hasIpv6).each([true, false])(
    'at all addresses answers from the one that was asked (v6only %s)',
    async (v6only) => {
      const group = await daemon().addUpListener(mirror).listenAll(UDP, 0, { v6only });
      for (const host of ['127.0.0.1', '127.86.0.200', '::1'])
        expect(await ask(host, group.port)).toBe(`who ${host} undefined`);
    },
  );

  it('has one pipe for a peer and an address, and another for the same peer and another address', async () => {
    const server = daemon();
    const group = await server.listen(UDP, 0, pool);
    const socket: UdpSocket = createSocket('udp4');
    closers.push(() => new Promise<void>((done) => socket.close(done)));
    for (const host of ['127.86.0.1', '127.86.0.1', '127.86.0.2', '127.86.0.1']) socket.send(host, group.port, host);
    const [first, second] = [await server.accept(), await server.accept()];
    const all = async (pipe: Pipe | null | undefined, count: number) =>
      Promise.all(Array.from({ length: count }, async () => String(await pipe?.recv())));
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
    for (const end = performance.now() + 100; performance.now() < end;) {
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
