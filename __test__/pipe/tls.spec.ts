/** Pipes through TLS. */
import { once } from 'node:events';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pipeOpen, pipeStats, TCP, UDP } from '../../src/index.ts';
import { makeCertificate, whyNoCertificate } from '../helpers/certificate.ts';
import { tcpServer, turn, until } from './suite/peers.ts';

if (whyNoCertificate !== undefined) console.log(`SKIPPED: ${whyNoCertificate}`);

describe.skipIf(whyNoCertificate !== undefined)('tls', () => {
  let server: Server;
  let ca: string;
  let port: number;
  const seen: TLSSocket[] = [];
  beforeAll(async () => {
    const { key, cert } = makeCertificate('service.test');
    ca = cert;
    server = createServer({ key, cert }, (socket) => {
      seen.push(socket);
      socket.on('error', () => undefined).pipe(socket);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(async () => {
    for (const socket of seen) socket.destroy();
    server.close();
    await once(server, 'close');
    await until(() => pipeStats().open === 0);
  });
  const lookup = (_: string, __: object, done: (error: null, found: { address: string; family: number }[]) => void) =>
    done(null, [{ address: '127.0.0.1', family: 4 }]);

  it('encrypts, and the server is told the name', async () => {
    const pipe = await pipeOpen(TCP, ['service.test', port], undefined, { tls: { ca }, lookup });
    await pipe.send('secret');
    expect(String(await pipe.recv())).toBe('secret');
    expect([
      pipe.remotePort,
      seen.at(-1)?.encrypted,
      (seen.at(-1) as unknown as { servername: string }).servername,
    ]).toEqual([port, true, 'service.test']);
    const big = Buffer.alloc(3_000_000, 'x');
    const sending = pipe.send(big);
    let got = 0;
    while (got < big.length) got += (await pipe.recv())?.length ?? big.length * 2;
    await sending;
    expect(got).toBe(big.length);
    await pipe.close();
    expect(await pipe.recv()).toBeNull();
    await expect(pipe.socket()).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_MISUSE' });
  });

  it('verifies: an unknown certificate and a wrong name are refused', async () => {
    await expect(pipeOpen(TCP, ['127.0.0.1', port], undefined, { tls: true })).rejects.toMatchObject({
      code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    });
    await expect(pipeOpen(TCP, ['other.test', port], undefined, { tls: { ca }, lookup })).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
    await until(() => pipeStats().open === 0);
  });

  it('a peer that never answers is timed out, an abort gives up', async () => {
    const silent = await tcpServer((socket) => socket.resume());
    await expect(pipeOpen(TCP, silent.dest, undefined, { tls: true, connectTimeoutMs: 50 })).rejects.toMatchObject({
      code: 'ETIMEDOUT',
    });
    const controller = new AbortController();
    const opening = pipeOpen(TCP, silent.dest, undefined, { tls: true, signal: controller.signal });
    await until(() => silent.sockets.size > 0);
    controller.abort();
    await expect(opening).rejects.toMatchObject({ code: 'ABORT_ERR' });
    await silent.close();
    await until(() => pipeStats().open === 0);
  });

  it('a plain peer is an error, and TLS over UDP is none', async () => {
    const plain = await tcpServer((socket) => socket.on('data', () => socket.end('HTTP/1.0 400 no\r\n\r\n')));
    await expect(pipeOpen(TCP, plain.dest, undefined, { tls: true })).rejects.toMatchObject({
      code: expect.stringMatching(/ERR_SSL|EPROTO/),
    });
    await expect(pipeOpen(UDP, plain.dest, undefined, { tls: true })).rejects.toMatchObject({
      code: 'ERR_ROUTEPOOL_OPTION',
      option: 'tls',
    });
    await plain.close();
  });

  it('the end of the peer is the end, a lost connection an error', async () => {
    const pipe = await pipeOpen(TCP, ['service.test', port], undefined, { tls: { ca }, lookup });
    await pipe.send('x');
    expect(String(await pipe.recv())).toBe('x');
    seen.at(-1)?.end();
    expect(await pipe.recv()).toBeNull();
    await until(() => pipe.closed);
    await turn();
  });
});
