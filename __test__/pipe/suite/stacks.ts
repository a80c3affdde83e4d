/** The stacks of errors that come up while somebody waits: they lead to the line that waits, for each reader. */
import { describe, expect, it } from 'vitest';
import { TCP, UDP, type Message, type Pipe } from '../../../src/index.ts';
import { tcpServer, turn, until } from './peers.ts';
import type { PipeTools } from './tools.ts';

/** Declares the tests. */
export function stackTests({ keep, open }: PipeTools): void {
  /** A pipe whose peer resets it once it is told. */
  const doomed = async () => {
    const server = keep(await tcpServer(() => undefined));
    const pipe = await open(TCP, server.dest);
    await until(() => server.sockets.size === 1);
    return { pipe, reset: () => [...server.sockets].forEach((socket) => socket.resetAndDestroy()) };
  };
  const failed = async (waiting: Promise<unknown>) => {
    const error: unknown = await waiting.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(Error);
    return error as NodeJS.ErrnoException;
  };

  describe('an error leads to the line that waits', () => {
    async function waitsInRecv(pipe: Pipe): Promise<unknown> {
      return await pipe.recv();
    }
    async function waitsInRecvFrom(pipe: Pipe): Promise<Message | undefined | null> {
      return await pipe.recvFrom({ timeoutMs: 60_000 });
    }
    async function waitsInSubscription(pipe: Pipe): Promise<unknown> {
      return await pipe.subscribe(/x/).recv();
    }
    async function waitsInSubscriptionFrom(pipe: Pipe): Promise<unknown> {
      return await pipe.subscribe().recvFrom();
    }
    async function waitsInLoop(pipe: Pipe): Promise<void> {
      for await (const data of pipe) expect.unreachable(String(data));
    }
    async function waitsInMessages(pipe: Pipe): Promise<void> {
      for await (const message of pipe.messages(/x/)) expect.unreachable(String(message.data));
    }
    async function waitsAmongOthers(pipe: Pipe): Promise<unknown> {
      return await Promise.all([turn(), pipe.recv()]);
    }

    it.each([
      waitsInRecv,
      waitsInRecvFrom,
      waitsInSubscription,
      waitsInSubscriptionFrom,
      waitsInLoop,
      waitsInMessages,
      waitsAmongOthers,
    ])('%o', async (waits) => {
      const { pipe, reset } = await doomed();
      const waiting = failed(waits(pipe));
      await turn();
      reset();
      const error = await waiting;
      expect(error).toMatchObject({ code: 'ECONNRESET', syscall: 'read', address: '127.0.0.1', port: pipe.remotePort });
      expect(error.message).toBe(`read ECONNRESET 127.0.0.1:${pipe.remotePort}`);
      expect(error.stack).toContain(waits.name);
      expect(error.stack).toContain('stacks.ts');
    });

    it('each of two who wait has its own', async () => {
      const { pipe, reset } = await doomed();
      const both = [failed(waitsInRecv(pipe)), failed(waitsInRecvFrom(pipe))];
      await turn();
      reset();
      const [first, second] = await Promise.all(both);
      expect([first?.stack?.includes('waitsInRecv '), second?.stack?.includes('waitsInRecvFrom ')]).toEqual([
        true,
        true,
      ]);
    });

    it('who comes after the failure too', async () => {
      const { pipe, reset } = await doomed();
      reset();
      await until(() => pipe.closed);
      expect((await failed(waitsInRecv(pipe))).stack).toContain('waitsInRecv');
    });

    it('a refused datagram too, and the pipe goes on', async () => {
      const pipe = await open(UDP, ['127.0.0.1', 1]);
      const waiting = failed(waitsInRecv(pipe));
      await pipe.send('x');
      const error = await waiting;
      expect(error).toMatchObject({ code: 'ECONNREFUSED', syscall: 'recvmsg' });
      expect(error.stack).toContain('waitsInRecv');
    });

    it('an error of the one who destroys the pipe stays that very error', async () => {
      const { pipe } = await doomed();
      const own = Object.assign(new Error('enough'), { code: 'EOWN' });
      const waiting = failed(waitsInRecv(pipe));
      pipe.destroy(own);
      expect(await waiting).toBe(own);
    });
  });
}
