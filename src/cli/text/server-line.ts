/** What a STUN server does, in one line that is written over and over. */
import type { StunServer, StunServerCounters } from '../../stun-server/stun-server.ts';
import { count } from './progress-bar.ts';

/** Milliseconds between two lines: a rate that a person can read. */
const EVERY_MS = 1_000;

/** Follows a server on a terminal. */
export class ServerLine {
  readonly #stream: NodeJS.WriteStream;
  readonly #server: StunServer;
  readonly #timer: NodeJS.Timeout;
  #last: { replies: number; at: number };

  private constructor(stream: NodeJS.WriteStream, server: StunServer) {
    this.#stream = stream;
    this.#server = server;
    this.#last = { replies: server.counters().replies, at: performance.now() };
    this.#timer = setInterval(() => this.#show(), EVERY_MS).unref();
  }

  /** A line for the stream, if it is a terminal. */
  static for(stream: NodeJS.WriteStream, server: StunServer): ServerLine | undefined {
    return stream.isTTY && process.env['TERM'] !== 'dumb' ? new ServerLine(stream, server) : undefined;
  }

  /** Takes the line away. */
  end(): void {
    clearInterval(this.#timer);
    this.#stream.write('\r\u001B[K');
  }

  #show(): void {
    const counters = this.#server.counters();
    const at = performance.now();
    const rate = ((counters.replies - this.#last.replies) / (at - this.#last.at)) * 1_000;
    this.#last = { replies: counters.replies, at };
    const line = `${count(Math.round(rate))} replies a second  ${totals(counters)}`;
    this.#stream.write(`\r\u001B[K${line.slice(0, Math.max(20, (this.#stream.columns || 80) - 1))}`);
  }
}

/** What a server has done in all. */
export function totals({
  requests,
  replies,
  errors,
  reasons,
  dropped,
  connections,
  refused,
}: StunServerCounters): string {
  const parts = [`${count(requests)} requests`, `${count(replies)} replies`];
  if (errors > 0) parts.push(`${count(errors)} of them errors`);
  for (const [reason, number] of Object.entries(reasons)) if (number > 0) parts.push(`${count(number)} ${reason}`);
  if (dropped > 0) parts.push(`${count(dropped)} dropped by the kernel`);
  if (connections > 0) parts.push(`${count(connections)} connections`);
  if (refused > 0) parts.push(`${count(refused)} refused`);
  return parts.join('  ');
}
