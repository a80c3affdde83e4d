/** A pipe in place of a net.Socket: order, back pressure, half-close, time-outs, ends of all kinds. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { connect as tlsConnect, createServer as createTlsServer } from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { pipeOpen, TCP, validate, type Pipe, type PipeOptions, type Route } from '../../src/index.ts';
import { openStream } from '../../src/http/open-stream.ts';
import type { PipeStream } from '../../src/pipe/stream.ts';
import { makeCertificate, whyNoCertificate } from '../helpers/certificate.ts';

let route: Route;
beforeAll(async () => {
  route = (await validate('127.85.0.0/30').pool()).at(2) ?? expect.unreachable('the pool has 4');
});

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => new Promise((done) => server.close(done)));
  return (server.address() as AddressInfo).port;
}

/** A stream and the socket at its other end. */
async function pair(options: PipeOptions = {}): Promise<{ stream: PipeStream; peer: Socket; errors: Error[] }> {
  const server = createServer({ allowHalfOpen: true });
  const port = await listen(server);
  const [pipe, [peer]] = (await Promise.all([
    pipeOpen(TCP, ['127.0.0.1', port], route, options),
    once(server, 'connection'),
  ])) as [Pipe, [Socket]];
  const stream = pipe.stream();
  const errors: Error[] = [];
  stream.on('error', (error) => errors.push(error));
  peer.on('error', () => undefined);
  closers.push(() => (stream.destroy(), peer.destroy()));
  return { stream, peer, errors };
}

/** Bytes of which no two pieces are alike, in chunks of odd sizes. */
const block = randomBytes(1_000_000);
function* noise(total: number): Generator<Buffer> {
  let state = 7;
  for (let sent = 0; sent < total;) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const from = state % 850_000;
    const size = Math.min(total - sent, 1 + ((state >>> 8) % 150_000));
    yield block.subarray(from, from + size);
    sent += size;
  }
}

const hash = (chunks: Iterable<Buffer>) => {
  const sum = createHash('sha256');
  for (const chunk of chunks) sum.update(chunk);
  return sum.digest('hex');
};

/** A loop would destroy the stream at its end, and with it the half that is still being written. */
function hashOf(readable: Readable): Promise<string> {
  const sum = createHash('sha256');
  readable.on('data', (chunk: Buffer) => sum.update(chunk));
  return new Promise((resolve, reject) => readable.on('error', reject).on('end', () => resolve(sum.digest('hex'))));
}

/** All that comes, as text. */
function text(readable: Readable): Promise<string> {
  let all = '';
  readable.on('data', (chunk: Buffer) => (all += String(chunk)));
  return new Promise((resolve) => readable.on('end', () => resolve(all)));
}

/** Until it is closed, whatever happens before. */
const closed = (stream: PipeStream | Socket) =>
  new Promise<void>((resolve) => (stream.closed ? resolve() : stream.once('close', resolve)));

describe('a stream', () => {
  it('has the face of a socket', async () => {
    const { stream, peer } = await pair();
    expect(stream).toMatchObject({
      localAddress: '127.85.0.2',
      localFamily: 'IPv4',
      localPort: peer.remotePort,
      remoteAddress: '127.0.0.1',
      remoteFamily: 'IPv4',
      remotePort: peer.localPort,
      connecting: false,
      pending: false,
      readyState: 'open',
      destroyed: false,
      bytesRead: 0,
      bytesWritten: 0,
    });
    expect(stream.address()).toEqual({ address: '127.85.0.2', family: 'IPv4', port: peer.remotePort });
    expect(stream.setNoDelay().setKeepAlive(true, 1_000).ref().unref().ref().setTimeout(0)).toBe(stream);
    stream.end('hello');
    expect(await text(peer)).toBe('hello');
    peer.end('goodbye');
    expect(await text(stream)).toBe('goodbye');
    expect([stream.bytesWritten, stream.bytesRead]).toEqual([5, 7]);
  });

  it('carries 24 MB each way at once, byte for byte', async () => {
    // One side is done first; the other must not be ended for that.
    const { stream, peer } = await pair({ allowHalfOpen: true });
    const total = 24_000_000;
    const want = hash(noise(total));
    const [there, back] = await Promise.all([
      hashOf(peer),
      hashOf(stream),
      pipeline(Readable.from(noise(total)), stream, { end: true }),
      pipeline(Readable.from(noise(total)), peer),
    ]);
    expect([there, back]).toEqual([want, want]);
  });

  it('is connecting at first; what is written meanwhile is sent', async () => {
    const server = createServer((socket) => socket.pipe(socket));
    const stream = openStream(['127.0.0.1', await listen(server)], route, {
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 1_000,
    });
    expect([stream.connecting, stream.pending, stream.readyState, stream.localAddress, stream.bytesWritten]).toEqual([
      true,
      true,
      'opening',
      undefined,
      0,
    ]);
    stream.write('one ');
    stream.end('two');
    expect(await text(stream)).toBe('one two');
  });

  it('stops a fast sender while nobody reads, and loses nothing', async () => {
    const { stream, peer } = await pair();
    const piece = Buffer.alloc(65_536, 'x');
    let written = 0;
    while (peer.write(piece)) written += piece.length;
    // Until the kernel takes no more: the sender's queue then grows, ours does not.
    for (let quiet = 0, before = -1; quiet < 20; quiet = before === peer.writableLength ? quiet + 1 : 0) {
      before = peer.writableLength;
      if (peer.writableLength < 4_000_000) peer.write(piece);
      await new Promise(setImmediate);
    }
    // What the reader had on the way when it was stopped still comes: the portable one has up to 1 MiB.
    expect(stream.readableLength).toBeLessThanOrEqual(stream.readableHighWaterMark + 2_097_152);
    const total = peer.bytesWritten;
    peer.end();
    let read = 0;
    for await (const chunk of stream) read += (chunk as Buffer).length;
    expect([read, written > 0]).toEqual([total, true]);
  });

  it('waits for a slow reader when it writes', async () => {
    const { stream, peer } = await pair();
    peer.pause();
    const piece = Buffer.alloc(1_000_000, 'y');
    let calls = 0;
    while (stream.write(piece, () => calls++) || stream.writableLength < 30_000_000);
    expect(stream.writableNeedDrain).toBe(true);
    stream.end();
    let read = 0;
    for await (const chunk of peer) read += (chunk as Buffer).length;
    expect(read).toBe(stream.bytesWritten);
    expect(calls * piece.length).toBe(read);
  });

  it('closes its half and goes on reading', async () => {
    const { stream, peer } = await pair();
    stream.end('question');
    expect(await text(peer)).toBe('question');
    expect(stream.readyState).toBe('readOnly');
    peer.end('answer');
    expect(await text(stream)).toBe('answer');
    await closed(stream);
    expect(stream.readyState).toBe('closed');
  });

  it('closes its half when the other end has, as net.Socket does', async () => {
    const { stream, peer } = await pair();
    peer.end();
    stream.resume();
    const ended = once(peer, 'end');
    peer.resume();
    await ended;
    await closed(stream);
  });

  it('notices the end though nobody reads', async () => {
    const { stream, peer } = await pair();
    peer.end();
    await once(stream, 'end');
  });

  it('tells a reset as an error', async () => {
    const { stream, peer, errors } = await pair();
    stream.resume();
    peer.resetAndDestroy();
    await closed(stream);
    expect(errors).toMatchObject([{ code: 'ECONNRESET', address: '127.0.0.1', localAddress: '127.85.0.2' }]);
  });

  it('resets when asked', async () => {
    const { stream, peer } = await pair();
    const gone = once(peer, 'error');
    peer.resume();
    stream.resetAndDestroy();
    expect((await gone)[0]).toMatchObject({ code: 'ECONNRESET' });
    await closed(stream);
  });

  it('destroyed with an error tells that one, and the peer sees the end', async () => {
    const { stream, peer, errors } = await pair();
    const ended = closed(peer);
    peer.resume().on('end', () => peer.end());
    stream.destroy(new Error('enough'));
    await closed(stream);
    await ended;
    expect(errors.map((error) => error.message)).toEqual(['enough']);
    expect(stream.write('late', () => undefined)).toBe(false);
  });

  it('destroyed soon sends first what was written', async () => {
    const { stream, peer } = await pair();
    stream.write('x'.repeat(3_000_000));
    stream.destroySoon();
    expect((await text(peer)).length).toBe(3_000_000);
    await closed(stream);
  });

  it('destroyed while it connects connects no more, and says no error', async () => {
    const stream = openStream(['silent.test', 80], route, { lookup: () => undefined });
    stream.on('error', () => expect.unreachable('it was given up'));
    stream.write('never sent', () => undefined);
    await new Promise(setImmediate);
    stream.destroy();
    await closed(stream);
    expect([stream.connecting, stream.pending, stream.readyState]).toEqual([false, true, 'closed']);
  });

  it.each([
    ['127.0.0.1', 1, 'ECONNREFUSED'],
    ['[', 1, 'ERR_ROUTEPOOL_OPTION'],
    ['127.0.0.1', 0, 'ERR_ROUTEPOOL_OPTION'],
  ])('that cannot connect to %s:%i fails with %s', async (host, port, code) => {
    const stream = openStream([host, port], route, {});
    const [error] = (await once(stream, 'error')) as [Error];
    expect(error).toMatchObject({ code });
    await closed(stream);
  });

  it('emits timeout after silence, not while bytes flow, and once for a listener that was given', async () => {
    const { stream, peer } = await pair();
    let given = 0;
    stream.setTimeout(400, () => given++);
    expect(stream.timeout).toBe(400);
    stream.resume();
    let timeouts = 0;
    stream.on('timeout', () => timeouts++);
    const end = performance.now() + 1_000;
    while (performance.now() < end) {
      peer.write('x');
      await once(stream, 'data');
    }
    expect(timeouts).toBe(0);
    await once(stream, 'timeout');
    expect(given).toBe(1);
    stream.setTimeout(0);
    expect(() => stream.setTimeout(-1)).toThrow(/`timeout` but received -1/);
  });

  it.skipIf(whyNoCertificate !== undefined)('carries TLS both ways', async () => {
    const { key, cert } = makeCertificate();
    const server = createTlsServer({ key, cert }, (socket) => socket.pipe(socket));
    const stream = openStream(['127.0.0.1', await listen(server)], route, {});
    const secure = tlsConnect({ socket: stream, ca: cert, servername: 'service.test' });
    const total = 5_000_000;
    const [back] = await Promise.all([hashOf(secure), pipeline(Readable.from(noise(total)), secure)]);
    expect(back).toBe(hash(noise(total)));
    expect(secure.authorized).toBe(true);
  });
});
