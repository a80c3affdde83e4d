/** What UDP pipes do, for each reader, and how messages of both kinds are received. */
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Endpoint, TCP, UDP, validate } from '../../../src/index.ts';
import { tcpServer, udpPeer, until } from './peers.ts';
import type { PipeTools } from './tools.ts';

/** Declares the tests. */
export function udpTests({ keep, open, udpEcho }: PipeTools): void {
  describe('udp', () => {
    it('keeps messages apart, whatever their size', async () => {
      const peer = await udpEcho();
      const pipe = await open(UDP, peer.dest, undefined, { receiveBuffer: 1 << 20, highWaterMark: 1 << 24 });
      const sizes = [0, 1, 2_047, 2_048, 2_049, 9_000, 65_507];
      for (const size of sizes) {
        await pipe.send(Buffer.alloc(size, size & 0xff));
        const data = await pipe.recv({ timeoutMs: 5_000 });
        expect(data?.length, `${size}`).toBe(size);
        expect(
          data?.every((byte) => byte === (size & 0xff)),
          `${size}`,
        ).toBe(true);
      }
      expect(pipe.counters()).toMatchObject({ messagesReceived: sizes.length, dropped: 0 });
    });

    it('without a destination it talks to anybody, and says who answered', async () => {
      const [a, b] = [
        keep(await udpPeer((data, reply) => reply(`a ${String(data)}`))),
        keep(await udpPeer((data, reply) => reply(`b ${String(data)}`))),
      ];
      const pipe = await open(UDP, null);
      expect([pipe.remote, pipe.localAddress]).toEqual([undefined, '0.0.0.0']);
      await pipe.send('1', a.dest);
      await pipe.send('2', { address: '127.0.0.1', port: b.port });
      const got = [await pipe.recvFrom(), await pipe.recvFrom()].map(
        (each) => `${String(each?.from)} ${String(each?.data)}`,
      );
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
      await expect(waits).rejects.toMatchObject({
        code: 'ECONNREFUSED',
        syscall: 'recvmsg',
        address: '127.0.0.1',
        port: dest[1],
      });
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
      const peer = keep(
        await udpPeer((data, reply) =>
          String(data)
            .split(' ')
            .forEach((word) => reply(word)),
        ),
      );
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
      const server = keep(
        await tcpServer((socket) =>
          socket.once('data', (data) => (String(data) === 'end' ? socket.end() : socket.resetAndDestroy())),
        ),
      );
      const [ended, heard, failed, closed] = await Promise.all([
        open(TCP, server.dest, undefined, { allowHalfOpen: true }),
        open(TCP, server.dest),
        open(TCP, server.dest),
        open(TCP, server.dest),
      ]);
      const ends = Promise.all([
        once(ended, 'end'),
        once(heard, 'end'),
        new Promise<void>((resolve) => failed.once('close', () => resolve())),
      ]);
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

    it('what a listener throws at the last message of those fetched at once loses none of those behind it', async () => {
      const pipe = await open(UDP, null, undefined, { receiveBuffer: 2 ** 20 });
      const thrown: unknown[] = [];
      const own = process.listeners('uncaughtException');
      process.removeAllListeners('uncaughtException');
      process.on('uncaughtException', (error) => thrown.push(error));
      try {
        let got = 0;
        pipe.on('message', () => {
          got++;
          throw new Error('in a listener');
        });
        // Six are there before the first is fetched, and four fit at once.
        const large = Buffer.alloc(60_000);
        await Promise.all(Array.from({ length: 6 }, () => pipe.send(large, ['127.0.0.1', pipe.localPort])));
        // The system may grant less room than was asked for, and says what that cost.
        await until(() => got + pipe.counters().dropped === 6);
        expect(thrown).toHaveLength(got);
      } finally {
        process.removeAllListeners('uncaughtException');
        for (const listener of own) process.on('uncaughtException', listener);
      }
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
}
