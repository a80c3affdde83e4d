/** What pipes do, for each reader. */
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { Endpoint, Interface, Pipe, pipeOpen, RoutePoolError, setReader, stats, TCP, UDP, validate, type Reader } from '../../src/index.ts';
import { descriptors, tcpServer, turn, udpPeer, until, type TcpPeer, type UdpPeer } from './peers.ts';

/** An interface whose address is not this machine's (192.0.2.0/24: RFC 5737). */
const DICT = {
  name: 'none0',
  nat: { type: 1, nat_info: '', delta: { type: 1, value: 0 }, delta_info: '' },
  rp: { 2: [{ af: 2, nic_ips: [{ ip: '192.0.2.77', cidr: 32, af: 2 }], ext_ips: [{ ip: '198.51.100.7', cidr: 32, af: 2 }] }] },
};

/** Declares the tests. Must run before anything has opened a socket in this process. */
export function pipeTests(reader: Reader): void {
  setReader(reader);
  const peers: (TcpPeer | UdpPeer)[] = [];
  const pipes: Pipe[] = [];
  const keep = <T extends TcpPeer | UdpPeer>(peer: T): T => {
    peers.push(peer);
    return peer;
  };
  const open = async (...args: Parameters<typeof pipeOpen>) => {
    const pipe = await pipeOpen(...args);
    pipes.push(pipe);
    return pipe;
  };
  afterEach(async () => {
    for (const pipe of pipes.splice(0)) pipe.destroy();
    await Promise.all(peers.splice(0).map((peer) => peer.close()));
    expect(stats().open, 'sockets left open').toBe(0);
  });
  const echo = async (host?: string) => keep(await tcpServer((socket) => socket.pipe(socket), host));
  const udpEcho = async (host?: string) => keep(await udpPeer((data, reply) => reply(data), host));

  it('reads in the way that was asked for', async () => {
    await open(UDP, null);
    expect(stats().reader).toBe(reader);
    expect(() => setReader('auto')).toThrowError(expect.objectContaining({ code: 'ERR_ROUTEPOOL_MISUSE' }));
  });

  describe('tcp', () => {
    it('sends and receives, and knows its ends', async () => {
      const server = await echo();
      const pipe = await open(TCP, server.dest);
      await pipe.send('hello');
      expect(String(await pipe.recv())).toBe('hello');
      expect([pipe.protocol, pipe.remoteAddress, pipe.remotePort, pipe.localAddress]).toEqual(['tcp', '127.0.0.1', server.port, '127.0.0.1']);
      const [peer] = server.sockets;
      expect(pipe.localPort).toBe(peer?.remotePort);
      expect(pipe.counters()).toMatchObject({ bytesSent: 5, bytesReceived: 5, bytesQueued: 0, dropped: 0 });
      expect(String(pipe)).toBe(`tcp 127.0.0.1:${pipe.localPort} -> 127.0.0.1:${server.port}`);
      await pipe.close();
      expect(pipe.closed).toBe(true);
      expect(await pipe.recv()).toBeNull();
      await pipe.close();
    });

    it('leaves by the route, and the server sees it', async () => {
      const pool = await validate('127.44.5.0/28').pool();
      const server = keep(await tcpServer((socket) => socket.end(`you are ${socket.remoteAddress}`)));
      for (const k of [3, 9]) {
        const route = pool.at(k);
        const pipe = await open(TCP, server.dest, route);
        expect(String(await pipe.recv())).toBe(`you are 127.44.5.${k}`);
        expect([pipe.externalAddress, pipe.localAddress, pipe.route]).toEqual([`127.44.5.${k}`, `127.44.5.${k}`, route]);
        expect(await pipe.recv()).toBeNull();
      }
      const bound = await pool.at(5)?.bind({ port: 0 });
      const pipe = await open(TCP, server.dest, bound);
      expect(String(await pipe.recv())).toBe('you are 127.44.5.5');
    });

    it('speaks IPv6, and shows mapped addresses as IPv4', async () => {
      const server = await echo('::1');
      const pipe = await open(TCP, `[::1]:${server.port}`);
      await pipe.send('six');
      expect(String(await pipe.recv())).toBe('six');
      expect([pipe.remoteAddress, pipe.local.family]).toEqual(['::1', 6]);
      const four = await echo();
      const mapped = await open(TCP, ['::ffff:127.0.0.1', four.port]);
      expect(mapped.remoteAddress).toBe('127.0.0.1');
    });

    it('takes what the peer sent before anybody asked, in order, and then its end', async () => {
      const server = keep(await tcpServer((socket) => {
        socket.write('one ');
        socket.end('two');
      }));
      const pipe = await open(TCP, server.dest);
      const ended = once(pipe, 'end');
      await ended;
      let text = '';
      for await (const data of pipe) text += String(data);
      expect(text).toBe('one two');
      await until(() => pipe.closed);
    });

    it('goes on receiving after it has ended its own side', async () => {
      const server = keep(await tcpServer((socket) => {
        let got = '';
        socket.on('data', (data) => (got += String(data))).on('end', () => socket.end(`got ${got}`));
      }, '127.0.0.1', { allowHalfOpen: true }));
      const pipe = await open(TCP, server.dest);
      await pipe.send('question');
      await pipe.end();
      await expect(pipe.send('more')).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_CLOSED' });
      expect(String(await pipe.recv())).toBe('got question');
      expect(await pipe.recv()).toBeNull();
      await until(() => pipe.closed);
    });

    it('may answer after the peer has ended, before the end was received', async () => {
      const answers: string[] = [];
      const server = keep(await tcpServer((socket) => {
        socket.on('data', (data) => answers.push(String(data)));
        socket.end('question');
      }, '127.0.0.1', { allowHalfOpen: true }));
      const pipe = await open(TCP, server.dest);
      await once(pipe, 'end');
      for await (const data of pipe) await pipe.send(`answer to ${String(data)}`);
      await until(() => answers.length > 0 && pipe.closed);
      expect(answers).toEqual(['answer to question']);
      const open2 = await open(TCP, server.dest, undefined, { allowHalfOpen: true });
      expect(String(await open2.recv())).toBe('question');
      expect(await open2.recv()).toBeNull();
      await turn();
      expect(open2.closed).toBe(false);
      await open2.send('later');
      await until(() => answers.length === 2);
    });

    it('a reset rejects who waits, and is no uncaught error', async () => {
      const server = keep(await tcpServer((socket) => socket.once('data', () => socket.resetAndDestroy())));
      const pipe = await open(TCP, server.dest);
      const [closed, waits] = [new Promise<void>((resolve) => pipe.once('close', resolve)), pipe.recv()];
      await pipe.send('x');
      await expect(waits).rejects.toMatchObject({ code: 'ECONNRESET', syscall: 'read', address: '127.0.0.1', port: server.port });
      await closed;
      await expect(pipe.send('y')).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_CLOSED', cause: { code: 'ECONNRESET' } });
      const heard = await open(TCP, server.dest);
      const error = once(heard, 'error');
      await heard.send('x');
      expect(await error).toMatchObject([{ code: 'ECONNRESET' }]);
    });

    it('a reset amid a full send queue rejects every send', async () => {
      const server = keep(await tcpServer((socket) => socket.pause()));
      const pipe = await open(TCP, server.dest);
      const sends = Array.from({ length: 200 }, () => pipe.send(Buffer.alloc(65_536)));
      const settled = Promise.allSettled(sends);
      await until(() => pipe.sendQueueBytes > 0 && server.sockets.size > 0);
      const [peer] = server.sockets;
      peer?.resetAndDestroy();
      const failed = (await settled).filter((each) => each.status === 'rejected');
      expect(failed.length).toBeGreaterThan(0);
      for (const { reason } of failed) {
        expect(['ECONNRESET', 'EPIPE']).toContain(reason.code);
        expect(reason.stack).toContain('suite.ts');
      }
      expect(pipe.sendQueueBytes).toBe(0);
    });

    it('reset() is a reset for the peer, close() an end, also with unread data', async () => {
      const ends: string[] = [];
      const server = keep(await tcpServer((socket) => {
        socket.write('unread');
        socket.on('error', (error: NodeJS.ErrnoException) => ends.push(error.code ?? '')).on('end', () => ends.push('end')).resume();
      }));
      const rude = await open(TCP, server.dest);
      await until(() => rude.counters().messagesReceived > 0);
      rude.reset();
      await until(() => ends.length === 1);
      const polite = await open(TCP, server.dest, undefined, { highWaterMark: 1 });
      await until(() => polite.counters().messagesReceived > 0);
      await polite.close();
      await until(() => ends.length === 2);
      expect(ends).toEqual(['ECONNRESET', 'end']);
    });

    it('close() sends what waits first', async () => {
      let got = 0;
      const server = keep(await tcpServer((socket) => {
        socket.pause();
        setImmediate(() => socket.on('data', (data) => (got += data.length)).resume());
      }));
      const pipe = await open(TCP, server.dest);
      const sends = Array.from({ length: 100 }, () => pipe.send(Buffer.alloc(100_000)));
      expect(pipe.sendQueueBytes).toBeGreaterThan(0);
      await Promise.all([...sends, pipe.close()]);
      await until(() => got === 10_000_000);
    });

    it('destroy() at once, with an error for who waits', async () => {
      const server = keep(await tcpServer((socket) => socket.pause()));
      const pipe = await open(TCP, server.dest);
      const waits = pipe.recv();
      const reason = new Error('enough');
      pipe.destroy(reason);
      await expect(waits).rejects.toBe(reason);
      const again = await open(TCP, server.dest);
      const quiet = again.recv();
      again.destroy();
      expect(await quiet).toBeNull();
    });

    it('settings can be changed while it is open', async () => {
      const server = await echo();
      const pipe = await open(TCP, server.dest, undefined, { keepAlive: 60_000, linger: 5, sendBuffer: 65_536, receiveBuffer: 65_536, noDelay: false });
      pipe.setNoDelay(true).setKeepAlive(true, 30_000).setKeepAlive(false);
      await pipe.send('x');
      expect(String(await pipe.recv())).toBe('x');
    });

    it('pieces are no longer than maxMessage', async () => {
      const server = await echo();
      const pipe = await open(TCP, server.dest, undefined, { maxMessage: 100 });
      await pipe.send(Buffer.alloc(1_000));
      let got = 0;
      while (got < 1_000) {
        const { length } = (await pipe.recv()) ?? [];
        expect(length).toBeLessThanOrEqual(100);
        got += length;
      }
    });
  });

  describe('udp', () => {
    it('keeps messages apart, whatever their size', async () => {
      const peer = await udpEcho();
      const pipe = await open(UDP, peer.dest, undefined, { receiveBuffer: 1 << 20, highWaterMark: 1 << 24 });
      const sizes = [0, 1, 2_047, 2_048, 2_049, 9_000, 65_507];
      for (const size of sizes) {
        await pipe.send(Buffer.alloc(size, size & 0xff));
        const data = await pipe.recv({ timeoutMs: 5_000 });
        expect(data?.length, `${size}`).toBe(size);
        expect(data?.every((byte) => byte === (size & 0xff)), `${size}`).toBe(true);
      }
      expect(pipe.counters()).toMatchObject({ messagesReceived: sizes.length, dropped: 0 });
    });

    it('without a destination it talks to anybody, and says who answered', async () => {
      const [a, b] = [keep(await udpPeer((data, reply) => reply(`a ${String(data)}`))), keep(await udpPeer((data, reply) => reply(`b ${String(data)}`)))];
      const pipe = await open(UDP, null);
      expect([pipe.remote, pipe.localAddress]).toEqual([undefined, '0.0.0.0']);
      await pipe.send('1', a.dest);
      await pipe.send('2', { address: '127.0.0.1', port: b.port });
      const got = [await pipe.recvFrom(), await pipe.recvFrom()].map((each) => `${String(each?.from)} ${String(each?.data)}`);
      expect(got.toSorted()).toEqual([`127.0.0.1:${a.port} a 1`, `127.0.0.1:${b.port} b 2`].toSorted());
      await pipe.send('3', Endpoint.of('127.0.0.1', a.port));
      expect((await pipe.recvFrom())?.from).toEqual(Endpoint.of('127.0.0.1', a.port));
      await expect(pipe.send('nobody')).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_OPTION', option: 'to' });
    });

    it('many senders at once are told apart', async () => {
      const peers64 = await Promise.all(Array.from({ length: 16 }, (_, i) => udpPeer((data, reply) => reply(`${i}`))));
      const pipe = await open(UDP, null);
      for (let round = 0; round < 8; round++) for (const peer of peers64) await pipe.send('x', peer.dest);
      for (let n = 0; n < 128; n++) {
        const message = await pipe.recvFrom();
        expect(message?.from.port).toBe(peers64[Number(String(message?.data))]?.port);
      }
      await Promise.all(peers64.map((peer) => peer.close()));
    });

    it('leaves by the route', async () => {
      const seen: string[] = [];
      const peer = keep(await udpPeer((data, reply) => reply(data)));
      peer.socket.on('message', (_, from) => seen.push(from.address));
      const pool = await validate('127.44.6.0/28').pool();
      const pipe = await open(UDP, peer.dest, pool.at(11));
      await pipe.send('x');
      await pipe.recv();
      const unconnected = await open(UDP, null, pool.at(12));
      await unconnected.send('x', peer.dest);
      await unconnected.recv();
      expect(seen).toEqual(['127.44.6.11', '127.44.6.12']);
    });

    it('a refused datagram rejects who waits, and the pipe goes on', async () => {
      const gone = await udpPeer(() => undefined);
      const { dest } = gone;
      await gone.close();
      const pipe = await open(UDP, dest);
      const errors: Error[] = [];
      const waits = pipe.recv();
      await pipe.send('x');
      await expect(waits).rejects.toMatchObject({ code: 'ECONNREFUSED', syscall: 'recvmsg', address: '127.0.0.1', port: dest[1] });
      pipe.on('error', (error: Error) => errors.push(error));
      await pipe.send('y');
      await until(() => errors.length === 1);
      expect(pipe.closed).toBe(false);
      expect(pipe.counters().refused).toBeGreaterThanOrEqual(2);
    });

    it('IPv6', async () => {
      const peer = await udpEcho('::1');
      const pipe = await open(UDP, ['::1', peer.port]);
      await pipe.send('six');
      expect(String(await pipe.recv())).toBe('six');
    });

    it('drops and counts what is larger than maxMessage, and does not send it', async () => {
      const peer = await udpEcho();
      const big = await open(UDP, null);
      const pipe = await open(UDP, peer.dest, undefined, { maxMessage: 100 });
      await expect(pipe.send(Buffer.alloc(101))).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_OPTION' });
      peer.socket.send(Buffer.alloc(200), pipe.localPort, '127.0.0.1');
      peer.socket.send(Buffer.alloc(100), pipe.localPort, '127.0.0.1');
      expect((await pipe.recv())?.length).toBe(100);
      expect(pipe.counters().oversized).toBe(1);
      expect(big.closed).toBe(false);
    });
  });

  describe('receiving', () => {
    it('gives undefined when the time is over, and null at the end', async () => {
      const server = keep(await tcpServer((socket) => socket.once('data', () => socket.end())));
      const pipe = await open(TCP, server.dest, undefined, { recvTimeoutMs: 5 });
      expect(await pipe.recv()).toBeUndefined();
      expect(await pipe.recv({ timeoutMs: 0 })).toBeUndefined();
      await pipe.send('x');
      expect(await pipe.recv({ timeoutMs: 10_000 })).toBeNull();
    });

    it('listeners get messages in place of the queue, and what waits first', async () => {
      const peer = await udpEcho();
      const pipe = await open(UDP, peer.dest);
      await pipe.send('early');
      await until(() => pipe.counters().messagesReceived === 1);
      const got: string[] = [];
      const listener = (data: Buffer, from: Endpoint) => got.push(`${String(data)} ${from.port === peer.port}`);
      pipe.on('message', listener);
      await pipe.send('late');
      await until(() => got.length === 2);
      expect(got).toEqual(['early true', 'late true']);
      pipe.off('message', listener);
      await pipe.send('queued');
      expect(String(await pipe.recv())).toBe('queued');
      expect(got.length).toBe(2);
    });

    it('once the last listener has gone each message is received once, and in order', async () => {
      const peer = keep(await udpPeer((data, reply) => String(data).split(' ').forEach((word) => reply(word))));
      const pipe = await open(UDP, peer.dest);
      // As it came to be: nobody has received from it before, so there is no queue yet.
      const listener = () => undefined;
      pipe.on('message', listener).off('message', listener);
      const first = pipe.recv();
      await pipe.send('a b');
      expect([String(await first), String(await pipe.recv())]).toEqual(['a', 'b']);
      // With a queue, in which more waits than one listener takes.
      await pipe.send('c d e');
      await until(() => pipe.counters().messagesReceived === 5);
      const [data] = await once(pipe, 'message');
      expect([data, await pipe.recv(), await pipe.recv()].map(String)).toEqual(['c', 'd', 'e']);
      // With somebody else who listens.
      const got: string[] = [];
      pipe.addMessageListener((each) => got.push(String(each)));
      pipe.on('message', listener).off('message', listener);
      await pipe.send('f g');
      await until(() => got.length >= 2);
      expect([got, await pipe.recv({ timeoutMs: 0 })]).toEqual([['f', 'g'], undefined]);
    });

    it('what first receives after the end, or a failure, learns of it', async () => {
      const server = keep(await tcpServer((socket) => socket.once('data', (data) => (String(data) === 'end' ? socket.end() : socket.resetAndDestroy()))));
      const [ended, heard, failed, closed] = await Promise.all([open(TCP, server.dest, undefined, { allowHalfOpen: true }), open(TCP, server.dest), open(TCP, server.dest), open(TCP, server.dest)]);
      const ends = Promise.all([once(ended, 'end'), once(heard, 'end'), new Promise<void>((resolve) => failed.once('close', () => resolve()))]);
      await Promise.all([ended.send('end'), heard.send('end'), failed.send('reset'), closed.close()]);
      await ends;
      expect(await ended.recv()).toBeNull();
      // Whoever listens has been told the end as well: our side follows, and the pipe closes.
      expect(heard.closed).toBe(false);
      heard.on('message', () => undefined);
      await once(heard, 'close');
      await expect(failed.recv()).rejects.toMatchObject({ code: 'ECONNRESET', syscall: 'read' });
      expect(await closed.recv()).toBeNull();
      const told = await new Promise((resolve) => failed.addEndListener(resolve));
      expect(told).toMatchObject({ code: 'ECONNRESET' });
    });

    it('subscriptions each get what they ask for', async () => {
      const peer = await udpEcho();
      const pipe = await open(UDP, peer.dest);
      const [ok, all] = [pipe.subscribe(/^ok/), pipe.subscribe()];
      await pipe.send('bad 1');
      await pipe.send('ok 2');
      expect(String(await ok.recv())).toBe('ok 2');
      expect([String(await all.recv()), String(await all.recv())]).toEqual(['bad 1', 'ok 2']);
    });

    it('an abort gives up waiting, and the pipe goes on', async () => {
      const peer = await udpEcho();
      const pipe = await open(UDP, peer.dest);
      const controller = new AbortController();
      const waits = pipe.recv({ signal: controller.signal });
      controller.abort();
      await expect(waits).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
      await pipe.send('x');
      expect(String(await pipe.recv())).toBe('x');
    });

    it('what a listener throws is an uncaught exception and loses no other message', async () => {
      const peer = await udpEcho();
      const pipe = await open(UDP, peer.dest);
      const thrown: unknown[] = [];
      const got: string[] = [];
      const own = process.listeners('uncaughtException');
      process.removeAllListeners('uncaughtException');
      process.on('uncaughtException', (error) => thrown.push(error));
      try {
        pipe.on('message', (data: Buffer) => {
          got.push(String(data));
          if (String(data) === '2') throw new Error('in a listener');
        });
        for (const n of [1, 2, 3, 4]) await pipe.send(`${n}`);
        await until(() => got.length === 4);
        expect(thrown).toMatchObject([{ message: 'in a listener' }]);
      } finally {
        process.removeAllListeners('uncaughtException');
        for (const listener of own) process.on('uncaughtException', listener);
      }
      expect(got).toEqual(['1', '2', '3', '4']);
    });

    it('what an end listener throws is an uncaught exception, and the pipe ends all the same', async () => {
      const server = keep(await tcpServer((socket) => socket.end('bye')));
      const pipe = await open(TCP, server.dest);
      const thrown: unknown[] = [];
      const told: string[] = [];
      const own = process.listeners('uncaughtException');
      process.removeAllListeners('uncaughtException');
      process.on('uncaughtException', (error) => thrown.push(error));
      try {
        pipe.addMessageListener((data) => told.push(String(data)));
        pipe.addEndListener(() => {
          throw new Error('in an end listener');
        });
        pipe.addEndListener(() => told.push('end'));
        await new Promise<void>((resolve) => pipe.once('close', resolve));
        await until(() => thrown.length === 1);
        expect(thrown).toMatchObject([{ message: 'in an end listener' }]);
      } finally {
        process.removeAllListeners('uncaughtException');
        for (const listener of own) process.on('uncaughtException', listener);
      }
      expect(told).toEqual(['bye', 'end']);
    });
  });

  describe('errors', () => {
    const rejected = async (promise: Promise<unknown>) => {
      const error: unknown = await promise.then(() => undefined, (reason: unknown) => reason);
      expect(error).toBeInstanceOf(Error);
      expect((error as Error).stack).toContain('suite.ts');
      return error as NodeJS.ErrnoException & { localAddress?: string };
    };

    it('refused', async () => {
      const gone = await tcpServer(() => undefined);
      await gone.close();
      const error = await rejected(pipeOpen(TCP, gone.dest));
      expect(error).toMatchObject({ code: 'ECONNREFUSED', errno: -111, syscall: 'connect', address: '127.0.0.1', port: gone.port });
      expect(error.message).toBe(`connect ECONNREFUSED 127.0.0.1:${gone.port}`);
    });

    it('a source that this machine does not hold', async () => {
      const peer = await udpEcho();
      const route = Interface.fromDict(DICT).rp[4].at(0);
      for (const call of [() => pipeOpen(UDP, peer.dest, route), () => pipeOpen(TCP, peer.dest, route)]) {
        expect(await rejected(call())).toMatchObject({ syscall: expect.stringMatching(/bind|setsockopt/), code: expect.stringMatching(/EADDRNOTAVAIL|ENODEV/), address: '192.0.2.77' });
      }
    });

    it('an address that is in use', async () => {
      const pool = await validate('127.44.7.0/30').pool();
      const free = await open(UDP, null, pool.at(1));
      const port = free.localPort;
      await free.close();
      const bound = await pool.at(1)?.bind({ port });
      const taken = await open(UDP, null, bound);
      expect([taken.localAddress, taken.localPort]).toEqual(['127.44.7.1', port]);
      expect(await rejected(pipeOpen(UDP, null, bound))).toMatchObject({ code: 'EADDRINUSE', syscall: 'bind', address: '127.44.7.1', port });
    });

    it('names that do not resolve', async () => {
      const lookup = (_: string, __: object, done: (error: NodeJS.ErrnoException | null, found: never[]) => void) =>
        done(Object.assign(new Error('getaddrinfo ENOTFOUND nowhere.invalid'), { code: 'ENOTFOUND', syscall: 'getaddrinfo' }), []);
      expect(await rejected(pipeOpen(TCP, 'nowhere.invalid:80', undefined, { lookup }))).toMatchObject({ code: 'ENOTFOUND', syscall: 'getaddrinfo' });
    });

    it('too long for a datagram', async () => {
      const peer = await udpEcho();
      const pipe = await open(UDP, peer.dest, undefined, { maxMessage: 65_536 });
      const error = await rejected(pipe.send(Buffer.alloc(65_508)));
      expect(error).toMatchObject({ code: 'EMSGSIZE', syscall: 'send', address: '127.0.0.1', port: peer.port });
      await pipe.send('x');
      expect(String(await pipe.recv())).toBe('x');
    });

    it('closed', async () => {
      const peer = await udpEcho();
      const pipe = await open(UDP, peer.dest);
      await pipe.close();
      expect(await rejected(pipe.send('x'))).toMatchObject({ code: 'ERR_ROUTEPOOL_CLOSED', message: `cannot send: the pipe to 127.0.0.1:${peer.port} is closed` });
    });

    it.each([
      ['protocol', () => pipeOpen('rudp' as never, ['127.0.0.1', 9])],
      ['dest', () => pipeOpen(TCP, null)],
      ['dest', () => pipeOpen(UDP, undefined as never)],
      ['dest', () => pipeOpen(TCP, ['127.0.0.1', 99_999])],
      ['route', () => pipeOpen(TCP, ['127.0.0.1', 9], '127.0.0.1' as never)],
      ['connectTimeoutMs', () => pipeOpen(TCP, ['127.0.0.1', 9], undefined, { connectTimeoutMs: 0 })],
      ['keepAlive', () => pipeOpen(TCP, ['127.0.0.1', 9], undefined, { keepAlive: 'yes' as never })],
      ['noDelay', () => pipeOpen(TCP, ['127.0.0.1', 9], undefined, { noDelay: 1 as never })],
      ['maxMessage', () => pipeOpen(TCP, ['127.0.0.1', 9], undefined, { maxMessage: 65_537 })],
      ['timeoutMS', () => pipeOpen(TCP, ['127.0.0.1', 9], undefined, { timeoutMS: 5 } as never)],
    ])('a wrong %s is named', async (option, call) => {
      const error = await rejected(call());
      expect(error).toBeInstanceOf(RoutePoolError);
      expect(error).toMatchObject({ code: 'ERR_ROUTEPOOL_OPTION', option });
    });

    it('wrong data and peers are named', async () => {
      const peer = await udpEcho();
      const pipe = await open(UDP, null);
      expect(await rejected(pipe.send(5 as never))).toMatchObject({ option: 'data' });
      for (const to of [5, 'x', {}, [], [undefined, 9], { port: 9 }, ['127.0.0.1', 0], ['127.0.0.1', 1.5], ['example.net', 1]]) {
        expect(await rejected(pipe.send('x', to as never)), String(to)).toMatchObject({ code: 'ERR_ROUTEPOOL_OPTION' });
      }
      const server = await echo();
      const tcp = await open(TCP, server.dest);
      expect(await rejected(tcp.send('x', peer.dest))).toMatchObject({ option: 'to' });
    });

    it('wrong arguments of a pipe are named at once, and harm nothing', async () => {
      const server = await echo();
      const pipe = await open(TCP, server.dest);
      const wrongs: [string, () => unknown][] = [
        ['listener', () => pipe.addMessageListener(undefined as never)],
        ['listener', () => pipe.addEndListener('x' as never)],
        ['listener', () => pipe.addUpListener({} as never)],
        ['subscription', () => pipe.unsubscribe(undefined as never)],
        ['on', () => pipe.setNoDelay(null as never)],
        ['on', () => pipe.setKeepAlive(1 as never)],
        ['initialDelayMs', () => pipe.setKeepAlive(true, Number.NaN)],
      ];
      for (const [option, call] of wrongs) expect(call, option).toThrow(expect.objectContaining({ code: 'ERR_ROUTEPOOL_OPTION', option }));
      await pipe.send('x');
      expect(String(await pipe.recv())).toBe('x');
      const waiting = rejected(pipe.recv());
      pipe.destroy('no error' as never);
      expect(await waiting).toMatchObject({ code: 'ERR_ROUTEPOOL_CLOSED', cause: 'no error' });
      const other = await open(TCP, server.dest);
      expect(other.destroy(null as never).closed).toBe(true);
    });

    it('timed out: a listener whose queue is full answers no more', async () => {
      const before = descriptors();
      const full = await fullListener();
      const error = await rejected(pipeOpen(TCP, full.dest, undefined, { connectTimeoutMs: 30 }));
      expect(error).toMatchObject({ code: 'ETIMEDOUT', syscall: 'connect', address: '127.0.0.1', port: full.port });
      await full.close();
      await until(() => descriptors() <= before);
    });
  });

  describe('an abort', () => {
    it('before anything', async () => {
      await expect(pipeOpen(TCP, ['127.0.0.1', 9], undefined, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORT_ERR' });
    });

    it('while a name is looked up', async () => {
      const controller = new AbortController();
      const lookup = () => controller.abort();
      await expect(pipeOpen(TCP, 'x.example:9', undefined, { lookup, signal: controller.signal })).rejects.toMatchObject({ code: 'ABORT_ERR' });
    });

    it('while it connects', async () => {
      const before = descriptors();
      const full = await fullListener();
      const controller = new AbortController();
      const opening = pipeOpen(TCP, full.dest, undefined, { signal: controller.signal });
      await turn();
      controller.abort();
      await expect(opening).rejects.toMatchObject({ code: 'ABORT_ERR' });
      const both = new AbortController();
      const lookup = (_: string, __: object, done: (error: null, found: { address: string; family: number }[]) => void) => done(null, [{ address: '127.0.0.1', family: 4 }, { address: '::1', family: 6 }]);
      const happy = pipeOpen(TCP, ['two.example', full.port], undefined, { signal: both.signal, lookup });
      await turn();
      both.abort();
      await expect(happy).rejects.toMatchObject({ code: expect.stringMatching(/ABORT_ERR|ECONNREFUSED/) });
      await full.close();
      await until(() => descriptors() <= before);
    });

    it('after the pipe is open it does nothing', async () => {
      const server = await echo();
      const controller = new AbortController();
      const pipe = await open(TCP, server.dest, undefined, { signal: controller.signal });
      controller.abort();
      await pipe.send('x');
      expect(String(await pipe.recv())).toBe('x');
    });
  });

  it('of several addresses the first that answers is taken, and the others are closed', async () => {
    const before = descriptors();
    const server = await echo();
    const lookup = (_: string, __: object, done: (error: null, found: { address: string; family: number }[]) => void) =>
      done(null, [{ address: '::1', family: 6 }, { address: '127.0.0.1', family: 4 }]);
    const pipe = await pipeOpen(TCP, ['two.example', server.port], undefined, { lookup });
    expect(pipe.remoteAddress).toBe('127.0.0.1');
    await pipe.close();
    await server.close();
    peers.length = 0;
    await until(() => descriptors() <= before);
  });
}

/** A listener that accepts nothing, with connections that fill its queue: the next one is never answered. */
async function fullListener(): Promise<{ dest: [string, number]; port: number; close(): Promise<void> }> {
  const { spawn } = await import('node:child_process');
  // Only a stopped process leaves its queue full: Node accepts at once.
  const code = "const s = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => { console.log(s.address().port); process.kill(process.pid, 'SIGSTOP'); })";
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(String(line));
  const { connect } = await import('node:net');
  const fillers = Array.from({ length: 4 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
  // A queue for one takes two; those behind it get no answer.
  await Promise.all(fillers.slice(0, 2).map((filler) => once(filler, 'connect')));
  return {
    dest: ['127.0.0.1', port],
    port,
    close: async () => {
      for (const filler of fillers) filler.destroy();
      child.kill('SIGKILL');
      await once(child, 'close');
    },
  };
}
