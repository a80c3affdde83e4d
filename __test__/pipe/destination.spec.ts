/** Where a pipe leads to: every form, and every mistake with its own words. */
import { SocketAddress } from 'node:net';
import { describe, expect, it } from 'vitest';
import { BoundRoute } from '../../src/routes/bound-route.ts';
import { parseDestination } from '../../src/pipe/destination.ts';
import { canonicalAddress, endpointText, familyOf } from '../../src/address/host.ts';
import { resolveDestination } from '../../src/pipe/resolve.ts';
import type { LookupFunction } from '../../src/options/check.ts';
import { Route } from '../../src/routes/route.ts';

const source = {
  af: 4,
  interface: undefined,
  index: 0,
  local: [],
  external: [],
  linkLocal: [],
  certainty: 'unverified',
  assumed: false,
  asked: new Set<string>(),
  evidence: { at: undefined, observations: [], interfaceBindError: undefined },
} as const;
const route = new Route(source);
const bound = (address: string, port: number) =>
  new BoundRoute(route, { address, port, interface: undefined, interfaceBindError: undefined });

describe('a destination is read from', () => {
  it.each<[string, unknown, string, number, number]>([
    ['a pair', ['example.net', 80], 'example.net', 80, 0],
    ['a pair with an address', ['127.0.0.1', 1], '127.0.0.1', 1, 4],
    ['a pair with an IPv6 address', ['2001:DB8:0::1', 65_535], '2001:db8::1', 65_535, 6],
    ['text', 'example.net:80', 'example.net', 80, 0],
    ['text of a name that could be a scheme', 'tcp:80', 'tcp', 80, 0],
    ['text of localhost, which is no URL', 'localhost:8080', 'localhost', 8080, 0],
    ['text with capitals', 'EXAMPLE.net:80', 'example.net', 80, 0],
    ['text of an absolute name', 'example.net.:80', 'example.net.', 80, 0],
    ['text of a name with an underscore', '_sip._udp.example.net:5060', '_sip._udp.example.net', 5060, 0],
    ['text of an international name', 'bücher.example:80', 'xn--bcher-kva.example', 80, 0],
    ['IPv6 in brackets', '[::1]:80', '::1', 80, 6],
    ['an IPv4-mapped address as the IPv4 one', '[::ffff:192.0.2.1]:80', '192.0.2.1', 80, 4],
    ['the same in hexadecimal digits', ['::FFFF:c000:201', 80], '192.0.2.1', 80, 4],
    ['an object', { host: 'example.net', port: 80 }, 'example.net', 80, 0],
    ['what server.address() gives', { address: '::1', family: 'IPv6', port: 80 }, '::1', 80, 6],
    ['a URL as text', 'tcp://example.net:80', 'example.net', 80, 0],
    ['a URL with its slash', 'tcp://example.net:80/', 'example.net', 80, 0],
    ['a URL', new URL('tcp://[2001:db8::1]:80'), '2001:db8::1', 80, 6],
    ['a STUN URI without a port', 'stun:stun.example.net', 'stun.example.net', 3478, 0],
    ['a STUN URI with one', 'STUN:stun.example.net:19302', 'stun.example.net', 19_302, 0],
    ['a STUN URI of an IPv6 address', 'stun:[2001:db8::1]', '2001:db8::1', 3478, 6],
    ['a STUN URI as URL', new URL('stun:192.0.2.1'), '192.0.2.1', 3478, 4],
    ['a SocketAddress', new SocketAddress({ address: '2001:db8::1', port: 80, family: 'ipv6' }), '2001:db8::1', 80, 6],
    ['a bound route', bound('127.0.0.7', 4000), '127.0.0.7', 4000, 4],
  ])('%s', (_name, dest, host, port, family) => {
    expect(parseDestination(dest, 'tcp')).toEqual({ host, port, family, zone: undefined });
  });

  it('a UDP URL for UDP, and a link-local address with its interface', () => {
    expect(parseDestination('udp://192.0.2.1:53', 'udp').port).toBe(53);
    const want = { host: 'fe80::1', port: 80, family: 6, zone: 'eth0' };
    for (const dest of [['fe80::1%eth0', 80], '[fe80::1%eth0]:80', 'tcp://[fe80::1%25eth0]:80'])
      expect(parseDestination(dest, 'tcp')).toEqual(want);
  });
});

describe('what is no destination says why:', () => {
  it.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /undefined is no destination: expected something like/],
    ['null', null, /null is no destination/],
    ['a number', 80, /80 is no destination/],
    ['an empty text', '', /without spaces/],
    ['text with a space', ' example.net:80', /without spaces/],
    ['no port', 'example.net', /the port is missing/],
    ['an empty port', 'example.net:', /from 1 to 65535 but received ''/],
    ['port 0', 'example.net:0', /from 1 to 65535 for the port but received 0/],
    ['a port that is too large', 'example.net:65536', /from 1 to 65535 for the port but received 65536/],
    ['a very long port', 'example.net:000000000080', /from 1 to 65535 but received '0000/],
    ['a negative port', 'example.net:-1', /from 1 to 65535 but received '-1'/],
    ['a port in letters', 'example.net:http', /from 1 to 65535 but received 'http'/],
    ['a hexadecimal port', 'example.net:0x50', /from 1 to 65535 but received '0x50'/],
    ['no host', ':80', /the host is missing/],
    [
      'IPv6 without brackets',
      '2001:db8::1:80',
      /leaves open where the address ends: write an IPv6 address in brackets/,
    ],
    ['two ports', 'example.net:80:90', /more than one colon: write/],
    ['IPv6 without a port', '[2001:db8::1]', /the port is missing/],
    ['a bracket that stays open', '[2001:db8::1:80', /the bracket is not closed/],
    ['something after the bracket', '[2001:db8::1]80', /the bracket is not closed, or/],
    ['a name in brackets', '[example.net]:80', /in brackets is no IPv6 address/],
    ['IPv4 in brackets', '[192.0.2.1]:80', /in brackets is no IPv6 address/],
    ['an octet too large', '256.0.0.1:80', /looks like an IPv4 address and is none/],
    ['a short IPv4 address', '10.1:80', /looks like an IPv4 address and is none/],
    ['a number as host', '2130706433:80', /looks like an IPv4 address and is none/],
    ['a number in hexadecimal', '0x7f000001:80', /looks like an IPv4 address and is none/],
    ['an empty label', 'example..net:80', /neither an address nor a name/],
    ['a long label', `${'a'.repeat(64)}.net:80`, /neither an address nor a name/],
    ['a long name', `${'a.'.repeat(130)}net:80`, /neither an address nor a name/],
    ['a dash in front', '-x.example.net:80', /neither an address nor a name/],
    ['a control character', 'exam\u0000ple.net:80', /neither an address nor a name/],
    ['a slash', 'example.net/x:80', /neither an address nor a name/],
    ['http', 'http://example.net', /knows `tcp:\/\/`, `udp:\/\/` and `stun:`/],
    ['a path', 'tcp://example.net:80/x', /nothing with '\/'/],
    ['a user', 'tcp://me@example.net:80', /nothing with '@'/],
    ['a query', 'tcp://example.net:80?x', /nothing with '\?'/],
    ['tcp without slashes', 'tcp:example.net:80', /expected two slashes after `tcp:`/],
    ['stun with slashes', 'stun://example.net', /no slashes \(RFC 7064\): write stun:example\.net/],
    ['tcp without a port', 'tcp://example.net', /the port is missing/],
    ['the other protocol', 'udp://example.net:80', /this is a UDP destination, and the pipe is TCP/],
    ['one item', ['example.net'], /expected two items/],
    ['three items', ['::1', 80, 0], /expected two items/],
    ['a pair the wrong way round', [80, 'example.net'], /expected text for the host but received 80/],
    [
      'a port as text in a pair',
      ['example.net', '80'],
      /expected an integer from 1 to 65535 for the port but received '80'/,
    ],
    ['a fraction', ['example.net', 80.5], /received 80\.5/],
    ['an empty host in a pair', ['', 80], /the host is missing/],
    ['colons in a name', ['exa:mple', 80], /neither an IPv6 address nor a name/],
    ['an empty zone', ['fe80::1%', 80], /after the percent sign is no interface/],
    ['a zone with a space', ['fe80::1%a b', 80], /after the percent sign is no interface/],
    ['an object without a host', { port: 80 }, /expected text for the host but received undefined/],
    ['an object with both', { host: 'a', address: 'b', port: 80 }, /either `host` or `address`/],
    ['an object with something else', { hostname: 'a', port: 80 }, /`hostname` is neither/],
    ['a route bound to port 0', bound('127.0.0.7', 0), /bind it with a `port`/],
  ])('%s', (_name, dest, message) => {
    const read = () => parseDestination(dest, 'tcp');
    expect(read).toThrow(message);
    expect(read).toThrow(expect.objectContaining({ code: 'ERR_ROUTEPOOL_OPTION', option: 'dest' }));
  });
});

it('addresses have one form', () => {
  expect(canonicalAddress('::FFFF:127.0.0.1')).toBe('127.0.0.1');
  expect(canonicalAddress('FE80:0::1%eth0')).toBe('fe80::1%eth0');
  expect(canonicalAddress('::ffff:0:127.0.0.1')).toBe('::ffff:0:7f00:1');
  expect(canonicalAddress('example.net')).toBe('example.net');
  expect([familyOf('::ffff:127.0.0.1'), familyOf('fe80::1%eth0'), familyOf('::'), familyOf('x')]).toEqual([4, 6, 6, 0]);
  expect([endpointText('::1', 80), endpointText('a', 1)]).toEqual(['[::1]:80', 'a:1']);
});

describe('a name is resolved', () => {
  const name = parseDestination('service.test:80', 'tcp');
  const here = new Error('here');
  const answer =
    (...addresses: string[]): LookupFunction =>
    (_host, _options, done) =>
      done(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      );

  it('for the families that the route has, in the order of the resolver, each address once', async () => {
    const asked: unknown[] = [];
    const lookup: LookupFunction = (host, options, done) => {
      asked.push([host, options.family, options.all]);
      answer('2001:db8::1', '192.0.2.1', '::ffff:192.0.2.1', '2001:db8::2')(host, options, done);
    };
    const addresses = async (families: (4 | 6)[]) =>
      (await resolveDestination(name, families, { lookup }, here)).map((found) => `${found.family} ${found.address}`);
    expect(await addresses([4, 6])).toEqual(['6 2001:db8::1', '4 192.0.2.1', '6 2001:db8::2']);
    expect(await addresses([4])).toEqual(['4 192.0.2.1']);
    expect(await addresses([6])).toEqual(['6 2001:db8::1', '6 2001:db8::2']);
    expect(asked).toEqual([
      ['service.test', 0, true],
      ['service.test', 4, true],
      ['service.test', 6, true],
    ]);
  });

  it('not at all if it is an address', async () => {
    const lookup: LookupFunction = () => expect.unreachable('there is nothing to look up');
    const dest = parseDestination('[::ffff:127.0.0.1]:80', 'tcp');
    expect(await resolveDestination(dest, [4, 6], { lookup }, here)).toEqual([
      { address: '127.0.0.1', port: 80, family: 4 },
    ]);
    const near = parseDestination('[fe80::1%eth0]:80', 'tcp');
    expect(await resolveDestination(near, [6], { lookup }, here)).toEqual([
      { address: 'fe80::1%eth0', port: 80, family: 6 },
    ]);
    await expect(resolveDestination(dest, [6], { lookup }, here)).rejects.toThrow(
      /127\.0\.0\.1:80 is an IPv4 address, and the route has only IPv6/,
    );
  });

  it('or the error says what the resolver said, with the stack of the caller', async () => {
    const missing = Object.assign(new Error('getaddrinfo ENOTFOUND service.test'), {
      code: 'ENOTFOUND',
      syscall: 'getaddrinfo',
      hostname: 'service.test',
    });
    const lookup: LookupFunction = (_host, _options, done) => done(missing, []);
    const error: unknown = await resolveDestination(name, [4], { lookup }, here).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: 'service.test' });
    expect(String((error as Error).stack)).toContain('destination.spec.ts');
  });

  it.each<[string, LookupFunction, object]>([
    [
      'has other families only',
      answer('2001:db8::1'),
      {
        code: 'ERR_ROUTEPOOL_RESOLVE',
        message: expect.stringMatching(/no address of that family, and the route has only IPv4/) as string,
      },
    ],
    [
      'answers nothing',
      answer(),
      { code: 'ERR_ROUTEPOOL_RESOLVE', message: expect.stringMatching(/^the resolver gave no address for/) as string },
    ],
    [
      'answers in the form for one address',
      (_host, _options, done) => done(null, '192.0.2.1' as never),
      { message: expect.stringMatching(/gave '192\.0\.2\.1' in place of a list/) as string },
    ],
    [
      'answers no addresses',
      (_host, _options, done) => done(null, [{ address: 'x', family: 4 }]),
      { message: expect.stringMatching(/in place of a list/) as string },
    ],
    [
      'throws',
      () => {
        throw new TypeError('broken');
      },
      { message: 'broken' },
    ],
    ['says nothing', () => undefined, { code: 'ETIMEDOUT', syscall: 'getaddrinfo', hostname: 'service.test' }],
  ])('and fails if the resolver %s', async (_name, lookup, error) => {
    await expect(resolveDestination(name, [4], { lookup, dnsTimeoutMs: 20 }, here)).rejects.toMatchObject(error);
  });

  it('only the first answer of a resolver that answers twice counts', async () => {
    const twice: LookupFunction = (host, options, done) => {
      answer('192.0.2.1')(host, options, done);
      done(new Error('late'), []);
    };
    expect(await resolveDestination(name, [4], { lookup: twice }, here)).toEqual([
      { address: '192.0.2.1', port: 80, family: 4 },
    ]);
  });

  it('until it is aborted', async () => {
    const silent: LookupFunction = () => undefined;
    const stop = new AbortController();
    const under_way = resolveDestination(name, [4], { lookup: silent, signal: stop.signal }, here);
    stop.abort(new Error('enough'));
    await expect(under_way).rejects.toMatchObject({
      name: 'AbortError',
      code: 'ABORT_ERR',
      cause: new Error('enough'),
    });
    await expect(resolveDestination(name, [4], { signal: stop.signal }, here)).rejects.toMatchObject({
      code: 'ABORT_ERR',
    });
  });
});
