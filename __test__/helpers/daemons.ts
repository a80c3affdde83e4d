/** What tests of daemons share: daemons and clients that are gone after each test, and questions over UDP. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeAll } from 'vitest';
import { Daemon, listInterfaces, validate, type DaemonOptions, type RoutePool } from '../../src/index.ts';

/** The addresses 127.86.0.0 to 127.86.0.255, proven before the first test of a file. */
export let pool: RoutePool;

export const closers: (() => unknown)[] = [];

/** Declares what happens before and after. Each file that uses these must call it. */
export function cleanUp(): void {
  beforeAll(async () => {
    pool = await validate('127.86.0.0/24').pool();
  });
  afterEach(async () => {
    for (const close of closers.splice(0).toReversed()) await close();
  });
}

export function daemon(options?: DaemonOptions): Daemon {
  const made = new Daemon(options);
  closers.push(() => made.close());
  return made;
}

export async function client(host: string, port: number, localAddress?: string): Promise<Socket> {
  const socket = connect({ host, port, ...(localAddress === undefined ? {} : { localAddress }) });
  closers.push(() => socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/**
 * Asks over UDP with a connected socket: the kernel lets nothing else through than the answer of the address that was
 * asked.
 */
export async function ask(host: string, port: number, question = 'who'): Promise<string> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  closers.push(() => new Promise<void>((done) => socket.close(done)));
  socket.connect(port, host);
  await once(socket, 'connect');
  socket.send(question);
  return String(((await once(socket, 'message')) as [Buffer])[0]);
}

export const hasIpv6 = listInterfaces({ details: true }).some((facts) =>
  facts.addresses.some((address) => address.ip === '::1'),
);
if (!hasIpv6) console.warn('skipped: IPv6, since this machine has no ::1');
