/** Peers of pipes in tests: Node's own sockets, on this machine's loopback. */
import { spawn } from 'node:child_process';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { readdirSync } from 'node:fs';

/** A TCP server; `onSocket` gets each connection. */
export async function tcpServer(
  onSocket: (socket: Socket) => void,
  host = '127.0.0.1',
  options: { allowHalfOpen?: boolean; pauseOnConnect?: boolean } = {},
): Promise<TcpPeer> {
  const sockets = new Set<Socket>();
  const server = createServer(options, (socket) => {
    sockets.add(socket);
    // A test that resets connections is not about the peer's errors.
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    onSocket(socket);
  }).listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  };
  return { server, port, dest: [host, port], sockets, close };
}

export interface TcpPeer {
  server: Server;
  port: number;
  dest: [host: string, port: number];
  sockets: Set<Socket>;
  close(): Promise<void>;
}

/** A UDP socket that gets each datagram and may answer it. */
export async function udpPeer(
  onMessage: (data: Buffer, reply: (data: Buffer | string) => void) => void,
  host = '127.0.0.1',
): Promise<UdpPeer> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (data, from) => onMessage(data, (answer) => socket.send(answer, from.port, from.address)));
  socket.bind(0, host);
  await once(socket, 'listening');
  const { port } = socket.address();
  return { socket, port, dest: [host, port], close: () => new Promise((resolve) => socket.close(resolve)) };
}

export interface UdpPeer {
  socket: UdpSocket;
  port: number;
  dest: [host: string, port: number];
  close(): Promise<void>;
}

/** A listener that accepts nothing, with connections that fill its queue: the next one is never answered. */
export async function fullListener(): Promise<{ dest: [string, number]; port: number; close(): Promise<void> }> {
  // Only a stopped process leaves its queue full: Node accepts at once.
  const code =
    "const s = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => { console.log(s.address().port); process.kill(process.pid, 'SIGSTOP'); })";
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(String(line));
  const fillers = Array.from({ length: 4 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
  // A queue for one takes two; those behind it get no answer.
  await Promise.all(fillers.slice(0, 2).map((filler) => once(filler, 'connect')));
  return {
    dest: ['127.0.0.1', port],
    port,
    close: async () => {
      for (const filler of fillers) filler.destroy();
      child.kill('SIGKILL');
      await once(child, 'close');
    },
  };
}

/** The loop turns once: what is ready now has been told after it. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Waits for a fact. A test that waits in vain ends by its time limit. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await turn();
}

/** Descriptors of this process that are sockets, epoll instances and the like. */
export function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Bytes that can be told apart at every place: the period is no multiple of anything that a buffer is. */
export class Pattern {
  readonly #block: Buffer;
  static readonly period = 1_000_003;

  constructor(seed: number) {
    const block = Buffer.alloc(Pattern.period * 2);
    let state = seed >>> 0 || 1;
    for (let i = 0; i < Pattern.period; i++) {
      // xorshift32
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      block[i] = state;
    }
    block.copy(block, Pattern.period, 0, Pattern.period);
    this.#block = block;
  }

  /** `length` bytes, at most a period, from a place of the endless pattern. */
  at(offset: number, length: number): Buffer {
    const start = offset % Pattern.period;
    return this.#block.subarray(start, start + length);
  }

  /** Whether these bytes are what the pattern has there. */
  matches(offset: number, bytes: Buffer): boolean {
    for (let done = 0; done < bytes.length; done += Pattern.period) {
      const part = bytes.subarray(done, done + Pattern.period);
      if (!part.equals(this.at(offset + done, part.length))) return false;
    }
    return true;
  }
}

/** Whole numbers below `limit`, the same for the same seed. */
export function seeded(seed: number): (limit: number) => number {
  let state = seed >>> 0 || 1;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}
