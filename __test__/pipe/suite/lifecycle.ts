/** Order, integrity, back pressure, relays and hand-over of pipes, for each reader. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { pipeOpen, setPipeReader, pipeStats, TCP, UDP, type Pipe, type PipeReader } from '../../../src/index.ts';
import { descriptors, Pattern, seeded, tcpServer, turn, udpPeer, until, type TcpPeer, type UdpPeer } from './peers.ts';

/** Bytes that are moved each way: a few seconds' worth, or all that was asked for (`npm run test:integrity`: 1 GB). */
const BYTES = Number(process.env['ROUTEPOOL_TEST_BYTES'] ?? 48e6);

/** Declares the tests. Must run before anything has opened a socket in this process. */
export function lifecycleTests(reader: PipeReader): void {
  setPipeReader(reader);
  const peers: (TcpPeer | UdpPeer)[] = [];
  const keep = <T extends TcpPeer | UdpPeer>(peer: T): T => {
    peers.push(peer);
    return peer;
  };
  afterEach(async () => {
    await Promise.all(peers.splice(0).map((peer) => peer.close()));
    await until(() => pipeStats().open === 0);
  });

  /** Sends the pattern in pieces of any size, each as soon as the one before was taken. */
  const sendPattern = async (pipe: Pipe, pattern: Pattern, bytes: number, seed: number) => {
    const random = seeded(seed);
    for (let sent = 0; sent < bytes;) {
      const length = Math.min(bytes - sent, 1 + random(random(2) === 0 ? 100 : 200_000));
      await pipe.send(pattern.at(sent, length));
      sent += length;
    }
  };

  /** A peer that checks what it gets, and sends its own pattern at its own pace. */
  const checkingServer = async (incoming: Pattern, outgoing: Pattern, bytes: number) => {
    const state = { received: 0, isRight: true, isDone: false };
    const server = keep(
      await tcpServer(
        (socket) => {
          socket.on('data', (data) => {
            if (!incoming.matches(state.received, data)) state.isRight = false;
            state.received += data.length;
          });
          socket.on('end', () => (state.isDone = true));
          void pump(socket, outgoing, bytes);
        },
        '127.0.0.1',
        { allowHalfOpen: true },
      ),
    );
    return { server, state };
  };

  const pump = async (socket: Socket, pattern: Pattern, bytes: number) => {
    const random = seeded(99);
    for (let sent = 0; sent < bytes;) {
      const length = Math.min(bytes - sent, 1 + random(300_000));
      if (!socket.write(pattern.at(sent, length))) await once(socket, 'drain');
      sent += length;
    }
    socket.end();
  };

  it(`${BYTES / 1e6} MB each way, cut at random, arrive as they were sent`, { timeout: 600_000 }, async () => {
    const [up, down] = [new Pattern(1), new Pattern(2)];
    const { server, state } = await checkingServer(up, down, BYTES);
    const pipe = await pipeOpen(TCP, server.dest, undefined, { allowHalfOpen: true });
    const sending = sendPattern(pipe, up, BYTES, 3).then(() => pipe.end());
    let received = 0;
    let isRight = true;
    for await (const data of pipe) {
      if (!down.matches(received, data)) isRight = false;
      received += data.length;
    }
    await sending;
    await until(() => state.isDone);
    expect([received, isRight]).toEqual([BYTES, true]);
    expect(state).toEqual({ received: BYTES, isRight: true, isDone: true });
    expect(pipe.counters()).toMatchObject({ bytesSent: BYTES, bytesReceived: BYTES, dropped: 0, bytesQueued: 0 });
    await until(() => pipe.closed);
  });

  it(`${BYTES / 1e6} MB each way through a relay arrive as they were sent`, { timeout: 600_000 }, async () => {
    const [up, down] = [new Pattern(4), new Pattern(5)];
    const { server, state } = await checkingServer(up, down, BYTES);
    const front = keep(
      await tcpServer(
        (socket) => {
          let received = 0;
          socket.on('data', (data) => {
            if (!down.matches(received, data)) got.isRight = false;
            received += data.length;
            got.received = received;
          });
          socket.on('end', () => (got.isDone = true));
          void pump(socket, up, BYTES);
        },
        '127.0.0.1',
        { allowHalfOpen: true },
      ),
    );
    const got = { received: 0, isRight: true, isDone: false };
    const [a, b] = await Promise.all([pipeOpen(TCP, front.dest), pipeOpen(TCP, server.dest)]);
    // Some of it has been received by the pipes already when the relay begins.
    await until(() => a.counters().messagesReceived > 0 && b.counters().messagesReceived > 0);
    const moved = await a.relay(b);
    expect(moved).toEqual({ bytesForward: BYTES, bytesBack: BYTES });
    await until(() => got.isDone && state.isDone);
    expect([got, state]).toEqual([
      { received: BYTES, isRight: true, isDone: true },
      { received: BYTES, isRight: true, isDone: true },
    ]);
    expect([a.closed, b.closed, a.bytesReceived, b.bytesSent]).toEqual([true, true, BYTES, BYTES]);
  });

  it('a slow reader stops a fast sender: memory is bounded, nothing is lost', async () => {
    const pattern = new Pattern(6);
    const bytes = 24e6;
    let written = 0;
    const server = keep(
      await tcpServer(async (socket) => {
        for (; written < bytes; written += 100_000) {
          if (!socket.write(pattern.at(written, 100_000))) await once(socket, 'drain');
        }
        socket.end();
      }),
    );
    const pipe = await pipeOpen(TCP, server.dest, undefined, { highWaterMark: 65_536, receiveBuffer: 65_536 });
    // The sender is stuck once the two kernel buffers and the queue are full: then nothing moves any more.
    let before = -1;
    for (let still = 0; still < 20; still = written === before ? still + 1 : 0) {
      before = written;
      await turn();
      await turn();
    }
    expect(written).toBeLessThan(bytes);
    expect(pipe.counters().bytesReceived).toBeLessThan(2e6);
    let received = 0;
    let isRight = true;
    for await (const data of pipe) {
      if (!pattern.matches(received, data)) isRight = false;
      received += data.length;
      if (received % 7 === 0) await turn();
    }
    expect([received, isRight]).toEqual([bytes, true]);
  });

  it('a slow reader of UDP loses datagrams, in order, and counts each', async () => {
    const peer = keep(await udpPeer(() => undefined));
    const pipe = await pipeOpen(UDP, peer.dest, undefined, { highWaterMark: 4_096, receiveBuffer: 16_384 });
    const total = 2_000;
    for (let n = 0; n < total; n++) peer.socket.send(Buffer.alloc(64, `${n}`.padEnd(8)), pipe.localPort, '127.0.0.1');
    await new Promise<void>((resolve) => peer.socket.send('', peer.port, '127.0.0.1', () => resolve()));
    await until(() => pipe.counters().dropped > 0);
    const got: number[] = [];
    for (;;) {
      const data = await pipe.recv({ timeoutMs: 200 });
      if (!data) break;
      got.push(Number(String(data.subarray(0, 8))));
    }
    expect(got).toEqual(got.toSorted((a, b) => a - b));
    expect(got.length + pipe.counters().dropped).toBe(total);
    await pipe.close();
  });

  describe('relay', () => {
    it('of datagrams, with what waits first', async () => {
      const [a, b] = [
        keep(await udpPeer((data) => fromB.push(String(data)))),
        keep(await udpPeer((data, reply) => reply(`re ${String(data)}`))),
      ];
      const fromB: string[] = [];
      const [pa, pb] = await Promise.all([pipeOpen(UDP, a.dest), pipeOpen(UDP, b.dest)]);
      a.socket.send('early', pa.localPort, '127.0.0.1');
      await until(() => pa.counters().messagesReceived === 1);
      const relay = pa.relay(pb);
      await until(() => fromB.length === 1);
      a.socket.send('late', pa.localPort, '127.0.0.1');
      await until(() => fromB.length === 2);
      expect(fromB).toEqual(['re early', 're late']);
      expect([pa.bytesReceived, pb.bytesReceived]).toEqual([9, 15]);
      await expect(pa.send('x')).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_MISUSE' });
      await pb.close();
      expect(await relay).toEqual({ bytesForward: 9, bytesBack: 15 });
      expect([pa.closed, pb.closed]).toEqual([true, true]);
    });

    it('ends with either pipe, and a reset of one peer ends it', async () => {
      const before = descriptors();
      const server = await tcpServer((socket) => socket.write('hello'));
      const pair = () => Promise.all([pipeOpen(TCP, server.dest), pipeOpen(TCP, server.dest)]);
      const [a, b] = await pair();
      const relay = a.relay(b);
      await until(() => a.bytesReceived >= 5 && b.bytesReceived >= 5 && pipeStats().relayed > 0);
      a.destroy();
      expect(await relay).toEqual({ bytesForward: 5, bytesBack: 5 });
      const [c, d] = await pair();
      const broken = c.relay(d).catch((error: unknown) => error);
      await until(() => pipeStats().open === 0);
      await until(() => server.sockets.size >= 2);
      for (const socket of server.sockets) socket.resetAndDestroy();
      expect(await broken).toMatchObject({ code: expect.stringMatching(/ECONNRESET|EPIPE|ENOTCONN/) });
      expect([c.closed, d.closed]).toEqual([true, true]);
      await server.close();
      await until(() => descriptors() <= before);
    });

    it('between a stream and datagrams', async () => {
      const got: string[] = [];
      const udp = keep(await udpPeer((data, reply) => reply(`<${String(data)}>`)));
      const tcp = keep(
        await tcpServer((socket) =>
          socket
            .on('data', (data) => {
              got.push(String(data));
              socket.end();
            })
            .write('ask'),
        ),
      );
      const [a, b] = await Promise.all([pipeOpen(TCP, tcp.dest), pipeOpen(UDP, udp.dest)]);
      expect(await a.relay(b)).toEqual({ bytesForward: 3, bytesBack: 5 });
      expect(got).toEqual(['<ask>']);
    });

    it('of a pipe that is relayed, or made a socket, as soon as it is open loses nothing that came with the connection', async () => {
      const server = keep(await tcpServer((socket) => socket.end('hello')));
      const got: string[] = [];
      const sink = keep(
        await tcpServer(
          (socket) => {
            let all = '';
            socket
              .on('data', (data) => (all += String(data)))
              .on('end', () => {
                got.push(all);
                socket.end();
              });
          },
          '127.0.0.1',
          { allowHalfOpen: true },
        ),
      );
      const sockets: string[] = [];
      const rounds = 40;
      for (let round = 0; round < rounds; round++) {
        sockets.push(await text(await (await pipeOpen(TCP, server.dest)).socket()));
        const other = await pipeOpen(TCP, sink.dest);
        await (await pipeOpen(TCP, server.dest)).relay(other);
      }
      await until(() => got.length === rounds);
      expect([new Set(sockets), new Set(got)]).toEqual([new Set(['hello']), new Set(['hello'])]);
    });

    it('of a pipe in other hands is refused', async () => {
      const server = keep(await tcpServer((socket) => socket.pipe(socket)));
      const [a, b] = await Promise.all([pipeOpen(TCP, server.dest), pipeOpen(TCP, server.dest)]);
      a.stream().on('error', () => undefined);
      await expect(a.relay(b)).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_MISUSE' });
      await expect(b.relay(b)).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_MISUSE' });
      a.destroy();
      b.destroy();
    });

    it.each(['first', 'second'])(
      'rejects, and closes both, when the %s is destroyed while it begins',
      async (which) => {
        const server = keep(await tcpServer((socket) => socket.resume()));
        const [a, b] = await Promise.all([pipeOpen(TCP, server.dest), pipeOpen(TCP, server.dest)]);
        const relayed = a.relay(b);
        (which === 'first' ? a : b).destroy();
        await expect(relayed).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_CLOSED' });
        expect([a.closed, b.closed]).toEqual([true, true]);
      },
    );

    it('that is refused leaves the pipes as they were', async () => {
      const server = keep(await tcpServer((socket) => socket.pipe(socket)));
      const [a, b, closed, subscribed] = await Promise.all([1, 2, 3, 4].map(() => pipeOpen(TCP, server.dest)));
      if (a === undefined || b === undefined || closed === undefined || subscribed === undefined) expect.unreachable();
      const anybody = await pipeOpen(UDP, null);
      await closed.close();
      subscribed.subscribe();
      b.stream().on('error', () => undefined);
      await expect(a.relay(closed)).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_CLOSED' });
      for (const other of [a, b, subscribed, anybody])
        await expect(a.relay(other)).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_MISUSE' });
      await expect(a.relay(undefined as never)).rejects.toMatchObject({
        code: 'ERR_ROUTEPOOL_OPTION',
        option: 'other',
      });
      await a.send('still here');
      expect(String(await a.recv({ timeoutMs: 10_000 }))).toBe('still here');
      for (const pipe of [a, b, subscribed, anybody]) pipe.destroy();
    });
  });

  it('socket() hands the descriptor to a net.Socket, with what waits first', async () => {
    const server = keep(
      await tcpServer((socket) => {
        socket.write('early ');
        socket.on('data', (data) => socket.write(data));
      }),
    );
    const pipe = await pipeOpen(TCP, server.dest);
    await until(() => pipe.counters().messagesReceived === 1);
    const { localPort } = pipe;
    const socket = await pipe.socket();
    expect([pipe.closed, socket.localPort, socket.remotePort]).toEqual([true, localPort, server.port]);
    socket.write('late');
    let text = '';
    for await (const data of socket) if ((text += String(data)) === 'early late') break;
    expect(text).toBe('early late');
  });

  it('10,000 opens and closes leave descriptors and memory as they were', { timeout: 120_000 }, async () => {
    const server = keep(await tcpServer((socket) => socket.resume()));
    const peer = keep(await udpPeer(() => undefined));
    const rounds = async (count: number) => {
      for (let n = 0; n < count; n++) {
        const pipes = await Promise.all(
          Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? pipeOpen(TCP, server.dest) : pipeOpen(UDP, peer.dest))),
        );
        await Promise.all(pipes.map((pipe, i) => (i % 4 === 0 ? pipe.reset() : pipe.close())));
      }
      await until(() => server.sockets.size === 0);
    };
    await rounds(40);
    globalThis.gc?.();
    const [fds, memory] = [descriptors(), process.memoryUsage()];
    await rounds(160);
    globalThis.gc?.();
    expect(descriptors()).toBeLessThanOrEqual(fds + 2);
    const after = process.memoryUsage();
    // A leak of 1 KiB for each of the 8,000 would be 8 MB more; what comes and goes with the collector is less.
    if (globalThis.gc) expect(after.heapUsed - memory.heapUsed).toBeLessThan(4e6);
    expect(pipeStats().open).toBe(0);
  });
}
