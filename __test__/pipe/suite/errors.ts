/** How pipes fail, and how opening is given up, for each reader. */
import { describe, expect, it } from 'vitest';
import { Interface, pipeOpen, RoutePoolError, TCP, UDP, validate } from '../../../src/index.ts';
import { descriptors, fullListener, tcpServer, turn, until } from './peers.ts';
import type { PipeTools } from './tools.ts';

/** An interface whose address is not this machine's (192.0.2.0/24: RFC 5737). */
const DICT = {
  name: 'none0',
  nat: { type: 1, nat_info: '', delta: { type: 1, value: 0 }, delta_info: '' },
  rp: {
    2: [
      { af: 2, nic_ips: [{ ip: '192.0.2.77', cidr: 32, af: 2 }], ext_ips: [{ ip: '198.51.100.7', cidr: 32, af: 2 }] },
    ],
  },
};

/** Declares the tests. */
export function errorTests({ echo, open, udpEcho }: PipeTools): void {
  describe('errors', () => {
    const rejected = async (promise: Promise<unknown>) => {
      const error: unknown = await promise.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(Error);
      expect((error as Error).stack).toContain('errors.ts');
      return error as NodeJS.ErrnoException & { localAddress?: string };
    };

    it('refused', async () => {
      const gone = await tcpServer(() => undefined);
      await gone.close();
      const error = await rejected(pipeOpen(TCP, gone.dest));
      expect(error).toMatchObject({
        code: 'ECONNREFUSED',
        errno: -111,
        syscall: 'connect',
        address: '127.0.0.1',
        port: gone.port,
      });
      expect(error.message).toBe(`connect ECONNREFUSED 127.0.0.1:${gone.port}`);
    });

    it('a source that this machine does not hold', async () => {
      const peer = await udpEcho();
      const route = Interface.fromDict(DICT).rp[4].at(0);
      for (const call of [() => pipeOpen(UDP, peer.dest, route), () => pipeOpen(TCP, peer.dest, route)]) {
        expect(await rejected(call())).toMatchObject({
          syscall: expect.stringMatching(/bind|setsockopt/),
          code: expect.stringMatching(/EADDRNOTAVAIL|ENODEV/),
          address: '192.0.2.77',
        });
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
      expect(await rejected(pipeOpen(UDP, null, bound))).toMatchObject({
        code: 'EADDRINUSE',
        syscall: 'bind',
        address: '127.44.7.1',
        port,
      });
    });

    it('names that do not resolve', async () => {
      const lookup = (_: string, __: object, done: (error: NodeJS.ErrnoException | null, found: never[]) => void) =>
        done(
          Object.assign(new Error('getaddrinfo ENOTFOUND nowhere.invalid'), {
            code: 'ENOTFOUND',
            syscall: 'getaddrinfo',
          }),
          [],
        );
      expect(await rejected(pipeOpen(TCP, 'nowhere.invalid:80', undefined, { lookup }))).toMatchObject({
        code: 'ENOTFOUND',
        syscall: 'getaddrinfo',
      });
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
      expect(await rejected(pipe.send('x'))).toMatchObject({
        code: 'ERR_ROUTEPOOL_CLOSED',
        message: `cannot send: the pipe to 127.0.0.1:${peer.port} is closed`,
      });
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
      for (const to of [
        5,
        'x',
        {},
        [],
        [undefined, 9],
        { port: 9 },
        ['127.0.0.1', 0],
        ['127.0.0.1', 1.5],
        ['example.net', 1],
      ]) {
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
      for (const [option, call] of wrongs)
        expect(call, option).toThrow(expect.objectContaining({ code: 'ERR_ROUTEPOOL_OPTION', option }));
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
      await expect(pipeOpen(TCP, ['127.0.0.1', 9], undefined, { signal: AbortSignal.abort() })).rejects.toMatchObject({
        code: 'ABORT_ERR',
      });
    });

    it('while a name is looked up', async () => {
      const controller = new AbortController();
      const lookup = () => controller.abort();
      await expect(
        pipeOpen(TCP, 'x.example:9', undefined, { lookup, signal: controller.signal }),
      ).rejects.toMatchObject({ code: 'ABORT_ERR' });
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
      const lookup = (
        _: string,
        __: object,
        done: (error: null, found: { address: string; family: number }[]) => void,
      ) =>
        done(null, [
          { address: '127.0.0.1', family: 4 },
          { address: '::1', family: 6 },
        ]);
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
}
