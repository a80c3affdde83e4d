/** Subscriptions of a pipe, without the pipe: who gets what, limits, back pressure, the end. */
import { describe, expect, it } from 'vitest';
import type { PeerFilter } from '../../../src/pipe/messages/message-filter.ts';
import { A, B, inbox, rest } from '../../helpers/inbox.ts';

describe('a subscription', () => {
  it('gets what it is for, a copy for each, and the own queue has all', async () => {
    const { put, get, subscribe } = inbox();
    const [greetings, all, again] = [subscribe(/^hello/), subscribe(), subscribe(/^hello/)];
    for (const text of ['hello 1', 'noise', 'hello 2']) put(text);
    expect(await rest(greetings)).toEqual(['hello 1', 'hello 2']);
    expect(await rest(again)).toEqual(['hello 1', 'hello 2']);
    expect(await rest(all)).toEqual(['hello 1', 'noise', 'hello 2']);
    expect([await get(), await get(), await get()]).toEqual(['hello 1', 'noise', 'hello 2']);
  });

  it('has what waited unread when it was made', async () => {
    const { put, subscribe, get } = inbox();
    put('220 ready');
    put('noise');
    const banner = subscribe(/^220/);
    expect(await rest(banner)).toEqual(['220 ready']);
    expect(await get()).toBe('220 ready');
  });

  it.each<[string, PeerFilter, string[]]>([
    ['an address', '192.0.2.1', ['a', 'b']],
    ['an address with port 0, which is any', ['192.0.2.1', 0], ['a', 'b']],
    ['an address and a port', ['192.0.2.1', 53], ['a']],
    ['text with a port', '192.0.2.1:54', ['b']],
    ['an object', { address: '192.0.2.1', port: 54 }, ['b']],
    ['an IPv6 address in another form', '2001:DB8:0:0::1', ['c']],
    ['IPv6 text with a port', '[2001:db8::1]:53', ['c']],
    ['an IPv4-mapped address', '::ffff:192.0.2.1', ['a', 'b']],
    ['somebody else', '192.0.2.2', []],
  ])('is for %s', async (_name, from, want) => {
    const { put, subscribe } = inbox();
    const subscription = subscribe(undefined, from);
    put('a', A);
    put('b', { ...A, port: 54 });
    put('c', B);
    expect(await rest(subscription)).toEqual(want);
  });

  it('reads bytes, or UTF-8 with the flag u', async () => {
    const { box, subscribe } = inbox();
    const [bytes, text, sticky] = [subscribe(/^\xc3\xa9\xff?/), subscribe(/^é$/u), subscribe(/b/gy)];
    box.push(Buffer.from('é'), A);
    box.push(Buffer.from([0xc3, 0xa9, 0xff]), A);
    for (const word of ['b', 'b', 'ab', 'b']) box.push(Buffer.from(word), A);
    expect([bytes.length, text.length, sticky.length]).toEqual([2, 1, 3]);
  });

  it('does not disturb an expression that somebody else uses', () => {
    const { put, subscribe } = inbox();
    const pattern = /a/g;
    pattern.lastIndex = 7;
    const subscription = subscribe(pattern);
    put('a');
    put('a');
    expect([subscription.length, pattern.lastIndex]).toEqual([2, 7]);
  });

  it('drops the newest and counts it, or the oldest, and a large message always fits an empty queue', async () => {
    const { put, subscribe } = inbox();
    const newest = subscribe(undefined, undefined, { maxMessages: 2 });
    const oldest = subscribe(undefined, undefined, { maxMessages: 2, overflow: 'drop-oldest' });
    const small = subscribe(undefined, undefined, { maxBytes: 5 });
    for (const text of ['one', 'two', 'three', 'a very long one']) put(text);
    expect([newest.dropped, newest.droppedBytes, await rest(newest)]).toEqual([2, 20, ['one', 'two']]);
    expect([oldest.dropped, oldest.droppedBytes, await rest(oldest)]).toEqual([2, 6, ['three', 'a very long one']]);
    expect([small.dropped, await rest(small)]).toEqual([3, ['one']]);
    put('a very long one');
    expect(await rest(small)).toEqual(['a very long one']);
  });

  it('that waits holds the pipe, and lets go at half', async () => {
    const { put, subscribe, valve } = inbox();
    const careful = subscribe(undefined, undefined, { maxMessages: 4, overflow: 'wait' });
    for (const text of ['1', '2', '3']) put(text);
    expect(valve.holders.size).toBe(0);
    put('4');
    put('one that was under way already');
    expect([valve.holders.size, careful.dropped, careful.length]).toEqual([1, 0, 5]);
    await careful.recv();
    await careful.recv();
    expect(valve.holders.size).toBe(1);
    await careful.recv();
    expect(valve.holders.size).toBe(0);
  });

  it('that goes while it holds lets go', () => {
    const { put, subscribe, valve } = inbox();
    const careful = subscribe(undefined, undefined, { maxMessages: 1, overflow: 'wait' });
    put('1');
    expect(valve.holders.size).toBe(1);
    careful.unsubscribe();
    expect(valve.holders.size).toBe(0);
  });

  it('ends with unsubscribe, twice is fine, and whoever waits gets null', async () => {
    const { put, subscribe, box } = inbox();
    const subscription = subscribe();
    const pending = subscription.recv();
    subscription.unsubscribe();
    subscription.unsubscribe();
    put('1');
    expect([await pending, await subscription.recv(), subscription.ended, subscription.length]).toEqual([
      null,
      null,
      true,
      0,
    ]);
    expect(box.waitingBytes).toBe(1);
  });

  it('ends with the pipe, after what it holds; one made later has what the own queue holds', async () => {
    const { put, subscribe, box } = inbox();
    const subscription = subscribe();
    put('1');
    box.end();
    expect([String(await subscription.recv()), await subscription.recv()]).toEqual(['1', null]);
    const late = subscribe();
    expect([String(await late.recv()), await late.recv()]).toEqual(['1', null]);
  });

  it('a predicate that throws ends its subscription alone', async () => {
    const { put, subscribe, get } = inbox();
    const broken = subscribe(() => {
      throw new TypeError('broken predicate');
    });
    const well = subscribe();
    const pending = broken.recv();
    pending.catch(() => undefined);
    put('1');
    await expect(pending).rejects.toThrow('broken predicate');
    put('2');
    expect(await rest(well)).toEqual(['1', '2']);
    expect([await get(), await get()]).toEqual(['1', '2']);
  });

  it('one that subscribes in a predicate gets nothing twice', async () => {
    const { put, subscribe } = inbox();
    let inner: ReturnType<typeof subscribe> | undefined;
    subscribe(() => {
      inner ??= subscribe();
      return true;
    });
    put('1');
    put('2');
    expect(await rest(inner ?? expect.unreachable())).toEqual(['1', '2']);
  });

  it.each<[unknown[], RegExp]>([
    [['text'], /a RegExp or a function for `pattern` but received 'text'/],
    [[/x/, 'example.net'], /an IP address, with or without a port.* for `from`/],
    [[/x/, ['192.0.2.1', 65_536]], /a port from 0 \(any\) to 65535 for `from`/],
    [[/x/, 7], /for `from` but received 7/],
    [[/x/, undefined, { maxMessages: 0 }], /an integer from 1 to 1048576 for `maxMessages`/],
    [[/x/, undefined, { overflow: 'drop' }], /'drop-newest' or 'drop-oldest' or 'wait'/],
    [[/x/, undefined, { size: 1 }], /unknown option `size`/],
  ])('refuses %j', (args, message) => {
    const subscribe = inbox().subscribe as (...all: unknown[]) => unknown;
    expect(() => subscribe(...args)).toThrow(message);
    expect(() => subscribe(...args)).toThrow(expect.objectContaining({ code: 'ERR_ROUTEPOOL_OPTION' }));
  });
});
