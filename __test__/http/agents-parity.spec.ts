/** Agents beside Node's own with `localAddress`: the same requests, and what is seen of them must be the same. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import http, { type Agent, type AgentOptions, type ClientRequest, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { pipeStats, validate, type Route } from '../../src/index.ts';
import { turn, until } from '../pipe/suite/peers.ts';

let route: Route;
const SOURCE = '127.83.1.1';
beforeAll(async () => {
  route = (await validate(SOURCE).pool()).at(0) ?? expect.unreachable('it was proven');
});
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

interface Served {
  readonly server: Server;
  readonly port: number;
  /** Connections that were made, and the most at once. */
  readonly made: () => number;
  readonly most: () => number;
}

async function serve(
  listener: http.RequestListener,
  options: http.ServerOptions = { keepAliveTimeout: 60_000 },
): Promise<Served> {
  let [made, open, most] = [0, 0, 0];
  const server = http.createServer(options, listener);
  server.on('connection', (socket: Socket) => {
    made++;
    most = Math.max(most, ++open);
    socket.on('close', () => open--).on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    server.closeAllConnections();
    return new Promise((done) => server.close(done));
  });
  return { server, port: (server.address() as AddressInfo).port, made: () => made, most: () => most };
}

const mirror: http.RequestListener = (request, response) =>
  void request.resume().on('end', () => response.end(String(request.socket.remoteAddress)));
const counts = (agent: Agent) =>
  [agent.sockets, agent.freeSockets, agent.requests].map((all) =>
    Object.values(all).reduce((sum, each) => sum + (each?.length ?? 0), 0),
  );
async function ask(agent: Agent, port: number, options: http.RequestOptions = {}, body?: string): Promise<string> {
  const request = http.request({ host: '127.0.0.1', port, agent, ...options }).end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const content = await text(response);
  await turn();
  return `${response.statusCode} ${content}`;
}
const code = (request: ClientRequest) =>
  new Promise((resolve) => request.once('error', (error: NodeJS.ErrnoException) => resolve(error.code)));

/** What is done with an agent, and what is seen of it. */
const SCENES: [name: string, options: AgentOptions, play: (agent: Agent) => Promise<unknown>][] = [
  [
    'one connection serves one request after the other',
    { keepAlive: true },
    async (agent) => {
      const { port, made } = await serve(mirror);
      const seen = [await ask(agent, port), await ask(agent, port, { method: 'POST' }, 'x'), await ask(agent, port)];
      return [seen, made(), counts(agent)];
    },
  ],
  [
    'without keep-alive each has its own',
    { keepAlive: false },
    async (agent) => {
      const { port, made } = await serve(mirror);
      const seen = [await ask(agent, port), await ask(agent, port)];
      await until(() => counts(agent)[0] === 0);
      return [seen, made(), counts(agent)];
    },
  ],
  [
    'maxSockets holds the others in a queue',
    { keepAlive: true, maxSockets: 3 },
    async (agent) => {
      const { port, made, most } = await serve(mirror);
      const all = Array.from({ length: 20 }, () => ask(agent, port));
      const queued = counts(agent)[2];
      const seen = new Set(await Promise.all(all));
      return [queued, [...seen], made(), most(), counts(agent)];
    },
  ],
  [
    'maxFreeSockets closes the rest',
    { keepAlive: true, maxFreeSockets: 2 },
    async (agent) => {
      const { port, made } = await serve(mirror);
      await Promise.all(Array.from({ length: 8 }, () => ask(agent, port)));
      await until(() => counts(agent)[0] === 0);
      return [made(), counts(agent)];
    },
  ],
  [
    'lifo takes the one that was used last',
    { keepAlive: true, scheduling: 'lifo' },
    async (agent) => {
      const { port, made } = await serve(mirror);
      await Promise.all(Array.from({ length: 3 }, () => ask(agent, port)));
      await ask(agent, port);
      return [made(), counts(agent)];
    },
  ],
  [
    'a time-out of the agent is told to the request',
    { keepAlive: true, timeout: 20 },
    async (agent) => {
      const { port } = await serve(() => undefined);
      const request = http.get({ host: '127.0.0.1', port, agent });
      await once(request, 'timeout');
      const failed = code(request);
      request.destroy();
      return [await failed, counts(agent)[2]];
    },
  ],
  [
    'an idle connection goes after the time-out',
    { keepAlive: true, timeout: 20 },
    async (agent) => {
      const { port } = await serve(mirror);
      const first = await ask(agent, port);
      await until(() => counts(agent)[1] === 0);
      return [first, counts(agent)];
    },
  ],
  [
    'destroy leaves nothing',
    { keepAlive: true },
    async (agent) => {
      const { port } = await serve(mirror);
      await Promise.all(Array.from({ length: 5 }, () => ask(agent, port)));
      agent.destroy();
      await until(() => counts(agent).every((count) => count === 0));
      return counts(agent);
    },
  ],
  [
    'destroy amid requests fails them',
    { keepAlive: true },
    async (agent) => {
      const { port, server } = await serve(() => undefined);
      const arrived = once(server, 'request');
      const request = http.get({ host: '127.0.0.1', port, agent });
      const failed = code(request);
      await arrived;
      agent.destroy();
      return [await failed];
    },
  ],
  [
    'an aborted request frees its place for the next',
    { keepAlive: true, maxSockets: 1 },
    async (agent) => {
      const { port, server } = await serve((request, response) => {
        if (request.url === '/silent') server.emit('silent');
        else mirror(request, response);
      });
      const arrived = once(server, 'silent');
      const stop = new AbortController();
      const request = http.get({ host: '127.0.0.1', port, path: '/silent', agent, signal: stop.signal });
      const failed = code(request);
      const waiting = ask(agent, port);
      await arrived;
      stop.abort();
      return [await failed, await waiting];
    },
  ],
  [
    'a request that is aborted while it is queued takes nobody along',
    { keepAlive: true, maxSockets: 1 },
    async (agent) => {
      const { port } = await serve(mirror);
      const first = ask(agent, port);
      const queued = http.get({ host: '127.0.0.1', port, agent });
      const failed = code(queued);
      queued.destroy();
      const last = ask(agent, port);
      return [await first, await failed, await last];
    },
  ],
  [
    'a server that closes amid the answer',
    { keepAlive: true },
    async (agent) => {
      const { port } = await serve((request, response) => {
        response.writeHead(200, { 'content-length': 100 }).write('part');
        setImmediate(() => request.socket.destroy());
      });
      const [response] = (await once(http.get({ host: '127.0.0.1', port, agent }), 'response')) as [IncomingMessage];
      const error: unknown = await text(response).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      return [(error as NodeJS.ErrnoException).code, response.complete, counts(agent)[1]];
    },
  ],
  [
    'a server that resets in place of answering',
    { keepAlive: true },
    async (agent) => {
      const { port } = await serve((request) => request.socket.resetAndDestroy());
      return [await code(http.get({ host: '127.0.0.1', port, agent }))];
    },
  ],
  [
    'a server that says close',
    { keepAlive: true },
    async (agent) => {
      const { port, made } = await serve((request, response) => {
        response.setHeader('connection', 'close');
        mirror(request, response);
      });
      const seen = [await ask(agent, port), await ask(agent, port)];
      await until(() => counts(agent)[0] === 0);
      return [seen, made(), counts(agent)];
    },
  ],
  [
    'nobody listens',
    { keepAlive: true },
    async (agent) => {
      const seen = await new Promise<NodeJS.ErrnoException & { address?: string; port?: number }>((resolve) =>
        http.get({ host: '127.0.0.1', port: 1, agent }).once('error', resolve),
      );
      return [seen.code, seen.syscall, seen.address, seen.port];
    },
  ],
  [
    'Expect: 100-continue',
    { keepAlive: true },
    async (agent) => {
      const { port } = await serve(mirror);
      const request = http.request({
        host: '127.0.0.1',
        port,
        agent,
        method: 'PUT',
        headers: { expect: '100-continue' },
      });
      request.flushHeaders();
      await once(request, 'continue');
      request.end('body');
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      return [response.statusCode, await text(response)];
    },
  ],
  [
    'Upgrade',
    { keepAlive: true },
    async (agent) => {
      const { port, server } = await serve(mirror);
      server.on('upgrade', (_request, socket) => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
        socket.pipe(socket);
      });
      const request = http.get({ host: '127.0.0.1', port, agent, headers: { connection: 'Upgrade', upgrade: 'echo' } });
      const [response, socket] = (await once(request, 'upgrade')) as [IncomingMessage, Socket];
      socket.end('hello');
      return [response.statusCode, await text(socket), counts(agent)];
    },
  ],
  [
    'CONNECT',
    { keepAlive: true },
    async (agent) => {
      const { port, server } = await serve(mirror);
      server.on('connect', (_request, socket) => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        socket.pipe(socket);
      });
      const request = http.request({ host: '127.0.0.1', port, agent, method: 'CONNECT', path: 'x.test:443' }).end();
      const [response, socket] = (await once(request, 'connect')) as [IncomingMessage, Socket];
      socket.end('hello');
      return [response.statusCode, await text(socket), counts(agent)];
    },
  ],
  [
    'a large upload, with back pressure',
    { keepAlive: true },
    async (agent) => {
      const { port } = await serve((request, response) => {
        const hash = createHash('sha256');
        request.on('data', (data: Buffer) => hash.update(data)).on('end', () => response.end(hash.digest('hex')));
      });
      const request = http.request({ host: '127.0.0.1', port, agent, method: 'POST' });
      let waits = 0;
      for (let i = 0; i < 400; i++) {
        if (request.write(Buffer.alloc(100_000, i))) continue;
        waits++;
        await once(request, 'drain');
      }
      request.end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      return [await text(response), waits > 0];
    },
  ],
];

describe.each(SCENES)('%s', (_name, options, play) => {
  it('is as with an agent of Node', async () => {
    const own = new http.Agent({ ...options, localAddress: SOURCE } as AgentOptions);
    const expected = await play(own);
    own.destroy();
    const agent = route.agent(options as object);
    expect(await play(agent)).toEqual(expected);
    agent.destroy();
    await until(() => pipeStats().open === 0);
  });
});

it.skipIf(process.platform !== 'linux')('5,000 requests, aborted ones among them, leave nothing open', async () => {
  const { port } = await serve(mirror);
  const agent = route.agent({ maxSockets: 20 });
  const batch = async () => {
    await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const request = http.get({
          host: '127.0.0.1',
          port,
          agent,
          ...(i % 10 === 0 ? { headers: { connection: 'close' } } : {}),
        });
        const over = new Promise((resolve) => request.on('error', resolve).on('close', resolve));
        if (i % 7 === 0) request.destroy();
        else request.on('response', (response) => response.resume());
        await over;
      }),
    );
  };
  for (let i = 0; i < 10; i++) await batch();
  const before = readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 90; i++) await batch();
  expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before + 40);
  agent.destroy();
  await until(() => pipeStats().open === 0);
});
