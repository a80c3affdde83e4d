/** Agents and connectors: what a server sees of http, https, undici and WebSockets that leave by routes. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import http, { type IncomingMessage, type RequestListener, type Server } from 'node:http';
import https from 'node:https';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Agent as UndiciAgent, fetch as undiciFetch, request as undiciRequest } from 'undici';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { RoutePool, validate, type Route } from '../../src/index.ts';
import { makeCertificate, whyNoCertificate } from '../helpers/certificate.ts';

let pool: RoutePool;
let secrets: { key: string; cert: string };
beforeAll(async () => {
  pool = await validate('127.83.0.0/28').pool();
  if (whyNoCertificate === undefined) secrets = makeCertificate();
});

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});
const closing = <T extends { destroy(): unknown }>(owner: T): T => {
  closers.push(() => owner.destroy());
  return owner;
};

const route = (k: number): Route => pool.at(k) ?? expect.unreachable('the pool has 16');
const ip = (k: number) => `127.83.0.${k}`;

/** Answers with the address and port that it sees. */
const mirror: RequestListener = (request, response) => {
  const { remoteAddress, remotePort } = request.socket;
  request.resume().on('end', () => response.end(`${remoteAddress} ${remotePort}`));
};

async function serve(server: Server | https.Server, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  closers.push(() => {
    server.closeAllConnections();
    return new Promise((done) => server.close(done));
  });
  return (server.address() as AddressInfo).port;
}
const httpServer = (listener: RequestListener = mirror) =>
  serve(http.createServer({ keepAliveTimeout: 60_000 }, listener));

async function get(options: http.RequestOptions | https.RequestOptions, body?: string): Promise<string> {
  const { request } = 'ca' in options || options.protocol === 'https:' ? https : http;
  const sent = request({ host: '127.0.0.1', ...(body === undefined ? {} : { method: 'POST' }), ...options }).end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const content = await text(response);
  // The connection is free again on the next turn.
  await new Promise(setImmediate);
  return content;
}

describe('an agent at maxTotalSockets', () => {
  it('closes an idle connection of another source for a request that has none', async () => {
    const port = await httpServer();
    const agent = closing(pool.agent({ maxTotalSockets: 2 }));
    const seen: string[] = [];
    for (let k = 0; k < 5; k++) seen.push((await get({ port, agent })).split(' ')[0] ?? '');
    expect(seen).toEqual([0, 1, 2, 3, 4].map(ip));
    expect(Object.keys(agent.freeSockets)).toHaveLength(2);
  });

  it('gives the place of a connection to a request of another source that waits', async () => {
    const port = await httpServer();
    const agent = closing(pool.agent({ maxTotalSockets: 3 }));
    const seen = await Promise.all(Array.from({ length: 48 }, () => get({ port, agent })));
    expect(new Set(seen.map((line) => line.split(' ')[0])).size).toBe(16);
  });

  it('keeps using an idle connection of its own source', async () => {
    const port = await httpServer();
    const agent = closing(route(3).agent({ maxTotalSockets: 1 }));
    expect(new Set([await get({ port, agent }), await get({ port, agent })]).size).toBe(1);
  });
});

describe('an http agent of a route', () => {
  it('leaves by the route, and keeps its connection alive', async () => {
    const port = await httpServer();
    const agent = closing(route(3).agent());
    const seen = [
      await get({ port, agent }),
      await get({ port, agent }),
      await get({ port, agent }, 'x'.repeat(100_000)),
    ];
    expect(seen[0]).toMatch(/^127\.83\.0\.3 \d+$/);
    expect(new Set(seen).size).toBe(1);
    expect(Object.keys(agent.freeSockets)).toEqual([`127.0.0.1:${port}:127.83.0.3:`]);
  });

  it('without keep-alive has a connection for each request', async () => {
    const port = await httpServer();
    const agent = closing(route(3).agent({ keepAlive: false }));
    const seen = [await get({ port, agent }), await get({ port, agent })];
    expect(seen.every((line) => line.startsWith('127.83.0.3 '))).toBe(true);
    expect(new Set(seen).size).toBe(2);
  });

  it('notices that the server closed an idle connection', async () => {
    const server = http.createServer(mirror);
    const port = await serve(server);
    const agent = closing(route(3).agent());
    const first = await get({ port, agent });
    const [idle] = Object.values(agent.freeSockets).flat() as Socket[];
    server.closeAllConnections();
    await once(idle ?? expect.unreachable('a connection is kept'), 'close');
    expect(Object.values(agent.freeSockets).flat()).toEqual([]);
    expect(await get({ port, agent })).not.toBe(first);
  });

  it('holds to maxSockets exactly, while connections are under way too', async () => {
    let [open, most] = [0, 0];
    const server = http.createServer((_request, response) => setImmediate(() => response.end('x')));
    server.on('connection', (socket) => {
      most = Math.max(most, ++open);
      socket.on('close', () => open--);
    });
    const port = await serve(server);
    const agent = closing(route(3).agent({ maxSockets: 2 }));
    expect(await Promise.all(Array.from({ length: 20 }, () => get({ port, agent })))).toEqual(
      Array.from({ length: 20 }, () => 'x'),
    );
    expect(most).toBe(2);
  });

  it('that is destroyed closes its idle connections', async () => {
    const server = http.createServer(mirror);
    const port = await serve(server);
    const agent = route(3).agent();
    const [[peer]] = (await Promise.all([once(server, 'connection'), get({ port, agent })])) as [[Socket], string];
    agent.destroy();
    await once(peer, 'close');
  });

  it('a refused connection is an error of the request, as of any agent', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    await new Promise((done) => taken.close(done));
    const agent = closing(route(3).agent());
    const request = http.get({ host: '127.0.0.1', port, agent });
    const [error] = (await once(request, 'error')) as [Error];
    expect(error).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect', address: '127.0.0.1', port });
    expect(Object.values(agent.sockets).flat()).toEqual([]);
  });

  it('a name that does not exist too, and a given lookup is asked', async () => {
    const port = await httpServer();
    const agent = closing(route(3).agent());
    const lookup = ((
      host: string,
      _options: unknown,
      done: (error: Error | null, found: { address: string; family: number }[]) => void,
    ) =>
      host === 'service.test'
        ? done(null, [{ address: '127.0.0.1', family: 4 }])
        : done(Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' }), [])) as never;
    expect(await get({ host: 'service.test', port, agent, lookup })).toMatch(/^127\.83\.0\.3 /);
    const request = http.get({ host: 'missing.test', port, agent, lookup });
    const [error] = (await once(request, 'error')) as [Error];
    expect(error).toMatchObject({ code: 'ENOTFOUND' });
  });

  it('aborts while it connects', async () => {
    const agent = closing(route(3).agent());
    const stop = new AbortController();
    const lookup = (() => stop.abort()) as never;
    const request = http.get({ host: 'silent.test', port: 80, agent, lookup, signal: stop.signal });
    const [error] = (await once(request, 'error')) as [Error];
    expect(error).toMatchObject({ code: 'ABORT_ERR' });
    await new Promise(setImmediate);
    expect(Object.values(agent.sockets).flat()).toEqual([]);
  });

  it('times out as the request says', async () => {
    const port = await httpServer(() => undefined);
    const request = http.get({ host: '127.0.0.1', port, agent: closing(route(3).agent()), timeout: 30 });
    await once(request, 'timeout');
    request.destroy(new Error('too slow'));
    const [error] = (await once(request, 'error')) as [Error];
    expect(error.message).toBe('too slow');
  });

  it('refuses a source or a socket file beside its route', async () => {
    const agent = closing(route(3).agent());
    for (const [wrong, message] of [
      [{ localAddress: '127.0.0.9' }, /`localAddress`/],
      [{ socketPath: '/run/x' }, /`socketPath`/],
    ] as const) {
      const [error] = (await once(http.get({ host: '127.0.0.1', port: 1, agent, ...wrong }), 'error')) as [Error];
      expect(error).toMatchObject({ code: 'ERR_ROUTEPOOL_OPTION', message: expect.stringMatching(message) as string });
    }
    expect(() => route(0).agent({ protocol: 'ftp:' } as never)).toThrow(/'http:' or 'https:' for `protocol`/);
    expect(() => route(0).agent(7 as never)).toThrow(/an object for `options`/);
  });
});

describe('an http agent of a pool', () => {
  it('takes turns, and an idle connection serves only its own source', async () => {
    const port = await httpServer();
    const three = pool.slice(5, 8);
    const agent = closing(three.agent());
    const seen: string[] = [];
    for (let i = 0; i < 7; i++) seen.push(await get({ port, agent }));
    expect(seen.map((line) => line.split(' ')[0])).toEqual([5, 6, 7, 5, 6, 7, 5].map(ip));
    expect(new Set(seen).size).toBe(3);
    expect(Object.keys(agent.freeSockets).toSorted()).toEqual([5, 6, 7].map((k) => `127.0.0.1:${port}:${ip(k)}:`));
  });

  it('takes any at random', async () => {
    const port = await httpServer();
    const agent = closing(pool.agent({ pick: 'random', keepAlive: false }));
    const seen = await Promise.all(Array.from({ length: 60 }, () => get({ port, agent })));
    const sources = new Set(seen.map((line) => line.split(' ')[0] ?? ''));
    expect([...sources].every((source) => pool.has(source))).toBe(true);
    // That all 60 are of two sources has a chance of (2/16)^58.
    expect(sources.size).toBeGreaterThan(2);
  });

  it('asks a function, which sees the request', async () => {
    const port = await httpServer();
    const agent = closing(
      pool.agent({
        pick: (all, request) => all.at(Number((request as { headers: Record<string, string> }).headers['x-source'])),
      }),
    );
    expect(await get({ port, agent, headers: { 'x-source': '9' } })).toMatch(/^127\.83\.0\.9 /);
    expect(await get({ port, agent, headers: { 'x-source': '-1' } })).toMatch(/^127\.83\.0\.15 /);
    const none = http.get({ host: '127.0.0.1', port, agent, headers: { 'x-source': '99' } });
    const [error] = (await once(none, 'error')) as [Error];
    expect(error).toMatchObject({ code: 'ERR_ROUTEPOOL_NO_ROUTE', message: '`pick` gave no route of the pool' });
  });

  it('without an address says so', async () => {
    const empty = closing(pool.slice(0, 0).agent());
    const [error] = (await once(http.get({ host: '127.0.0.1', port: 1, agent: empty }), 'error')) as [Error];
    expect(error).toMatchObject({ code: 'ERR_ROUTEPOOL_NO_ROUTE', message: 'this pool has no address' });
    expect(() => pool.agent({ pick: 'next' as never })).toThrow(/'round-robin', 'random' or a function for `pick`/);
  });
});

if (whyNoCertificate !== undefined) console.warn(`skipped: TLS, since ${whyNoCertificate}`);

describe.skipIf(whyNoCertificate !== undefined)('https', () => {
  const httpsServer = (listener: RequestListener = mirror) =>
    serve(https.createServer({ ...secrets, keepAliveTimeout: 60_000 }, listener));

  it('leaves by the routes, is verified, and keeps connections', async () => {
    const port = await httpsServer();
    const agent = closing(pool.slice(2, 4).agent({ protocol: 'https:', ca: secrets.cert }));
    const ask = () => get({ protocol: 'https:', port, agent, servername: 'service.test' });
    const seen = [await ask(), await ask(), await ask(), await ask()];
    expect(seen.map((line) => line.split(' ')[0])).toEqual([2, 3, 2, 3].map(ip));
    expect(new Set(seen).size).toBe(2);
  });

  it('takes up a session again', async () => {
    const port = await httpsServer((request, response) =>
      response.end(String((request.socket as never as { isSessionReused(): boolean }).isSessionReused())),
    );
    const agent = closing(
      route(2).agent({ protocol: 'https:', ca: secrets.cert, keepAlive: false, maxVersion: 'TLSv1.2' }),
    );
    const ask = () => get({ protocol: 'https:', port, agent, servername: 'service.test' });
    expect([await ask(), await ask()]).toEqual(['false', 'true']);
  });

  it('does not trust a certificate that nobody signed', async () => {
    const port = await httpsServer();
    const [error] = (await once(
      https.get({ host: '127.0.0.1', port, agent: closing(route(2).agent({ protocol: 'https:' })) }),
      'error',
    )) as [Error];
    expect(error).toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  });

  it('a refused connection keeps its code', async () => {
    const [error] = (await once(
      https.get({ host: '127.0.0.1', port: 1, agent: closing(route(2).agent({ protocol: 'https:' })) }),
      'error',
    )) as [Error];
    expect(error).toMatchObject({ code: 'ECONNREFUSED', address: '127.0.0.1', port: 1 });
  });

  it('carries a WebSocket', async () => {
    const server = https.createServer(secrets);
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (socket, request) => {
      socket.send(String(request.socket.remoteAddress));
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    });
    const port = await serve(server);
    const client = new WebSocket(`wss://127.0.0.1:${port}/`, {
      agent: route(11).agent({ protocol: 'https:', ca: secrets.cert, keepAlive: false }),
    });
    const next = async () => ((await once(client, 'message')) as [Buffer])[0];
    expect(String(await next())).toBe(ip(11));
    const large = Buffer.from(Uint8Array.from({ length: 1_000_000 }, (_, i) => i % 251));
    client.send(large);
    expect((await next()).equals(large)).toBe(true);
    client.close();
    await once(client, 'close');
  });
});

describe('undici', () => {
  it('leaves by the route, which its own localAddress does not', async () => {
    const port = await httpServer();
    const url = `http://127.0.0.1:${port}/`;
    const ask = async (dispatcher: UndiciAgent) =>
      (await (await undiciRequest(url, { dispatcher: closing(dispatcher) })).body.text()).split(' ')[0];
    expect(await ask(new UndiciAgent({ connect: { localAddress: ip(6) } as never }))).toBe('127.0.0.1');
    expect(await ask(new UndiciAgent({ connect: route(6).connector() }))).toBe(ip(6));
  });

  it('fetches, keeps its connections, and takes turns between sources', async () => {
    const port = await httpServer();
    const url = `http://127.0.0.1:${port}/`;
    const dispatcher = closing(new UndiciAgent({ connect: route(6).connector(), connections: 1 }));
    const ask = async (init: object) => await (await undiciFetch(url, { ...init, dispatcher })).text();
    const seen = [await ask({}), await ask({ method: 'POST', body: 'x'.repeat(300_000) }), await ask({})];
    expect(new Set(seen).size).toBe(1);
    expect(seen[0]).toMatch(/^127\.83\.0\.6 /);
    const many = closing(new UndiciAgent({ connect: pool.connector(), connections: 16 }));
    const sources = await Promise.all(
      Array.from(
        { length: 16 },
        async () => (await (await undiciFetch(url, { dispatcher: many })).text()).split(' ')[0],
      ),
    );
    expect(new Set(sources).size).toBe(16);
  });

  it('tells refused connections and those that take too long', async () => {
    const ask = (connect: ReturnType<Route['connector']>, url: string) =>
      undiciRequest(url, { dispatcher: closing(new UndiciAgent({ connect })) });
    await expect(ask(route(6).connector(), 'http://127.0.0.1:1/')).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      syscall: 'connect',
    });
    const silent = () => undefined;
    await expect(ask(route(6).connector({ lookup: silent, timeout: 20 }), 'http://silent.test/')).rejects.toMatchObject(
      { code: 'UND_ERR_CONNECT_TIMEOUT' },
    );
    await expect(ask(pool.connector({ pick: () => undefined }), 'http://127.0.0.1:1/')).rejects.toMatchObject({
      code: 'ERR_ROUTEPOOL_NO_ROUTE',
    });
    expect(() => route(6).connector({ timeout: -1 })).toThrow(/for `timeout` but received -1/);
    expect(() => pool.connector({ pick: 7 as never })).toThrow(/for `pick`/);
  });

  it.skipIf(whyNoCertificate !== undefined)('verifies https, and leaves by the route', async () => {
    const port = await serve(https.createServer({ ...secrets, keepAliveTimeout: 60_000 }, mirror));
    const ask = async (options: object, host = '127.0.0.1') => {
      const dispatcher = closing(new UndiciAgent({ connect: route(6).connector(options) }));
      return (await (await undiciFetch(`https://${host}:${port}/`, { dispatcher })).text()).split(' ')[0];
    };
    expect(await ask({ ca: secrets.cert })).toBe(ip(6));
    await expect(ask({})).rejects.toMatchObject({ cause: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' } });
    const lookup = (_host: string, _options: unknown, done: (error: null, found: object[]) => void) =>
      done(null, [{ address: '127.0.0.1', family: 4 }]);
    expect(await ask({ ca: secrets.cert, lookup }, 'service.test')).toBe(ip(6));
    await expect(ask({ ca: secrets.cert, lookup }, 'other.test')).rejects.toMatchObject({
      cause: { code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
    });
  });
});

/** undici 8 needs a newer Node than routepool does. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const runsUndici8 = major > 22 || (major === 22 && minor >= 19);
if (!runsUndici8) console.warn(`skipped: undici 8, which needs Node 22.19 and this is ${process.versions.node}`);

it.skipIf(!runsUndici8)('undici 8 leaves by the route too', async () => {
  const port = await httpServer();
  const script = fileURLToPath(new URL('../helpers/undici8.mjs', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, `http://127.0.0.1:${port}/`]);
  expect(
    stdout
      .split('\n')
      .slice(0, 2)
      .map((line) => line.split(' ')[0]),
  ).toEqual(['127.84.0.3', '127.84.0.3']);
});
