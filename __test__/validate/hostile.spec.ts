/** Servers that lie, stutter or are not there: counted, never ok. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { validate } from '../../src/index.ts';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
});

async function listen(
  onRequest?: (request: Buffer, from: RemoteInfo, reply: (bytes: Buffer) => void) => void,
): Promise<string> {
  const socket = createSocket('udp4');
  sockets.push(socket);
  socket.on('message', (request, from) =>
    onRequest?.(request, from, (bytes) => socket.send(bytes, from.port, from.address)),
  );
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return `127.0.0.1:${socket.address().port}`;
}

function truth(request: Buffer, from: RemoteInfo): Buffer {
  const reply = Buffer.alloc(32);
  reply.set([1, 1, 0, 12]);
  request.copy(reply, 4, 4, 20);
  reply.set([0, 0x20, 0, 8, 0, 1], 20);
  reply.writeUInt16BE(from.port ^ 0x2112, 26);
  from.address.split('.').forEach((octet, i) => reply.writeUInt8(Number(octet) ^ (request[4 + i] ?? 0), 28 + i));
  return reply;
}

/** Half of the block is treated badly; the machine's own address and the other half well. */
const isBad = (from: RemoteInfo) => from.address.startsWith('127.60.0.') && Number(from.address.split('.')[3]) >= 32;

describe('half of the sources get', () => {
  it.each<[string, (good: Buffer) => Buffer[], string, string | undefined, string]>([
    ['every reply three times', (good) => [good, good, good], 'ok', undefined, 'duplicates'],
    ['noise', () => [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')], 'bad-reply', 'not-stun', 'garbage'],
    ['an empty datagram', () => [Buffer.alloc(0)], 'bad-reply', 'not-stun', 'garbage'],
    ['a reply cut short', (good) => [good.subarray(0, 25)], 'bad-reply', 'not-stun', 'garbage'],
    [
      'an id with one bit changed',
      (good) => [Buffer.from(good.map((byte, i) => (i === 17 ? byte ^ 1 : byte)))],
      'no-reply',
      undefined,
      'forged',
    ],
    [
      'the request as a reply',
      (good) => [Buffer.from([0, 1, 0, 0, ...good.subarray(4, 20)])],
      'bad-reply',
      'not-stun',
      'garbage',
    ],
    [
      'error 400',
      (good) => [Buffer.from([1, 0x11, 0, 8, ...good.subarray(4, 20), 0, 9, 0, 4, 0, 0, 4, 0])],
      'bad-reply',
      'error-response',
      'none',
    ],
    [
      'a success without an address',
      (good) => [Buffer.from([1, 1, 0, 0, ...good.subarray(4, 20)])],
      'bad-reply',
      'no-mapped-address',
      'none',
    ],
    [
      'another address',
      (good) => [Buffer.from(good.map((byte, i) => (i === 31 ? byte ^ 0x80 : byte)))],
      'mapped',
      undefined,
      'none',
    ],
    ['noise before the truth', (good) => [Buffer.alloc(40, 0xff), good], 'ok', undefined, 'garbage'],
  ])('%s', async (_name, change, status, reason, counted) => {
    const server = await listen((request, from, reply) => {
      for (const bytes of isBad(from) ? change(truth(request, from)) : [truth(request, from)]) reply(bytes);
    });
    const found: Record<string, number> = {};
    const run = validate('127.60.0.0/26', { servers: server, timeoutMs: 300 });
    for await (const verdict of run) {
      const why = verdict.status === 'bad-reply' ? `${verdict.status} ${verdict.reason}` : verdict.status;
      found[why] = (found[why] ?? 0) + 1;
    }
    const bad = reason === undefined ? status : `${status} ${reason}`;
    expect(found).toEqual(bad === 'ok' ? { ok: 64 } : { ok: 32, [bad]: 32 });
    const { traffic } = await run.summary();
    if (counted !== 'none') expect(traffic[counted as 'garbage']).toBeGreaterThanOrEqual(32);
  });
});

describe('no server', () => {
  it('silent: an error, since dead sources could not be told from it', async () => {
    const error = await validate('127.61.0.0/16', { servers: await listen(), timeoutMs: 200 })
      .summary()
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ERR_ROUTEPOOL_SERVER_SILENT' });
  });

  it('closed: another error', async () => {
    const server = await listen();
    sockets.pop()?.close();
    await expect(validate('127.61.0.0/16', { servers: server }).summary()).rejects.toMatchObject({
      code: 'ERR_ROUTEPOOL_SERVER_REFUSED',
    });
  });

  it('one of two: the other is asked, and a note says so', async () => {
    const good = await listen((request, from, reply) => reply(truth(request, from)));
    const summary = await validate('127.62.0.0/26', { servers: [await listen(), good] }).summary();
    expect([summary.allOk, summary.servers.length]).toEqual([true, 1]);
    expect(summary.notes.join()).toContain('did not answer and was left out');
  });
});
