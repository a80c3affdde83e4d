/** An inbox without a pipe, and what reads it. */
import { expect } from 'vitest';
import { Inbox } from '../../src/pipe/messages/inbox.ts';
import type { Message, MessagePattern, PeerFilter } from '../../src/pipe/messages/message-filter.ts';

export const here = () => undefined;
export const A = { address: '192.0.2.1', port: 53 };
export const B = { address: '2001:db8::1', port: 53 };

/** Counts who holds the messages. */
export class Valve {
  readonly holders: Set<object> = new Set<object>();
  hold(holder: object): void {
    expect(this.holders.has(holder)).toBe(false);
    this.holders.add(holder);
  }
  release(holder: object): void {
    expect(this.holders.delete(holder)).toBe(true);
  }
}

export function inbox(highWaterMark = 1_000, recvTimeoutMs?: number) {
  const valve = new Valve();
  const box = new Inbox(valve, { highWaterMark, recvTimeoutMs });
  return {
    valve,
    box,
    put: (text: string, from = A) => box.push(Buffer.from(text, 'latin1'), from),
    get: async (options = {}) => {
      const message = await box.recv({ timeoutMs: 0, ...options }, here);
      return message && message.data.toString('latin1');
    },
    subscribe: (pattern?: MessagePattern, from?: PeerFilter, options?: object) =>
      box.subscribe(pattern, from, options, here),
  };
}

export const texts = (messages: Iterable<Message>) => [...messages].map((message) => message.data.toString('latin1'));
export async function rest(subscription: {
  length: number;
  recvFrom(o: object): Promise<Message | undefined | null>;
}): Promise<string[]> {
  const all: Message[] = [];
  while (subscription.length > 0) all.push((await subscription.recvFrom({ timeoutMs: 0 })) as Message);
  return texts(all);
}
