/** Connections of daemons: who gets them, limits, and the end of all. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Daemon, TCP, type Pipe } from '../../src/index.ts';
import { until } from '../pipe/suite/peers.ts';
import { cleanUp, client, closers, daemon, pool } from '../helpers/daemons.ts';

cleanUp();

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
      pipe.addMessageListener(
        (data) =>
          void pipe
            .send(data)
            .then(() => pipe.close())
            .then(() => served++),
      );
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

  it('are not given to what is no function', () => {
    const daemon = new Daemon();
    for (const add of ['addMessageListener', 'addUpListener', 'addEndListener'] as const) {
      expect(() => daemon[add](undefined as never), add).toThrow(
        expect.objectContaining({ code: 'ERR_ROUTEPOOL_OPTION', option: 'listener' }),
      );
    }
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
    expect([received.length, closes, pipe?.closed, server.servers, server.connections]).toEqual([
      3_000_000,
      1,
      true,
      [],
      0,
    ]);
    const again = () =>
      daemon()
        .listen(TCP, group.port, '127.86.0.2')
        .catch(() => undefined);
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

  const script = fileURLToPath(new URL('../helpers/daemon-exit.mjs', import.meta.url));
  it.each(['closed', 'unref'])('lets the process exit when %s', async (how) => {
    const { stdout } = await promisify(execFile)(process.execPath, [script, how], { timeout: 20_000 });
    expect(stdout).toBe('listening\nanswered\n');
  });

  const whyNoLimit =
    spawnSync('sh', ['-c', 'ulimit -n 80']).status === 0 ? undefined : 'the shell cannot limit descriptors';
  if (whyNoLimit !== undefined) console.warn(`skipped: want of descriptors, since ${whyNoLimit}`);
  it.skipIf(whyNoLimit !== undefined)(
    'is not near when descriptors run out: it goes on when there are some again',
    async () => {
      const child = spawn('sh', ['-c', `ulimit -n 80; exec "${process.execPath}" "${script}" descriptors`]);
      const lines: string[] = [];
      const ended = once(child, 'close');
      const port = new Promise<number>((resolve) => {
        child.stdout.on('data', (chunk: Buffer) => {
          lines.push(
            ...String(chunk)
              .split('\n')
              .filter((line) => line !== ''),
          );
          if (lines.length >= 2) resolve(Number(lines[1]));
        });
      });
      const sockets = await Promise.all(Array.from({ length: 300 }, async () => client('127.0.0.1', await port)));
      for (const socket of sockets) socket.write('x');
      expect(await Promise.all(sockets.map(text))).toEqual(sockets.map(() => 'x'));
      child.stdin.end();
      expect([(await ended)[0], lines[2]]).toEqual([0, 'EMFILE accept']);
    },
  );
});

describe('accept', () => {
  it('after a close of the daemon gives null, at once and always, and a loop ends; listening again is refused', async () => {
    const server = new Daemon();
    const { port } = await server.listen(TCP, 0, '127.86.0.1');
    await client('127.86.0.1', port);
    await server.accept();
    await client('127.86.0.1', port);
    await until(() => server.connections === 2);
    const closing = server.close();
    // The one that waited is closed with the daemon, and not given to anybody.
    expect([await server.accept(), await server.accept({ timeoutMs: 0 })]).toEqual([null, null]);
    await closing;
    expect([await server.accept(), await server[Symbol.asyncIterator]().next()]).toEqual([
      null,
      { done: true, value: undefined },
    ]);
    await expect(server.listen(TCP, 0, '127.86.0.1')).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_CLOSED' });
  });

  it('after a close of the last group waits for the next one, and gives nothing that was closed with the first', async () => {
    const server = daemon();
    const first = await server.listen(TCP, 0, '127.86.0.1');
    const other = await server.listen(TCP, 0, '127.86.0.2');
    await client('127.86.0.1', first.port);
    await client('127.86.0.2', other.port);
    await until(() => server.connections === 2);
    await first.close();
    expect((await server.accept())?.localAddress).toBe('127.86.0.2');
    expect(await server.accept({ timeoutMs: 0 })).toBeUndefined();
    await other.close();
    expect(server.servers).toEqual([]);
    const next = server.accept();
    const again = await server.listen(TCP, 0, '127.86.0.3');
    await client('127.86.0.3', again.port);
    expect((await next)?.localAddress).toBe('127.86.0.3');
  });
});
