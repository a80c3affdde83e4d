/** Addresses with ports: their numbers, bytes and texts are the same thing. */
import { isIPv4 } from 'node:net';
import { describe, expect, it } from 'vitest';
import { ipv4Bits } from '../../src/address/is-ip.ts';
import { Endpoint } from '../../src/index.ts';

describe('the bits of a dotted quad', () => {
  it.each([
    ['0.0.0.0', 0],
    ['127.0.0.1', 0x7f000001],
    ['192.0.2.1', 0xc0000201 | 0],
    ['255.255.255.255', -1],
  ])('%s', (text, bits) => expect(ipv4Bits(text)).toBe(bits));

  it('are there for just what Node takes for an IPv4 address', () => {
    const wrong = [
      '',
      '1',
      '1.2.3',
      '1.2.3.',
      '.1.2.3',
      '1..2.3',
      '1.2.3.4.',
      '1.2.3.4.5',
      '01.2.3.4',
      '1.2.3.00',
      '1.2.3.256',
      '1.2.3.2560',
      '1.2.3.4 ',
      '1.2.3.a',
      '1.2.3./',
      '1.2.3.:',
      '::1',
      '-1.2.3.4',
      '1.2.3.٣',
    ];
    expect(wrong.map((text) => [text, ipv4Bits(text)])).toEqual(wrong.map((text) => [text, undefined]));
    // Of these letters, lengths and seeds a third are addresses.
    let state = 1;
    const next = (below: number) => (state = (state * 48_271) % 2_147_483_647) % below;
    let right = 0;
    for (let i = 0; i < 20_000; i++) {
      const text = Array.from(
        { length: 3 + next(3) },
        () => ['0', '7', '10', '99', '255', '256', '00', ''][next(8)],
      ).join('.');
      expect(ipv4Bits(text) !== undefined, text).toBe(isIPv4(text));
      if (isIPv4(text)) right++;
    }
    expect(right).toBeGreaterThan(100);
  });
});

describe('an endpoint', () => {
  it.each([
    ['192.0.2.1', 3478, 4, 0],
    ['255.255.255.255', 65_535, 4, 0],
    ['0.0.0.0', 0, 4, 0],
    ['2001:db8::1', 80, 6, 0],
    ['fe80::1%7', 80, 6, 7],
  ] as const)('%s port %i keeps what it is as bytes', (address, port, family, scopeId) => {
    const made = Endpoint.of(address, port);
    const bytes = new Uint8Array(40).fill(0xff);
    made.writeTo(bytes, 8);
    const read = Endpoint.at(bytes, 8);
    for (const each of [made, read]) {
      expect([each.address, each.port, each.family, each.scopeId]).toEqual([address, port, family, scopeId]);
      expect(each.packed).toEqual(bytes.slice(8, 32));
    }
    expect([...bytes.slice(0, 8), ...bytes.slice(32)]).toEqual(Array.from({ length: 16 }, () => 0xff));
    expect([
      made.equals(read),
      read.equals(made),
      made.equals(made.withPort(port ^ 1)),
      made.equals({ address, port }),
    ]).toEqual([true, true, false, false]);
    expect(made.withPort(443).toJSON()).toEqual({ address, port: 443, family });
    expect(made.withPort(443).packed).toEqual(Endpoint.of(address, 443).packed);
  });

  it('tells addresses apart that share some of their numbers', () => {
    const all = ['0.0.0.1', '1.0.0.0', '::1', '100::', '2001:db8::1', '2001:db8::2'].map((address) =>
      Endpoint.of(address, 80),
    );
    for (const [i, a] of all.entries()) expect(all.map((b) => a.equals(b))).toEqual(all.map((_, j) => i === j));
  });

  it('an IPv4-mapped address is the IPv4 address', () => {
    const [mapped, plain] = [Endpoint.of('::ffff:192.0.2.1', 80), Endpoint.of('192.0.2.1', 80)];
    expect([mapped.family, mapped.address, mapped.equals(plain)]).toEqual([4, '192.0.2.1', true]);
    expect(mapped.packed).toEqual(plain.packed);
  });
});
