/**
 * Options of all public calls: a name that there is not, and a value of the wrong type, are refused by name before
 * anything is sent.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  chooseStunAddresses,
  Daemon,
  Interface,
  listInterfaces,
  loadInterfaces,
  pipeOpen,
  RoutePoolError,
  StunServer,
  TCP,
  UDP,
  validate,
  watch,
  type Pipe,
  type Route,
  type RoutePool,
} from '../../src/index.ts';
import * as testing from '../../src/testing/index.ts';

let pool: RoutePool;
let route: Route;
let pipe: Pipe;
let daemon: Daemon;
const lo = () => Interface.find('lo');
beforeAll(async () => {
  pool = await validate('127.88.0.0/30').pool();
  route = pool.at(1) ?? expect.unreachable('it was proven');
  pipe = await pipeOpen(UDP, null);
  daemon = new Daemon();
});
afterAll(async () => {
  await pipe.close();
  await daemon.close();
});

type Call = (options: never) => unknown;
const ASKING = ['servers', 'timeoutMs', 'signal', 'lookup'];
const PIPE = [
  'dnsTimeoutMs',
  'connectTimeoutMs',
  'recvTimeoutMs',
  'reuseAddress',
  'broadcast',
  'linger',
  'noDelay',
  'keepAlive',
  'sendBuffer',
  'receiveBuffer',
  'highWaterMark',
  'maxMessage',
  'allowHalfOpen',
  'tls',
  'signal',
  'lookup',
];
const LISTEN = ['allowPartial', 'sockets', 'v6only', 'interface'];
const AGENT = [
  'protocol',
  'family',
  'keepAlive',
  'keepAliveMsecs',
  'keepAliveInitialDelay',
  'lookup',
  'maxFreeSockets',
  'maxSockets',
  'maxTotalSockets',
  'noDelay',
  'scheduling',
  'timeout',
  'defaultPort',
];
const CONNECTOR = ['allowH2', 'keepAlive', 'keepAliveInitialDelay', 'lookup', 'maxCachedSessions', 'timeout'];
const RECEIVE = ['timeoutMs', 'filter', 'signal'];

/**
 * Each call with options: its name in the report of the API, the call, and its options, all of them but for those that
 * Node alone judges.
 */
const CALLS: [name: string, call: Call, options: readonly string[]][] = [
  [
    'validate',
    (options) => validate('127.88.0.0/30', options),
    [
      'servers',
      'ratePerSecond',
      'passes',
      'timeoutMs',
      'hosts',
      'sample',
      'interface',
      'seed',
      'state',
      'receiveBuffer',
      'sockets',
      'signal',
      'lookup',
    ],
  ],
  ['validate, of a pool', (options) => validate(pool, options), ['servers', 'ratePerSecond', 'lookup']],
  ['Interface.load', (options) => Interface.load('lo', options), ASKING],
  [
    'Interface.loadNat',
    (options) => lo().loadNat(options),
    ['servers', 'profile', 'lifetime', 'lifetimeMaxMs', 'hairpin', 'tcp', 'from', 'portal', 'signal', 'lookup'],
  ],
  ['Interface.toDict', (options) => lo().toDict(options), ['dialect', 'platform']],
  ['Interface.toJSON', (options) => lo().toJSON(options), ['detail']],
  ['Nat.toJSON', (options) => lo().nat.toJSON(options), ['detail']],
  ['loadInterfaces', (options) => loadInterfaces(['lo'], options), ASKING],
  ['listInterfaces', (options) => listInterfaces(options), ['details']],
  ['chooseStunAddresses', (options) => chooseStunAddresses(options), ['offline', ...ASKING]],
  ['watch', (options) => watch(options), ['external', 'pollMs', 'signal']],
  ['Route.bind', (options) => route.bind(options), ['port', 'ip', 'interfaceBinding']],
  ['Route.observe', (options) => route.observe(options), ASKING],
  ['Route.agent', (options) => route.agent(options), AGENT],
  ['RoutePool.agent', (options) => pool.agent(options), ['pick', ...AGENT]],
  ['Route.connector', (options) => route.connector(options), CONNECTOR],
  ['RoutePool.connector', (options) => pool.connector(options), ['pick', ...CONNECTOR]],
  ['pipeOpen', (options) => pipeOpen(TCP, ['127.0.0.1', 9], undefined, options), PIPE],
  ['Pipe.recv', (options) => pipe.recv(options), RECEIVE],
  ['Pipe.recvFrom', (options) => pipe.recvFrom(options), RECEIVE],
  [
    'Pipe.subscribe',
    (options) => pipe.subscribe(undefined, undefined, options),
    ['maxMessages', 'maxBytes', 'overflow'],
  ],
  ['Subscription.recv', (options) => pipe.subscribe().recv(options), RECEIVE],
  ['Subscription.recvFrom', (options) => pipe.subscribe().recvFrom(options), RECEIVE],
  [
    'Daemon.constructor',
    (options) => new Daemon(options),
    ['maxConnections', 'maxPeers', 'backlog', 'peerTimeoutMs', 'closeTimeoutMs', ...PIPE.slice(2, 13)],
  ],
  ['Daemon.listen', (options) => daemon.listen(TCP, 0, '127.0.0.1', options), LISTEN],
  ['Daemon.listenAll', (options) => daemon.listenAll(TCP, 0, options), LISTEN],
  ['Daemon.listenLoopback', (options) => daemon.listenLoopback(TCP, 0, options), LISTEN],
  ['Daemon.listenLocal', (options) => daemon.listenLocal(TCP, 0, 'lo', options), LISTEN],
  ['Daemon.accept', (options) => daemon.accept(options), ['timeoutMs', 'signal']],
  [
    'StunServer.listen',
    (options) => StunServer.listen(options),
    ['address', 'advertise', 'port', 'otherPort', 'tcp', 'allow', 'ratePerPrefix', 'workers', 'rfc3489'],
  ],
  [
    'testing SimulatedNat',
    (options) => testing.SimulatedNat.listen(options),
    [
      'mapping',
      'filtering',
      'allocation',
      'step',
      'externals',
      'pooling',
      'lifetimeMs',
      'blocked',
      'path',
      'servers',
      'faults',
      'seed',
    ],
  ],
  [
    'testing StunServer',
    (options) => testing.StunServer.listen(options),
    ['addresses', 'ports', 'fault', 'script', 'path', 'seed'],
  ],
];

/** What a call fails with, now or by its promise; what it may have opened is closed. */
async function failure(call: Call, options: unknown): Promise<unknown> {
  try {
    const made = (await call(options as never)) as { close?(): unknown; stop?(): unknown } | undefined | null;
    await made?.close?.();
    made?.stop?.();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe.each(CALLS)('%s', (_name, call, options) => {
  it('refuses an option that there is not, and says what there is', async () => {
    const error = await failure(call, { zzz: 1 });
    expect(error).toBeInstanceOf(RoutePoolError);
    expect(error).toMatchObject({
      code: 'ERR_ROUTEPOOL_OPTION',
      option: 'zzz',
      message: expect.stringMatching(/unknown option `zzz`; valid options: \w+/),
    });
    expect((error as Error).stack, 'leads to the caller').toContain('options.spec.ts');
  });

  it('refuses what is no object', async () => {
    expect(await failure(call, 7)).toMatchObject({ code: 'ERR_ROUTEPOOL_OPTION' });
    expect(await failure(call, null)).toMatchObject({ code: 'ERR_ROUTEPOOL_OPTION' });
  });

  it.each(options)('refuses a value of the wrong type for %s', async (name) => {
    // Nothing takes a symbol.
    expect(await failure(call, { [name]: Symbol('x') })).toMatchObject({
      code: 'ERR_ROUTEPOOL_OPTION',
      option: name,
      message: expect.stringContaining(`\`${name}\``),
    });
  });
});

it('the calls above are all that have options', () => {
  const report = readFileSync(new URL('../../etc/routepool.api.md', import.meta.url), 'utf8');
  let owner = '';
  const found = new Set<string>();
  for (const line of report.split('\n')) {
    owner = /^export (?:class|interface) (\w+)/.exec(line)?.[1] ?? (line === '}' ? '' : owner);
    const [, exported, method] = /^(?:export function (\w+)|    (?:static )?(\w+))\(.*\boptions\b/.exec(line) ?? [];
    if (exported !== undefined) found.add(exported);
    else if (method !== undefined) found.add(`${owner}.${method}`);
  }
  // Made by other calls, which check what they are given.
  for (const internal of ['Interface.loadFor', 'NetworkWatch.start', 'Pipe.constructor']) found.delete(internal);
  expect(found.size).toBeGreaterThan(25);
  expect([...found].filter((name) => !CALLS.some(([known]) => known === name))).toEqual([]);
});

describe('what steers where traffic leaves', () => {
  const secure = { protocol: 'https:' } as const;
  it.each<[string, () => unknown, string, RegExp]>([
    [
      'localAddress of an agent',
      () => route.agent({ localAddress: '127.0.0.9' } as never),
      'localAddress',
      /expected nothing \(the route is what a connection leaves by\) for `localAddress`/,
    ],
    ['localPort of an agent', () => pool.agent({ localPort: 5 } as never), 'localPort', /picks a free one/],
    [
      'family of an agent',
      () => pool.agent({ family: 6 }),
      'family',
      /expected 4 or nothing \(the route leaves over IPv4\) for `family` but received 6/,
    ],
    ['socketPath of an agent', () => route.agent({ socketPath: '/x' } as never), 'socketPath', /no local socket/],
    [
      'host of an https agent',
      () => route.agent({ ...secure, host: 'x' } as never),
      'host',
      /each request says where to/,
    ],
    [
      'a proxy of an agent',
      () => route.agent({ proxyEnv: { HTTP_PROXY: 'http://x' } } as never),
      'proxyEnv',
      /leads to the server itself/,
    ],
    [
      'interface of an agent',
      () => route.agent({ interface: 'lo' } as never),
      'interface',
      /unknown option `interface`/,
    ],
    [
      'pick of a single route',
      () => route.agent({ pick: 'random' } as never),
      'pick',
      /a route is one; pools have a choice/,
    ],
    [
      'pick of a single route, for undici',
      () => route.connector({ pick: 'random' } as never),
      'pick',
      /pools have a choice/,
    ],
    [
      'a pick that there is not',
      () => pool.agent({ pick: 'next' as never }),
      'pick',
      /'round-robin', 'random' or a function/,
    ],
    ['a misspelt pick', () => pool.connector({ picks: 'random' } as never), 'picks', /did you mean `pick`\?/],
    [
      'localAddress of a connector',
      () => route.connector({ localAddress: '127.0.0.9' } as never),
      'localAddress',
      /what a connection leaves by/,
    ],
    ['family of a connector', () => route.connector({ family: 4 } as never), 'family', /the route has one/],
    ['socket of a connector', () => route.connector({ socket: {} } as never), 'socket', /has its own/],
    [
      'a certificate of an agent that does no TLS',
      () => route.agent({ ca: 'x' } as never),
      'ca',
      /needs `protocol: 'https:'`/,
    ],
    [
      'localAddress of a daemon',
      () => new Daemon({ localAddress: '127.0.0.1' } as never),
      'localAddress',
      /unknown option/,
    ],
  ])('%s is refused', (_what, call, option, words) => {
    expect(call).toThrow(
      expect.objectContaining({ code: 'ERR_ROUTEPOOL_OPTION', option, message: expect.stringMatching(words) }),
    );
  });

  it.each<[object, string, RegExp]>([
    [{ localAddress: '127.0.0.9' }, 'tls.localAddress', /what a connection leaves by/],
    [{ host: 'x.test' }, 'tls.host', /`servername` names another one/],
    [{ port: 80 }, 'tls.port', /each request says where to|destination/],
    [{ timeout: 5 }, 'tls.timeout', /`connectTimeoutMs`/],
    [{ servernam: 'x.test' }, 'tls.servernam', /did you mean `tls\.servername`\?/],
  ])('%o within tls of a pipe is refused', async (tls, option, words) => {
    await expect(pipeOpen(TCP, ['127.0.0.1', 9], undefined, { tls })).rejects.toMatchObject({
      code: 'ERR_ROUTEPOOL_OPTION',
      option,
      message: expect.stringMatching(words),
    });
  });

  it('an option that is left out with undefined is none', () => {
    for (const made of [
      route.agent({ localAddress: undefined, ca: undefined, keepAlive: undefined } as never),
      pool.agent({ pick: undefined, maxSockets: undefined, family: undefined }),
    ])
      made.destroy();
    expect(route.connector({ localAddress: undefined, timeout: undefined } as never)).toBeTypeOf('function');
  });
});
