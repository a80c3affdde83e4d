/** Bad input: an error that names the option and what was expected, before anything is sent. */
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { seeded } from '../helpers/interface-data.ts';
import {
  type LookupFunction,
  RoutePoolError,
  StunServer,
  type StunServerOptions,
  validate,
  type ValidateOptions,
} from '../../src/index.ts';

function failure(call: () => unknown): RoutePoolError {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(RoutePoolError);
    return error as RoutePoolError;
  }
  throw new Error('nothing was thrown');
}

describe('blocks', () => {
  it.each([
    ['10.0.0.0/33', 'ERR_ROUTEPOOL_BLOCK', '0 to 32'],
    ['10.0.0.5/24', 'ERR_ROUTEPOOL_BLOCK', '10.0.0.0/24'],
    ['10.0.0.9-10.0.0.1', 'ERR_ROUTEPOOL_BLOCK', '10.0.0.1-10.0.0.9'],
    ['', 'ERR_ROUTEPOOL_BLOCK', 'expected a prefix'],
    [[], 'ERR_ROUTEPOOL_BLOCK', 'at least one block'],
    [['127.0.0.0/24', '::1'], 'ERR_ROUTEPOOL_BLOCK', 'one family'],
    [['127.0.0.0/24', '127.0.0.9'], 'ERR_ROUTEPOOL_BLOCK', 'overlap'],
    [[7], 'ERR_ROUTEPOOL_BLOCK', 'a block like'],
    [Array(3), 'ERR_ROUTEPOOL_BLOCK', 'a block like'],
    ['0.0.0.0/0', 'ERR_ROUTEPOOL_BLOCK', 'one host per /24'],
    ['203.0.113.0/24', 'ERR_ROUTEPOOL_NOT_LOCAL', 'ip route add local 203.0.113.0/24 dev lo'],
    ['2001:db8::/112', 'ERR_ROUTEPOOL_NOT_LOCAL', 'ip -6 route add local 2001:db8::/112 dev lo'],
  ])('%j', (blocks, code, words) => {
    const error = failure(() => validate(blocks as string));
    expect([error.code, error.option]).toEqual([code, 'blocks']);
    expect(error.message).toContain(words);
    expect(error.stack?.split('\n')[1]).toContain('input.spec.ts');
  });
});

describe('block texts', () => {
  /**
   * What ipaddr.js makes of a CIDR text: its canonical form; undefined if it is none, or has bits set after the prefix.
   */
  function canonical(text: string): string | undefined {
    const [address = '', length = '', ...more] = text.split('/');
    if (!/^(0|[1-9]\d*)$/.test(length) || address.includes('%') || more.length > 0) return undefined;
    if (ipaddr.IPv4.isValidFourPartDecimal(address)) {
      if (Number(length) > 32) return undefined;
      return String(ipaddr.IPv4.networkAddressFromCIDR(text)) === address ? text : undefined;
    }
    if (!ipaddr.IPv6.isValid(address) || Number(length) > 128) return undefined;
    const own = ipaddr.IPv6.parse(address).toRFC5952String();
    if (ipaddr.IPv6.networkAddressFromCIDR(text).toRFC5952String() !== own) return undefined;
    return `${own}/${length}`;
  }

  it('are read as ipaddr.js reads them, 5,000 of them right, nearly right and wrong', () => {
    const random = seeded(27);
    const below = (limit: number) => Math.floor(random() * limit);
    const pick = <T>(...all: readonly T[]): T => all[below(all.length)] as T;
    const four = () => {
      const host = below(256);
      const length = pick(24, 28, 30, 32, 32, below(40));
      return `198.51.100.${length < 32 && random() < 0.7 ? host & (0xff << (32 - length)) & 0xff : host}/${length}`;
    };
    const six = () => {
      const groups = [
        '2001',
        'db8',
        ...Array.from({ length: 6 }, () => (random() < 0.6 ? '0' : below(65_536).toString(16))),
      ];
      const length = pick(112, 116, 120, 127, 128, below(140));
      if (length <= 112 && random() < 0.8) groups[7] = '0';
      let text = groups.join(':');
      // A run of zeros somewhere, not always the longest one, is shortened.
      if (random() < 0.6) text = text.replace(pick(/(:0)+$/, /:0(:0)*(?=:)/, /(:0){2}(?=:)/), pick('::', ':'));
      if (random() < 0.1) text = text.toUpperCase();
      if (random() < 0.1) text = text.replace(/[^:]*:[^:]*$/, '198.51.100.7');
      return `${text}/${length}`;
    };
    const spoil = (text: string) => {
      const at = below(text.length + 1);
      return `${text.slice(0, at)}${pick('0', ':', '.', '/', ' ', 'g', '-', '%', '9')}${text.slice(at + below(2))}`;
    };
    let right = 0;
    for (let n = 0; n < 5_000; n++) {
      const good = random() < 0.5 ? four() : six();
      const text = random() < 0.4 ? spoil(good) : good;
      // Ranges are no CIDR, and spaces around are allowed.
      if (text.includes('-') || text !== text.trim() || !text.includes('/')) continue;
      const { code, message } = failure(() => validate(text));
      const wanted = canonical(text);
      // What is right is refused for another reason: it is not ours, or too much for one run.
      const isBlock = code === 'ERR_ROUTEPOOL_NOT_LOCAL' || message.includes('too many for one run');
      expect([text, isBlock]).toEqual([text, wanted !== undefined]);
      if (code === 'ERR_ROUTEPOOL_NOT_LOCAL') expect(message).toContain(`add local ${wanted} dev lo`);
      if (isBlock) right++;
    }
    expect(right).toBeGreaterThan(1_500);
  });
});

describe('options', () => {
  it.each([
    [{ ratePerSecond: 0 }, 'ratePerSecond', 'from 0.01'],
    [{ ratePerSecond: '5' }, 'ratePerSecond', "received '5'"],
    [{ passes: 1.5 }, 'passes', 'an integer from 1 to 32'],
    [{ timeoutMs: Number.NaN }, 'timeoutMs', 'NaN'],
    [{ hosts: 'some' }, 'hosts', "'all' or 'subnet' or 'no-0-255'"],
    [{ sample: 64 }, 'sample', '{ perPrefix: 64, hosts: 1 }'],
    [{ sample: { perPrefix: 129 } }, 'sample.perPrefix', '0 to 128'],
    [{ sample: { perPrefix: 32, host: 1 } }, 'sample.host', 'did you mean `sample.hosts`'],
    [{ interface: '' }, 'interface', 'network interface'],
    [{ seed: -1 }, 'seed', '2^64'],
    [{ seed: 2n ** 64n }, 'seed', '2^64'],
    [{ seed: 'abc' }, 'seed', "'abc'"],
    [{ sockets: 'two' }, 'sockets', "'one' or 'per-source'"],
    [{ receiveBuffer: 1 }, 'receiveBuffer', '1024'],
    [{ servers: [] }, 'servers', 'a server like'],
    [{ servers: 5 }, 'servers', 'a server like'],
    [{ signal: {} }, 'signal', 'an AbortSignal'],
    [{ lookup: 'dns' }, 'lookup', 'dns.lookup'],
    [{ servers: Array(2) }, 'servers', 'a server like'],
    [{ rate: 5 }, 'rate', 'unknown option `rate`; did you mean `ratePerSecond`?'],
    [{ timeout: 5 }, 'timeout', 'did you mean `timeoutMs`?'],
    [{ server: 'x' }, 'server', 'did you mean `servers`?'],
    [{ buffer: 5 }, 'buffer', 'did you mean `receiveBuffer`?'],
    [{ zzz: 5 }, 'zzz', 'valid options: servers, '],
    [{ timeoutMS: 5 }, 'timeoutMS', 'did you mean `timeoutMs`?'],
  ])('%o', (options, option, words) => {
    const error = failure(() => validate('127.0.0.0/24', options as ValidateOptions));
    expect([error.code, error.option]).toEqual(['ERR_ROUTEPOOL_OPTION', option]);
    expect(error.message).toContain(words);
  });

  it.each([
    ['host:http', '1 to 65535'],
    ['10.0.0.300', 'not an IPv4 address'],
    ['turn:host', 'not supported'],
    ['127.0.0.1:3478,127.0.0.2:3478', 'name each by itself in `servers`'],
    [['embedded', '127.0.0.1'], 'name it alone'],
  ])('server %j', (server, words) => {
    const error = failure(() => validate('127.0.0.0/24', { servers: server }));
    expect([error.code, error.option]).toEqual(['ERR_ROUTEPOOL_SERVER', 'servers']);
    expect(error.message).toContain(words);
  });

  it.each<[string, unknown[]]>([
    ['nothing', []],
    ['a single address', [null, '127.0.0.1', 4]],
    ['addresses alone', [null, ['127.0.0.1']]],
    ['no address', [null, []]],
    ['what is no address', [null, [{ address: 'localhost', family: 4 }]]],
  ])('a lookup that gives %s resolves nothing', async (_name, given) => {
    const lookup: LookupFunction = (_host, _options, callback) => (callback as (...args: unknown[]) => void)(...given);
    await expect(validate('127.0.0.0/28', { servers: 'x.test', lookup }).summary()).rejects.toMatchObject({
      code: 'ERR_ROUTEPOOL_RESOLVE',
      option: 'servers',
    });
  });

  it.each(['0.0.0.0', '224.0.0.1', '255.255.255.255'])(
    'a lookup that gives %s is refused as the address itself is',
    async (address) => {
      const lookup: LookupFunction = (_host, _options, callback) => callback(null, [{ address, family: 4 }]);
      await expect(validate('127.0.0.0/28', { servers: 'x.test', lookup }).summary()).rejects.toMatchObject({
        code: 'ERR_ROUTEPOOL_SERVER',
        message: expect.stringContaining(`${address}, which is not the address of one host`),
      });
    },
  );

  it('public servers without an address are left out with a note', async () => {
    const own = StunServer.listen({ port: 3478, address: '127.0.0.9' });
    const server = ['stun.cloudflare.com', 'stun.nextcloud.com', 'stun.sipgate.net'];
    const lookup: LookupFunction = (host, _options, callback) => {
      if (host === 'stun.nextcloud.com') callback(new Error('no such name'), []);
      else callback(null, [{ address: host === 'stun.sipgate.net' ? '0.0.0.0' : '127.0.0.9', family: 4 }]);
    };
    const summary = await validate('127.0.0.0/30', { servers: server, lookup, ratePerSecond: 1_000 }).summary();
    await own.close();
    expect([summary.allOk, summary.servers.map(({ name }) => name)]).toEqual([true, ['stun.cloudflare.com']]);
    for (const name of server.slice(1))
      expect(summary.notes).toContain(`The name of the server ${name} could not be resolved, and it was left out.`);
  });

  it('an interface that is not there', async () => {
    await expect(validate('127.0.0.0/24', { interface: 'no-such0' }).summary()).rejects.toMatchObject({
      code: 'ERR_ROUTEPOOL_OPTION',
      option: 'interface',
    });
  });

  it('explicit undefined is the same as leaving it out', async () => {
    const summary = await validate('127.0.0.0/28', {
      passes: undefined,
      servers: undefined,
      signal: undefined,
    }).summary();
    expect(summary.allOk).toBe(true);
  });
});

describe('servers of one own', () => {
  it('refuse a wrong address or port by name, and a busy one as Node does', async () => {
    expect(failure(() => StunServer.listen({ port: 70_000 })).option).toBe('port');
    expect(failure(() => StunServer.listen({ address: 'here' })).option).toBe('address');
    expect(failure(() => StunServer.listen({ address: '0.0.0.0' })).message).toContain('wildcard');
    for (const [options, option, words] of [
      [{ host: '127.0.0.1' }, 'host', 'did you mean `address`?'],
      [{ foo: 1 }, 'foo', 'valid options: address, advertise, port'],
      [null, 'options', 'an object'],
      ['127.0.0.1', 'options', 'an object'],
      [{ address: 5 }, 'address', 'an IP address'],
      [{ address: '224.0.0.1' }, 'address', 'multicast'],
      [{ address: 'ff02::1' }, 'address', 'multicast'],
      [{ address: '255.255.255.255' }, 'address', 'broadcast'],
      [{ address: '127.255.255.255' }, 'address', 'broadcast'],
    ] as const) {
      const error = failure(() => StunServer.listen(options as StunServerOptions));
      expect([error.code, error.option]).toEqual(['ERR_ROUTEPOOL_OPTION', option]);
      expect(error.message).toContain(words);
      expect(error.stack?.split('\n')[1]).toContain('input.spec.ts');
    }
    const first = StunServer.listen();
    expect(() => StunServer.listen({ port: first.port })).toThrowError(
      expect.objectContaining({
        code: 'EADDRINUSE',
        syscall: 'bind',
        address: '127.0.0.1',
        port: first.port,
        message: `bind EADDRINUSE 127.0.0.1:${first.port}`,
      }),
    );
    await first.close();
    await first.close();
  });
});
