/** Pipes and daemons with programs of others at the other end: curl, socat, dig. */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Daemon, pipeOpen, TCP, UDP, validate, type RoutePool } from '../../src/index.ts';
import { makeCertificate, whyNoCertificate } from '../helpers/certificate.ts';

const isThere = (command: string, ...args: string[]) => spawnSync(command, args).error === undefined;
const missing = [
  ['curl', '--version'],
  ['socat', '-V'],
  ['dig', '-v'],
].flatMap(([command = '', arg = '']) => (isThere(command, arg) ? [] : [command]));
if (missing.length > 0) console.warn(`strangers: SKIPPED ${missing.join(', ')}, not installed`);
const without = (...commands: string[]) => commands.some((command) => missing.includes(command));

let pool: RoutePool;
beforeAll(async () => {
  pool = await validate('127.92.0.0/24').pool();
});

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

function daemon(): Daemon {
  const made = new Daemon();
  closers.push(() => made.close());
  return made;
}

/** What a command prints; its input is `input`. */
async function run(command: string, args: string[], input: Uint8Array | string = ''): Promise<Buffer> {
  const child = execFile(command, args, { encoding: 'buffer', maxBuffer: 1 << 28, timeout: 30_000 });
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(input);
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer | string) => chunks.push(Buffer.from(chunk as Buffer)));
  let errors = '';
  child.stderr?.on('data', (chunk) => (errors += String(chunk)));
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} (${status}): ${errors}`);
  return Buffer.concat(chunks);
}

/** A port that was free a moment ago: socat does not say which one it was given. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

/** Starts socat and waits until it listens. */
async function socat(listen: string, then: string): Promise<void> {
  const child: ChildProcess = spawn('socat', ['-d', '-d', listen, then], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'close');
  closers.push(() => {
    child.kill('SIGKILL');
    return ended;
  });
  for await (const chunk of child.stderr ?? [])
    if (/listening on|receiving on|starting data transfer loop|successfully prepared/.test(String(chunk))) break;
  child.stderr?.resume();
}

describe.skipIf(without('curl'))('curl', () => {
  it('is served by a daemon at a block, with one connection for several requests', async () => {
    const seen = new Set<string>();
    const web = http.createServer((request, response) => {
      seen.add(`${request.socket.remoteAddress}:${request.socket.remotePort} -> ${request.socket.localAddress}`);
      response.end(`${request.url} for ${request.socket.remoteAddress}\n`);
    });
    const server = daemon();
    server.on('pipe', (pipe) => web.emit('connection', pipe.stream()));
    const { port } = await server.listen(TCP, 0, pool);
    const url = `http://127.92.0.77:${port}`;
    expect(String(await run('curl', ['-sS', '--interface', '127.93.0.5', `${url}/a`, `${url}/b`]))).toBe(
      '/a for 127.93.0.5\n/b for 127.93.0.5\n',
    );
    expect(seen.size).toBe(1);
    expect([...seen][0]).toMatch(/^127\.93\.0\.5:\d+ -> 127\.92\.0\.77$/);
  });

  it('sends and fetches 20 MB', async () => {
    const web = http.createServer((request, response) => request.pipe(response));
    const server = daemon();
    server.on('pipe', (pipe) => web.emit('connection', pipe.stream()));
    const { port } = await server.listen(TCP, 0, '127.92.0.1');
    const bytes = randomBytes(20_000_000);
    const back = await run(
      'curl',
      ['-sS', '-X', 'POST', '-H', 'Expect:', '--data-binary', '@-', `http://127.92.0.1:${port}/`],
      bytes,
    );
    expect(back.equals(bytes)).toBe(true);
  });

  it.skipIf(whyNoCertificate !== undefined)('is served over TLS', async () => {
    const secrets = makeCertificate();
    const web = https.createServer(secrets, (request, response) =>
      response.end(`${request.socket.remoteAddress ?? 'secret'} ${request.headers.host}\n`),
    );
    const server = daemon();
    server.on('pipe', (pipe) => web.emit('connection', pipe.stream()));
    const { port } = await server.listen(TCP, 0, pool);
    const folder = mkdtempSync(join(tmpdir(), 'routepool-curl-'));
    closers.push(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'ca.pem'), secrets.cert);
    const to = ['--resolve', `service.test:${port}:127.92.0.9`, `https://service.test:${port}/`];
    expect(String(await run('curl', ['-sS', '--cacert', join(folder, 'ca.pem'), ...to]))).toMatch(
      `service.test:${port}`,
    );
    await expect(run('curl', ['-sS', ...to])).rejects.toThrow(/certificate/);
  });
});

describe.skipIf(without('socat'))('socat', () => {
  const source = (k: number) => pool.at(k);

  it('as a TCP server sees the route', async () => {
    const port = await freePort();
    await socat(`TCP4-LISTEN:${port},bind=127.92.1.1,reuseaddr,fork`, 'SYSTEM:echo $SOCAT_PEERADDR');
    for (const k of [3, 200]) {
      const pipe = await pipeOpen(TCP, `127.92.1.1:${port}`, source(k));
      let answer = '';
      for await (const data of pipe) answer += String(data);
      expect(answer).toBe(`127.92.0.${k}\n`);
    }
  });

  it('as a UDP server sees the route', async () => {
    const port = await freePort();
    await socat(`UDP4-RECVFROM:${port},bind=127.92.1.1,fork`, 'SYSTEM:echo $SOCAT_PEERADDR');
    const pipe = await pipeOpen(UDP, ['127.92.1.1', port], source(44));
    closers.push(() => pipe.close());
    // socat tells that it has a socket before it reads from it.
    let answer: Buffer | undefined | null;
    for (let tries = 0; answer === undefined && tries < 20; tries++) {
      await pipe.send('who?');
      answer = await pipe.recv({ timeoutMs: 500 });
    }
    expect(String(answer)).toBe('127.92.0.44\n');
  });

  it('gives back 8 MB, and the end after them', async () => {
    const port = await freePort();
    await socat(`TCP4-LISTEN:${port},bind=127.92.1.1,reuseaddr`, 'EXEC:cat');
    const pipe = await pipeOpen(TCP, ['127.92.1.1', port], source(5), { allowHalfOpen: true });
    const bytes = randomBytes(8_000_000);
    const hash = createHash('sha256');
    const reading = (async () => {
      for await (const data of pipe) hash.update(data);
    })();
    await pipe.send(bytes);
    await pipe.end();
    await reading;
    expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
    await pipe.close();
  });

  it('as a client is answered by a daemon, from the address that it asked', async () => {
    const server = daemon();
    server.addMessageListener(
      (data, from, pipe) =>
        void pipe
          .send(`${String(data).trim()} ${from.address} at ${pipe.localAddress}\n`)
          .then(() => (pipe.protocol === TCP ? pipe.close() : undefined)),
    );
    for (const protocol of [TCP, UDP] as const) {
      const { port } = await server.listen(protocol, 0, pool);
      const to = `${protocol === TCP ? 'TCP4' : 'UDP4'}:127.92.0.66:${port},bind=127.93.0.7`;
      expect(String(await run('socat', ['-t', '2', '-', to], 'hello\n'))).toBe('hello 127.93.0.7 at 127.92.0.66\n');
    }
  });

  it('pulls 20 MB through a relay of two pipes', async () => {
    const bytes = randomBytes(20_000_000);
    const folder = mkdtempSync(join(tmpdir(), 'routepool-socat-'));
    closers.push(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'bytes');
    writeFileSync(file, bytes);
    const port = await freePort();
    await socat(`TCP4-LISTEN:${port},bind=127.92.1.1,reuseaddr,fork`, `OPEN:${file},rdonly`);
    const server = daemon();
    server.on('pipe', (pipe) => {
      void pipeOpen(TCP, ['127.92.1.1', port], source(9)).then((other) => pipe.relay(other));
    });
    const group = await server.listen(TCP, 0, '127.92.0.8');
    const pulled = join(folder, 'pulled');
    await run('socat', ['-u', `TCP4:127.92.0.8:${group.port}`, `OPEN:${pulled},creat,trunc`]);
    expect(readFileSync(pulled).equals(bytes)).toBe(true);
  });
});

/** A DNS answer (RFC 1035) to a question for an address: always this one. */
function dnsAnswer(query: Buffer, address: string): Buffer {
  const end = query.indexOf(0, 12) + 5;
  const head = Buffer.from(query.subarray(0, end));
  head.writeUInt16BE(0x8400 | (query.readUInt16BE(2) & 0x0100), 2);
  head.writeUInt16BE(1, 6);
  head.writeUInt32BE(0, 8);
  return Buffer.concat([
    head,
    Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split('.').map(Number)]),
  ]);
}

describe.skipIf(without('dig'))('dig', () => {
  const dig = async (host: string, port: number, ...more: string[]) =>
    String(
      await run('dig', [`@${host}`, '-p', String(port), '+short', '+tries=1', '+time=5', ...more, 'example.test', 'A']),
    ).trim();

  it('is answered over UDP by a daemon at a block, and takes the answer: it is from the address that was asked', async () => {
    const server = daemon();
    server.addMessageListener((data, _from, pipe) => void pipe.send(dnsAnswer(data, pipe.localAddress)));
    const { port } = await server.listen(UDP, 0, pool);
    for (const host of ['127.92.0.0', '127.92.0.123', '127.92.0.255']) expect(await dig(host, port)).toBe(host);
  });

  it('is answered over TCP', async () => {
    const server = daemon();
    server.on('pipe', (pipe) => {
      let got = Buffer.alloc(0);
      pipe.addMessageListener((data) => {
        got = Buffer.concat([got, data]);
        if (got.length < 2 || got.length < 2 + got.readUInt16BE(0)) return;
        const answer = dnsAnswer(got.subarray(2), pipe.localAddress);
        const length = Buffer.alloc(2);
        length.writeUInt16BE(answer.length);
        void pipe.send(Buffer.concat([length, answer]));
      });
    });
    const { port } = await server.listen(TCP, 0, pool);
    expect(await dig('127.92.0.42', port, '+tcp')).toBe('127.92.0.42');
  });

  it('has its question passed on by a pipe to a server behind it', async () => {
    const inner = daemon();
    inner.addMessageListener((data, from, pipe) => void pipe.send(dnsAnswer(data, from.address)));
    const { port: innerPort } = await inner.listen(UDP, 0, '127.92.1.9');
    const outer = daemon();
    outer.addMessageListener((data, _from, pipe) => {
      void pipeOpen(UDP, ['127.92.1.9', innerPort], pipe.route).then(async (onward) => {
        await onward.send(data);
        const answer = await onward.recv({
          timeoutMs: 5_000,
          filter: (message) => message.data.readUInt16BE(0) === data.readUInt16BE(0),
        });
        if (answer) await pipe.send(answer);
        await onward.close();
      });
    });
    const { port } = await outer.listen(UDP, 0, pool);
    // The server behind sees the address that was asked: the pipe of the question leaves by the same route.
    expect(await dig('127.92.0.31', port)).toBe('127.92.0.31');
  });
});
