/** What TCP pipes do, for each reader. */
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { TCP, validate } from '../../../src/index.ts';
import { tcpServer, turn, until } from './peers.ts';
import type { PipeTools } from './tools.ts';

/** Declares the tests. */
export function tcpTests({ echo, keep, open }: PipeTools): void {
  describe('tcp', () => {
    it('sends and receives, and knows its ends', async () => {
      const server = await echo();
      const pipe = await open(TCP, server.dest);
      await pipe.send('hello');
      expect(String(await pipe.recv())).toBe('hello');
      expect([pipe.protocol, pipe.remoteAddress, pipe.remotePort, pipe.localAddress]).toEqual([
        'tcp',
        '127.0.0.1',
        server.port,
        '127.0.0.1',
      ]);
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
        expect([pipe.externalAddress, pipe.localAddress, pipe.route]).toEqual([
          `127.44.5.${k}`,
          `127.44.5.${k}`,
          route,
        ]);
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
      const server = keep(
        await tcpServer((socket) => {
          socket.write('one ');
          socket.end('two');
        }),
      );
      const pipe = await open(TCP, server.dest);
      const ended = once(pipe, 'end');
      await ended;
      let text = '';
      for await (const data of pipe) text += String(data);
      expect(text).toBe('one two');
      await until(() => pipe.closed);
    });

    it('goes on receiving after it has ended its own side', async () => {
      const server = keep(
        await tcpServer(
          (socket) => {
            let got = '';
            socket.on('data', (data) => (got += String(data))).on('end', () => socket.end(`got ${got}`));
          },
          '127.0.0.1',
          { allowHalfOpen: true },
        ),
      );
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
      const server = keep(
        await tcpServer(
          (socket) => {
            socket.on('data', (data) => answers.push(String(data)));
            socket.end('question');
          },
          '127.0.0.1',
          { allowHalfOpen: true },
        ),
      );
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
      await expect(waits).rejects.toMatchObject({
        code: 'ECONNRESET',
        syscall: 'read',
        address: '127.0.0.1',
        port: server.port,
      });
      await closed;
      await expect(pipe.send('y')).rejects.toMatchObject({
        code: 'ERR_ROUTEPOOL_CLOSED',
        cause: { code: 'ECONNRESET' },
      });
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
        expect(reason.stack).toContain('tcp.ts');
      }
      expect(pipe.sendQueueBytes).toBe(0);
    });

    it('reset() is a reset for the peer, close() an end, also with unread data', async () => {
      const ends: string[] = [];
      const server = keep(
        await tcpServer((socket) => {
          socket.write('unread');
          socket
            .on('error', (error: NodeJS.ErrnoException) => ends.push(error.code ?? ''))
            .on('end', () => ends.push('end'))
            .resume();
        }),
      );
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
      const server = keep(
        await tcpServer((socket) => {
          socket.pause();
          setImmediate(() => socket.on('data', (data) => (got += data.length)).resume());
        }),
      );
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
      const pipe = await open(TCP, server.dest, undefined, {
        keepAlive: 60_000,
        linger: 5,
        sendBuffer: 65_536,
        receiveBuffer: 65_536,
        noDelay: false,
      });
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
}
