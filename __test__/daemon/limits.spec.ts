/**
 * The limit of connections, which is held to exactly, and ports, which are free once a close has settled. For the
 * reader of this machine.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { Daemon, pipeOpen, TCP, UDP, type DaemonOptions, type Pipe, type ServerGroup } from '../../src/index.ts';
import { until } from '../pipe/suite/peers.ts';
import { cleanUp, client, closers, daemon, pool } from '../helpers/daemons.ts';

cleanUp();

/**
 * A daemon, and the greatest number of connections that it has ever told of, looked at with each pipe that comes or
 * goes.
 */
function watched(options: DaemonOptions): { server: Daemon; most(): number } {
  const server = daemon(options);
  let most = 0;
  const look = () =>
    (most = Math.max(
      most,
      server.connections,
      server.servers.reduce((sum, each) => sum + each.connections, 0),
    ));
  server.on('pipe', (pipe) => {
    look();
    pipe.on('close', look);
  });
  return { server, most: () => most };
}

/** Once it is closed, by whatever reason. */
function gone(socket: Socket): Promise<void> {
  return new Promise(
    (resolve) =>
      void socket
        .on('error', () => undefined)
        .resume()
        .on('close', () => resolve()),
  );
}

async function clients(count: number, port: number, host = '127.86.0.1'): Promise<Socket[]> {
  return Promise.all(Array.from({ length: count }, () => client(host, port)));
}

describe('maxConnections', () => {
  it('is never exceeded by a crowd that comes at once, and the others wait in the kernel', async () => {
    const { server, most } = watched({ maxConnections: 5 });
    const pipes: Pipe[] = [];
    server.on('pipe', (pipe) => pipes.push(pipe));
    const { port, servers } = await server.listen(TCP, 0, '127.86.0.1');
    const crowd = await clients(100, port);
    await until(() => pipes.length === 5);
    // What the system has accepted is what the daemon counts: all others can be taken back by their clients unseen.
    expect([server.connections, servers[0]?.counters().accepted]).toEqual([5, 5]);
    let left = 95;
    while (left-- > 0) {
      const told = once(server, 'pipe');
      (pipes.shift() ?? expect.unreachable('five are open')).destroy();
      await told;
      expect(server.connections).toBe(5);
    }
    expect([most(), servers[0]?.counters().accepted, crowd.length]).toEqual([5, 100, 100]);
  });

  it('is for all servers of a daemon together, whichever of them is asked', async () => {
    const { server, most } = watched({ maxConnections: 3 });
    server.on('pipe', (pipe) => void pipe.recv().then(() => pipe.close()));
    const group = await server.listen(TCP, 0, ['127.86.0.1', '127.86.0.2', '127.86.0.3']);
    const served = Array.from({ length: 90 }, async (_, i) => {
      const socket = connect(group.port, `127.86.0.${1 + (i % 3)}`)
        .end('x')
        .resume();
      await once(socket, 'close');
    });
    await Promise.all(served);
    expect(most()).toBe(3);
    expect(group.servers.reduce((sum, each) => sum + each.counters().accepted, 0)).toBe(90);
  });

  it('counts connections and datagram peers together', async () => {
    const { server, most } = watched({ maxConnections: 2 });
    const { port } = await server.listen(TCP, 0, '127.86.0.1');
    const peers = await server.listen(UDP, 0, '127.86.0.1');
    const first = createSocket('udp4');
    closers.push(() => first.close());
    const came = once(server, 'pipe');
    first.send('x', peers.port, '127.86.0.1');
    const [peer] = (await came) as [Pipe];
    await clients(2, port);
    await until(() => server.connections === 2);
    const second = createSocket('udp4');
    closers.push(() => second.close());
    second.send('x', peers.port, '127.86.0.1');
    await until(() => peers.servers[0]?.counters().refused === 1);
    const next = once(server, 'pipe');
    peer.destroy();
    expect(((await next) as [Pipe])[0].protocol).toBe(TCP);
    expect(most()).toBe(2);
  });

  it('is not used up by connections for addresses beside those served, nor by a group that is closed', async () => {
    const { server } = watched({ maxConnections: 1 });
    const { port } = await server.listen(TCP, 0, '127.86.0.0/25');
    for (let i = 0; i < 10; i++) await gone(connect(port, '127.86.0.200'));
    const other = await server.listen(TCP, 0, '127.86.0.130');
    const told = once(server, 'pipe');
    await client('127.86.0.130', other.port);
    await told;
    const crowd = await clients(10, port);
    await other.close();
    await once(server, 'pipe');
    expect([server.connections, crowd.length]).toEqual([1, 10]);
  });

  it('counts a connection no more that was handed over as a socket, which goes on', async () => {
    const { server, most } = watched({ maxConnections: 1 });
    const { port } = await server.listen(TCP, 0, '127.86.0.1');
    const told = once(server, 'pipe');
    const crowd = await clients(2, port);
    const [pipe] = (await told) as [Pipe];
    const next = once(server, 'pipe');
    const socket = await pipe.socket();
    await next;
    expect([server.connections, most()]).toEqual([1, 1]);
    socket.end('still there');
    const answers = crowd.filter((each) => each.localPort === socket.remotePort).map(text);
    expect(await Promise.all(answers)).toEqual(['still there']);
  });

  it('a group that is closed by the first connection of many leaves none of them behind', async () => {
    const server = daemon();
    const group: ServerGroup = await server.listen(TCP, 0, '127.86.0.1');
    server.once('pipe', () => void group.close());
    await Promise.all(Array.from({ length: 60 }, () => gone(connect(group.port, '127.86.0.1'))));
    expect(server.connections).toBe(0);
  });
});

describe('a port is free once close has settled', () => {
  it('of a UDP pipe, 1,000 times', async () => {
    let pipe = await pipeOpen(UDP, null, await pool.at(1)?.bind());
    const port = pipe.localPort;
    const sender = createSocket('udp4');
    closers.push(() => sender.close());
    for (let i = 0; i < 1_000; i++) {
      // So that the reader has it in hand.
      sender.send('x', port, '127.86.0.1');
      await pipe.close();
      // Which binds the port for a try, and then the pipe does.
      pipe = await pipeOpen(UDP, null, await pool.at(1)?.bind({ port }));
    }
    expect(pipe.localPort).toBe(port);
    await pipe.close();
  });

  it.each([TCP, UDP] as const)('of a %s server, by its group, 1,000 times', async (protocol) => {
    const server = daemon();
    let group = await server.listen(protocol, 0, '127.86.0.1');
    const { port } = group;
    const sender = createSocket('udp4');
    closers.push(() => sender.close());
    for (let i = 0; i < 1_000; i++) {
      if (protocol === UDP) sender.send('x', port, '127.86.0.1');
      await group.close();
      group = await server.listen(protocol, port, '127.86.0.1');
    }
    expect(group.servers).toHaveLength(1);
  });

  it('of a daemon with connections, 200 times', async () => {
    let port = 0;
    for (let i = 0; i < 200; i++) {
      const server = new Daemon();
      ({ port } = await server.listen(TCP, port, '127.86.0.1'));
      const socket = await client('127.86.0.1', port);
      await Promise.all([server.close(), gone(socket)]);
    }
  });
});
