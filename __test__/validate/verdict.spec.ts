/** Packed records: what Rust writes is what the objects say. */
import { inspect } from 'node:util';
import { SocketAddress } from 'node:net';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { addressText, ipv6Text } from '../../src/address/text.ts';
import { describeVerdict as explain, verdictAt, type Verdict } from '../../src/validate/verdict.ts';
import { VerdictBatch } from '../../src/validate/verdict-batch.ts';

interface Fields {
  source?: string;
  external?: string;
  index?: number;
  status: number;
  flags?: number;
  reason?: number;
  asked?: number;
  port?: number;
  code?: number;
  rtt?: number;
}

function record({
  source = '10.1.2.3',
  external,
  index = 7,
  status,
  flags = 0,
  reason = 0,
  asked = 1,
  port = 0,
  code = 0,
  rtt = 0,
}: Fields): Buffer {
  const bytes = Buffer.alloc(48);
  bytes.set(ipaddr.parse(source).toByteArray(), 0);
  if (external) bytes.set(ipaddr.parse(external).toByteArray(), 16);
  bytes.writeUInt32LE(index, 32);
  bytes.set([status, flags, reason, asked], 36);
  bytes.writeUInt16LE(port, 40);
  bytes.writeUInt16LE(code, 42);
  bytes.writeUInt32LE(rtt, 44);
  return bytes;
}

describe('a verdict', () => {
  const rows: [string, Fields, object, string][] = [
    [
      'ok',
      { status: 1, external: '10.1.2.3', port: 4660, rtt: 1500 },
      {
        ip: '10.1.2.3',
        status: 'ok',
        external: '10.1.2.3',
        externalPort: 4660,
        portRewritten: false,
        rttMs: 1.5,
        asked: 1,
        resumed: false,
        index: 7,
      },
      'leaves as itself',
    ],
    [
      'ok with another port',
      { status: 1, flags: 4, external: '10.1.2.3', port: 1 },
      { portRewritten: true },
      'another port',
    ],
    [
      'ok from a saved state',
      { status: 1, flags: 16, asked: 0 },
      { external: '10.1.2.3', resumed: true, asked: 0 },
      'leaves as itself',
    ],
    [
      'mapped',
      { status: 2, flags: 8, external: '192.0.2.1', port: 9 },
      { status: 'mapped', external: '192.0.2.1', externalPort: 9, singleServer: true, externalVaries: false },
      'leaves as 192.0.2.1 (one server says so)',
    ],
    [
      'mapped to IPv6',
      { status: 2, flags: 2, external: '2001:db8::1', port: 9 },
      { external: '2001:db8::1', singleServer: false },
      'leaves as 2001:db8::1',
    ],
    [
      'mapped here and there',
      { status: 2, external: '192.0.2.1', port: 9, reason: 14 },
      { externalVaries: true },
      'another address at a second server',
    ],
    ['no reply', { status: 3, asked: 5 }, { status: 'no-reply', asked: 5 }, 'no answer in 5 tries while'],
    ['no reply to one probe', { status: 3 }, { asked: 1 }, 'no answer in 1 try while'],
    ['no reply, from a saved state', { status: 3, flags: 16, asked: 0 }, { asked: 0 }, 'no answer while sources'],
    [
      'a refused send',
      { status: 4, code: 101 },
      { status: 'send-error', code: 'ENETUNREACH', errno: -101, syscall: 'sendmsg' },
      'no route from this source',
    ],
    [
      'a refused bind',
      { status: 5, code: 99 },
      { status: 'bind-error', code: 'EADDRNOTAVAIL', errno: -99, syscall: 'bind' },
      'does not hold the address',
    ],
    ['an unknown errno', { status: 4, code: 4000 }, { code: 'Unknown system error -4000' }, 'the system refuses it'],
    [
      'a STUN error',
      { status: 6, reason: 2, code: 420 },
      { status: 'bad-reply', reason: 'error-response', stunError: 420 },
      '(420)',
    ],
    ['noise', { status: 6, reason: 4 }, { reason: 'not-stun' }, 'not a STUN response'],
    [
      'too much loss',
      { status: 7, reason: 10 },
      { status: 'unknown', reason: 'loss' },
      'unknown: its silence proves nothing',
    ],
    [
      'disagreement',
      { status: 7, reason: 13, external: '192.0.2.9', port: 1 },
      { reason: 'servers-disagree', external: '192.0.2.9' },
      'another a different address',
    ],
    ['an IPv6 source', { status: 3, flags: 1, source: 'fd00::1:0:0:5' }, { ip: 'fd00::1:0:0:5' }, 'no answer'],
  ];
  it.each(rows)('says what the record says: %s', (_name, fields, want, words) => {
    const verdict = verdictAt(record(fields), 0);
    expect(JSON.parse(JSON.stringify(verdict))).toMatchObject(want);
    expect(explain(verdict)).toContain(words);
    expect(inspect(verdict)).toContain(verdict.ip);
  });

  it('is copied whole by toJSON()', () => {
    const bytes = record({ status: 2, external: '192.0.2.1', port: 9, rtt: 1500 });
    const copy = verdictAt(bytes, 0).toJSON();
    bytes.fill(0);
    const whole = {
      ip: '10.1.2.3',
      status: 'mapped',
      external: '192.0.2.1',
      externalPort: 9,
      singleServer: false,
      externalVaries: false,
      rttMs: 1.5,
      asked: 1,
      resumed: false,
      index: 7,
    };
    for (const each of [copy, { ...copy }, structuredClone(copy)]) expect(each).toStrictEqual(whole);
  });

  it('is read at its place in a batch, which counts like an array', () => {
    const batch = new VerdictBatch(
      Buffer.concat([record({ status: 1, source: '10.0.0.1' }), record({ status: 3, source: '10.0.0.2', index: 9 })]),
    );
    expect([batch.length, batch.status(1), batch.ip(1), batch.index(1)]).toEqual([2, 'no-reply', '10.0.0.2', 9]);
    expect([batch.at(-1)?.ip, batch.at(2), batch.at(-3), batch.at(0.5)]).toEqual([
      '10.0.0.2',
      undefined,
      undefined,
      undefined,
    ]);
    expect(Array.from(batch, (verdict: Verdict) => verdict.status)).toEqual(['ok', 'no-reply']);
    expect(() => verdictAt(batch.bytes, 60)).toThrow(RangeError);
  });
});

describe('address text', () => {
  it('is canonical (RFC 5952) for the shapes that go wrong', () => {
    for (const text of [
      '::',
      '::1',
      '1::',
      '2001:db8::1',
      '2001:db8:0:1:1:1:1:1',
      '2001:0:0:1::1',
      'fe80::1:2:3:4',
      '1:2:3:4:5:6:7:8',
      'a:0:0:b::c',
      '::ffff:0:1',
    ]) {
      expect(ipv6Text(Uint8Array.from(ipaddr.parse(text).toByteArray()), 0)).toBe(text);
    }
  });

  it('agrees with Node for random addresses', () => {
    let seed = 1;
    const random = () => (seed = (seed * 48_271) % 2_147_483_647);
    for (let round = 0; round < 2_000; round++) {
      const bytes = Uint8Array.from({ length: 16 }, () => (random() % 3 === 0 ? random() % 256 : 0));
      const groups = Array.from({ length: 8 }, (_, i) =>
        ((bytes[2 * i] ?? 0) * 256 + (bytes[2 * i + 1] ?? 0)).toString(16),
      );
      const ours = addressText(bytes, 0, true);
      const node = new SocketAddress({ family: 'ipv6', address: groups.join(':') }).address;
      // Node writes some addresses with an IPv4 tail; there only the value is compared.
      if (node.includes('.')) expect(ipaddr.parse(ours).toByteArray()).toEqual([...bytes]);
      else expect(ours).toBe(node);
      expect(addressText(bytes, 4, false)).toBe(bytes.slice(4, 8).join('.'));
    }
  });
});
