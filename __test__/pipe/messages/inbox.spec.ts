/** What a pipe has received, without a pipe: its own queue, filters, listeners, loops, back pressure, the end. */
import { describe, expect, it } from 'vitest';
import { Inbox } from '../../../src/pipe/messages/inbox.ts';
import type { Message } from '../../../src/pipe/messages/message-filter.ts';
import { MessageQueue } from '../../../src/pipe/messages/message-queue.ts';
import { A, B, here, inbox, texts, Valve } from '../../helpers/inbox.ts';

describe('recv', () => {
  it('gives messages in order, and to those who wait in their order', async () => {
    const { put, get, box } = inbox();
    put('1');
    put('2');
    expect([await get(), await get(), await get()]).toEqual(['1', '2', undefined]);
    const waiting = [box.recv({}, here), box.recv({}, here)];
    put('3');
    put('4');
    expect(texts((await Promise.all(waiting)) as Message[])).toEqual(['3', '4']);
  });

  it('with a filter takes what matches and leaves the rest where it is', async () => {
    const { put, get, box } = inbox();
    for (const text of ['a1', 'b1', 'a2', 'b2']) put(text);
    expect(await get({ filter: /^b/ })).toBe('b1');
    expect(await get({ filter: (message: Message) => message.data[1] === 50 })).toBe('a2');
    expect([await get(), await get(), await get()]).toEqual(['a1', 'b2', undefined]);
    const forB = box.recv({ filter: /^b/ }, here);
    put('a3');
    put('b3');
    expect(texts([(await forB) as Message])).toEqual(['b3']);
    expect(await get()).toBe('a3');
  });

  it('is undefined when the time is over, null at the end, and neither loses a message', async () => {
    const { put, get, box } = inbox(1_000, 5);
    expect(await box.recv(undefined, here)).toBeUndefined();
    expect(await box.recv({ timeoutMs: 1 }, here)).toBeUndefined();
    const pending = box.recv({ timeoutMs: Infinity }, here);
    put('1');
    put('2');
    box.end();
    expect(texts([(await pending) as Message])).toEqual(['1']);
    expect([await get(), await get(), await get()]).toEqual(['2', null, null]);
    put('3');
    expect(await get()).toBeNull();
  });

  it('rejects when aborted, with the reason, and the next one gets the message', async () => {
    const { put, get, box } = inbox();
    const stop = new AbortController();
    const pending = box.recv({ signal: stop.signal }, here);
    stop.abort(new Error('enough'));
    await expect(pending).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: new Error('enough') });
    await expect(box.recv({ signal: stop.signal }, here)).rejects.toMatchObject({ code: 'ABORT_ERR' });
    put('1');
    expect(await get()).toBe('1');
  });

  it('leaves nothing behind at a signal that lives long', async () => {
    const { put, box } = inbox();
    const stop = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = stop.signal;
    stop.signal.addEventListener = (...args: Parameters<typeof addEventListener>) => (
      listeners++,
      addEventListener.apply(stop.signal, args)
    );
    stop.signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => (
      listeners--,
      removeEventListener.apply(stop.signal, args)
    );
    for (let i = 0; i < 100; i++) {
      const pending = box.recv({ signal: stop.signal }, here);
      expect(listeners).toBe(1);
      put('x');
      await pending;
    }
    expect(listeners).toBe(0);
  });

  it('rejects with the error that the pipe failed with, after what came before it', async () => {
    const { put, get, box } = inbox();
    const failure = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
    put('1');
    box.fail(failure);
    expect(await get()).toBe('1');
    await expect(get()).rejects.toBe(failure);
    await expect(get()).rejects.toBe(failure);
  });

  it('an error that ends nothing rejects the first who waits', async () => {
    const { put, get, box } = inbox();
    const refused = Object.assign(new Error('recv ECONNREFUSED'), { code: 'ECONNREFUSED' });
    const [first, second] = [box.recv({}, here), box.recv({}, here)];
    box.reject(refused);
    await expect(first).rejects.toBe(refused);
    put('1');
    expect(texts([(await second) as Message])).toEqual(['1']);
    box.reject(refused);
    put('2');
    expect(await get()).toBe('2');
  });

  it('a filter that throws ends that recv and loses no message', async () => {
    const { put, get, box } = inbox();
    const broken = () => {
      throw new TypeError('broken filter');
    };
    const pending = box.recv({ filter: broken }, here);
    put('1');
    await expect(pending).rejects.toThrow('broken filter');
    await expect(get({ filter: broken })).rejects.toThrow('broken filter');
    expect(await get()).toBe('1');
  });

  it.each<[object | string, RegExp]>([
    [{ timeoutMs: -1 }, /`timeoutMs` but received -1/],
    [{ timeoutMs: '5' }, /`timeoutMs` but received '5'/],
    [{ timeoutMs: 2 ** 31 }, /from 0 to 2147483647/],
    [{ timeout: 5 }, /did you mean `timeoutMs`/],
    [{ filter: 'x' }, /a RegExp or a function for `filter`/],
    [{ signal: {} }, /an AbortSignal for `signal`/],
    ['x', /an object for `options`/],
  ])('refuses %j', async (options, message) => {
    await expect(inbox().box.recv(options as object, here)).rejects.toThrow(message);
  });
});

describe('the own queue', () => {
  it('holds the pipe when it is full, and loses nothing', async () => {
    const { put, get, box, valve } = inbox(4);
    for (const text of ['12', '34', '56']) put(text);
    expect([valve.holders.size, box.dropped, box.waitingBytes]).toEqual([1, 0, 6]);
    await get();
    expect(valve.holders.size).toBe(1);
    await get();
    expect(valve.holders.size).toBe(0);
  });

  it('drops and counts instead while somebody subscribes: nobody may be reading it', () => {
    const { put, box, subscribe, valve } = inbox(4);
    for (const text of ['12', '34']) put(text);
    expect(valve.holders.size).toBe(1);
    const subscription = subscribe();
    expect(valve.holders.size).toBe(0);
    put('56');
    expect([valve.holders.size, box.dropped, subscription.length]).toEqual([0, 1, 3]);
    subscription.unsubscribe();
    expect(valve.holders.size).toBe(1);
  });

  it('is handed over once, and receiving is misuse from then on', async () => {
    const { put, box, subscribe } = inbox();
    put('1');
    const other = subscribe();
    expect(() => box.off()).toThrow(expect.objectContaining({ code: 'ERR_ROUTEPOOL_MISUSE' }));
    other.unsubscribe();
    expect(texts(box.off())).toEqual(['1']);
    put('2');
    expect(box.waitingBytes).toBe(0);
    await expect(box.recv({}, here)).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_MISUSE' });
    expect(() => subscribe()).toThrow(/go to its stream or its relay/);
    expect(() => box.messages(undefined, here)).toThrow(/go to its stream or its relay/);
  });

  it('leaves nobody waiting who waited when it was handed over', async () => {
    const { box } = inbox();
    const loop = box.messages(undefined, here).next();
    const waits = [box.recv(undefined, here), box.recv({ timeoutMs: Infinity }, here), loop].map((wait) =>
      expect(wait).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_MISUSE' }),
    );
    expect(box.off()).toEqual([]);
    await Promise.all(waits);
  });

  it('tells once that the end was told', async () => {
    const { put, get, box } = inbox();
    let told = 0;
    box.onDelivered = () => told++;
    put('1');
    box.end();
    expect(told).toBe(0);
    await get();
    expect(told).toBe(0);
    await get();
    await get();
    expect(told).toBe(1);
  });
});

describe('a listener', () => {
  const tick = () => new Promise(setImmediate);

  it('gets each message in order, first those that waited, and not before it was added', async () => {
    const { put, box } = inbox();
    const seen: string[] = [];
    put('1');
    put('2');
    const listener = (data: Buffer) => seen.push(String(data));
    box.addMessageListener(listener);
    expect(seen).toEqual([]);
    put('3');
    await tick();
    put('4');
    expect([seen, box.waitingBytes]).toEqual([['1', '2', '3', '4'], 0]);
    box.removeMessageListener(listener);
    put('5');
    expect([seen.length, box.waitingBytes]).toEqual([4, 1]);
  });

  it('removed before it got what waits leaves that where it is', async () => {
    const { put, get, box } = inbox();
    const listener = () => expect.unreachable('it was removed');
    put('1');
    box.addMessageListener(listener);
    box.removeMessageListener(listener);
    await tick();
    put('2');
    expect([await get(), await get()]).toEqual(['1', '2']);
  });

  it('that removes itself while it gets what waits leaves the rest', async () => {
    const { put, get, box } = inbox();
    const listener = () => box.removeMessageListener(listener);
    for (const text of ['1', '2', '3']) put(text);
    box.addMessageListener(listener);
    await tick();
    expect([await get(), await get(), await get()]).toEqual(['2', '3', undefined]);
  });

  it('goes with subscriptions and with those who wait already, who all get their own', async () => {
    const { put, get, box, subscribe } = inbox();
    const seen: string[] = [];
    box.addMessageListener((data) => seen.push(`a${String(data)}`));
    box.addMessageListener((data) => seen.push(`b${String(data)}`));
    const subscription = subscribe(/[34]/);
    const pending = box.recv({ filter: /4/ }, here);
    put('3');
    put('4');
    put('5');
    expect(texts([(await pending) as Message])).toEqual(['4']);
    expect(seen).toEqual(['a3', 'b3', 'a4', 'b4', 'a5', 'b5']);
    expect([subscription.length, await get()]).toEqual([2, undefined]);
  });

  it('alone gets a straight call until somebody else is there', async () => {
    const { put, box, subscribe } = inbox();
    const senders: unknown[] = [];
    box.addMessageListener((_data, from) => senders.push(from));
    put('1', A);
    const subscription = subscribe();
    put('2', B);
    subscription.unsubscribe();
    put('3', A);
    box.end();
    put('4', A);
    expect(senders).toEqual([A, B, A]);
  });

  it.each([true, false])('of the end is called once, also when it comes late (a failure: %s)', async (isFailure) => {
    const { box } = inbox();
    const failure = new Error('read ECONNRESET');
    const ends: unknown[] = [];
    const removed = () => expect.unreachable('it was removed');
    box.addEndListener((error) => ends.push(error));
    box.addEndListener(removed);
    box.removeEndListener(removed);
    if (isFailure) box.fail(failure);
    else box.end();
    box.end();
    box.addEndListener((error) => ends.push(error));
    expect(ends.length).toBe(1);
    await tick();
    expect(ends).toEqual(isFailure ? [failure, failure] : [undefined, undefined]);
  });

  it('has been told the end when it has had the last message', async () => {
    for (const prepare of [(box: Inbox) => box.addMessageListener(here), (box: Inbox) => box.addEndListener(here)]) {
      const { put, box } = inbox();
      let told = 0;
      box.onDelivered = () => told++;
      prepare(box);
      put('1');
      if (box.waitingBytes > 0) await box.recv({}, here);
      box.end();
      expect(told).toBe(1);
    }
    const { put, box } = inbox();
    let told = 0;
    box.onDelivered = () => told++;
    put('1');
    box.end();
    box.addMessageListener(here);
    expect(told).toBe(0);
    await tick();
    expect(told).toBe(1);
  });
});

describe('a loop', () => {
  it('has each message until the end', async () => {
    const { put, box } = inbox();
    const seen: string[] = [];
    const loop = (async () => {
      for await (const message of box.messages(undefined, here)) seen.push(String(message.data));
    })();
    put('1');
    put('2');
    await new Promise(setImmediate);
    put('3');
    box.end();
    await loop;
    expect(seen).toEqual(['1', '2', '3']);
  });

  it('with a filter has those, keeps the others for others, holds the pipe when it is slow, and ends when left', async () => {
    const { put, box, get, valve } = inbox();
    const seen: string[] = [];
    put('b0');
    const loop = box.messages(/^b/, here);
    for (let i = 1; i < 2_000; i++) put(`${i % 2 ? 'a' : 'b'}${i}`);
    expect(valve.holders.size).toBe(0);
    for (let i = 2_000; i < 2_050; i += 2) put(`b${i}`);
    expect(valve.holders.size).toBe(1);
    for await (const message of loop) {
      seen.push(String(message.data));
      if (seen.length === 3) break;
    }
    expect([seen, valve.holders.size]).toEqual([['b0', 'b2', 'b4'], 0]);
    expect(await get()).toBe('b0');
    put('b9999');
    expect(box.dropped).toBeGreaterThan(0);
  });

  it('that fails throws the error of the pipe, once', async () => {
    const { put, box } = inbox();
    const loop = box.data();
    put('1');
    box.fail(new Error('read ECONNRESET'));
    expect(String((await loop.next()).value)).toBe('1');
    await expect(loop.next()).rejects.toThrow('read ECONNRESET');
    expect(await loop.next()).toEqual({ done: true, value: undefined });
  });

  it('returns at once though next() is under way, several times over', async () => {
    const { put, box, get } = inbox();
    const loop = box.messages(undefined, here);
    const waiting = [loop.next(), loop.next()];
    await loop.return?.();
    expect(await Promise.all(waiting)).toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
    put('1');
    expect(await get()).toBe('1');
  });
});

/** A small generator of numbers, always the same for the same seed (mulberry32). */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

describe('a queue against one that anybody can check', () => {
  it.each(Array.from({ length: 40 }, (_, seed) => seed))('seed %i', async (seed) => {
    const next = random(seed);
    const overflow = (['drop-newest', 'drop-oldest', 'wait'] as const)[seed % 3] ?? 'wait';
    const [maxMessages, maxBytes] = [1 + next(20), 1 + next(200)];
    const valve = new Valve();
    const queue = new MessageQueue<{ data: Buffer; n: number }>(
      { maxMessages, maxBytes, overflow },
      { hold: () => valve.hold(queue), release: () => valve.release(queue) },
    );
    let model: { n: number; size: number }[] = [];
    let dropped = 0;
    const total = () => model.reduce((sum, item) => sum + item.size, 0);
    const got: (number | undefined | null)[] = [];
    const want: (number | undefined | null)[] = [];
    for (let n = 0; n < 600; n++) {
      if (next(3) > 0) {
        const size = next(40);
        queue.push({ data: Buffer.alloc(size), n });
        const fits = () => model.length === 0 || (model.length < maxMessages && total() + size <= maxBytes);
        if (overflow === 'drop-newest' && !fits()) dropped++;
        else {
          if (overflow === 'drop-oldest') for (; !fits(); dropped++) model.shift();
          model.push({ n, size });
        }
      } else {
        const [modulus, wanted] = [1 + next(4), next(4)];
        const filter = (item: { n: number }) => item.n % modulus === wanted % modulus;
        got.push((await queue.next({ timeoutMs: 0, filter }))?.n);
        const found = model.find(filter);
        want.push(found?.n);
        model = model.filter((item) => item !== found);
      }
      expect([queue.length, queue.bytes, queue.dropped]).toEqual([model.length, total(), dropped]);
      if (overflow !== 'wait') expect(valve.holders.size).toBe(0);
      else if (model.length >= maxMessages || total() >= maxBytes) expect(valve.holders.size).toBe(1);
      else if (model.length <= maxMessages / 2 && total() <= maxBytes / 2) expect(valve.holders.size).toBe(0);
    }
    expect(got).toEqual(want);
    queue.end();
    expect(valve.holders.size).toBe(0);
    while (queue.length > 0) model = model.filter((item) => item !== model[0] || item.n !== queue.take()?.n);
    expect(model).toEqual([]);
    expect(await queue.next()).toBeNull();
  });
});
