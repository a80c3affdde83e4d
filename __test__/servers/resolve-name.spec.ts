/**
 * A `lookup` of the user's that goes wrong: each call that takes one settles with the reason, and nothing is left
 * unhandled.
 */
import { once } from 'node:events';
import http from 'node:http';
import { lookup as dnsLookup } from 'node:dns/promises';
import { Agent as UndiciAgent, request as undiciRequest } from 'undici';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  chooseStunAddresses,
  Interface,
  listInterfaces,
  loadInterfaces,
  pipeOpen,
  TCP,
  UDP,
  validate,
  watch,
  type LookupFunction,
  type Route,
} from '../../src/index.ts';
import { turn } from '../pipe/suite/peers.ts';

const unhandled: unknown[] = [];
const note = (reason: unknown) => void unhandled.push(reason);
beforeEach(() => void process.on('unhandledRejection', note));
afterEach(async () => {
  // Node tells of them once the turn is over.
  await turn();
  process.off('unhandledRejection', note);
  expect(unhandled.splice(0)).toEqual([]);
});

const failure = Object.assign(new Error('queryA ESERVFAIL x.test'), { code: 'ESERVFAIL' });
/** Ways to go wrong, and what is told of them. */
const WAYS: [name: string, lookup: LookupFunction, told: RegExp][] = [
  [
    'throws',
    () => {
      throw failure;
    },
    /ESERVFAIL/,
  ],
  [
    'is async and throws',
    (async () => {
      throw failure;
    }) as LookupFunction,
    /ESERVFAIL/,
  ],
  ['rejects later', (() => turn().then(() => Promise.reject(failure))) as LookupFunction, /ESERVFAIL/],
  [
    'throws what is no error',
    () => {
      throw 'no resolver here';
    },
    /no resolver here/,
  ],
  [
    'rejects after it has called back',
    (async (_host, _options, callback) => {
      callback(failure, []);
      throw new Error('too late');
    }) as LookupFunction,
    /ESERVFAIL/,
  ],
  [
    'is the one of dns.promises',
    ((host: string, options: object) =>
      dnsLookup(host === 'x.test' ? '192.0.2.1' : host, options)) as unknown as LookupFunction,
    /must call its third argument back/,
  ],
];

const host = 'x.test';
/** An interface whose addresses servers would be asked for. Nothing is sent: no name ever resolves. */
const nic = listInterfaces({ details: true }).find(
  (facts) => facts.up && facts.kind !== 'loopback' && facts.addresses.some(({ scope }) => scope !== 'link-local'),
)?.name;
if (nic === undefined) console.warn('skipped: loading an interface, since this machine has none but loopback');
let route: Route;
beforeAll(async () => {
  route = (await validate('127.87.0.1').pool()).at(0) ?? expect.unreachable('it was proven');
});
const undici = async (lookup: LookupFunction) => {
  const dispatcher = new UndiciAgent({ connect: route.connector({ lookup }) });
  await undiciRequest(`http://${host}/`, { dispatcher }).finally(() => dispatcher.destroy());
};
const viaAgent = async (lookup: LookupFunction) => {
  const agent = route.agent();
  const [error] = (await once(http.get({ host, agent, lookup: lookup as never }), 'error')) as [Error];
  agent.destroy();
  throw error;
};
const CALLS: [name: string, call: (lookup: LookupFunction) => Promise<unknown>][] = [
  ['pipeOpen over TCP', (lookup) => pipeOpen(TCP, [host, 80], undefined, { lookup })],
  ['pipeOpen over UDP', (lookup) => pipeOpen(UDP, [host, 80], undefined, { lookup })],
  ['validate, its summary', (lookup) => validate('127.0.0.0/30', { servers: host, lookup }).summary()],
  [
    'validate, its loop',
    (lookup) => validate('127.0.0.0/30', { servers: host, lookup })[Symbol.asyncIterator]().next(),
  ],
  ['an agent', viaAgent],
  ['a connector', undici],
];
if (nic !== undefined) CALLS.push(['Interface.load', (lookup) => Interface.load(nic, { servers: host, lookup })]);

describe.each(WAYS)('a lookup that %s', (_name, lookup, told) => {
  it.each(CALLS)('fails %s with its reason', async (_call, call) => {
    const error: unknown = await call(lookup).then(
      () => 'it did not fail',
      (reason: unknown) => reason,
    );
    expect(String((error as Error).message)).toMatch(told);
  });

  it('is a name that does not resolve to a NAT test, which reports that in place of failing', async () => {
    const nat = await Interface.find('lo').loadNat({ servers: host, lookup });
    expect(nat.families[0]?.connectivity.value).toBe('dns-failed');
  });

  it.skipIf(nic === undefined)('is told for the interface, or by the choice of addresses', async () => {
    const { loaded, failed } = await loadInterfaces([nic ?? ''], { servers: host, lookup });
    expect([loaded, failed.map(({ error }) => error.message)]).toEqual([[], [expect.stringMatching(told)]]);
    await expect(chooseStunAddresses({ servers: host, lookup })).rejects.toThrow(told);
  });
});

it('a lookup that is async and calls back is as good as another', async () => {
  const lookup = (async (_host, _options, callback) => {
    await turn();
    callback(null, [{ address: '127.0.0.1', family: 4 }]);
  }) as LookupFunction;
  const pipe = await pipeOpen(UDP, [host, 9], undefined, { lookup });
  expect(pipe.remoteAddress).toBe('127.0.0.1');
  await pipe.close();
});

describe('a lookup that never answers', () => {
  const lookup: LookupFunction = () => undefined;
  const timeoutMs = 200;
  /** Every call that takes servers; where the time limit is an option, it is short. */
  const SILENT: [name: string, call: () => Promise<unknown>][] = [
    ['validate, its summary', () => validate('127.0.0.0/30', { servers: host, lookup }).summary()],
    ['validate, its loop', () => validate('127.0.0.0/30', { servers: host, lookup })[Symbol.asyncIterator]().next()],
    ['validate, its pool', () => validate('127.0.0.0/30', { servers: host, lookup }).pool()],
    [
      'validate of a pool',
      async () => validate(await validate('127.87.0.1').pool(), { servers: host, lookup }).summary(),
    ],
    ['Route.observe', () => route.observe({ servers: host, lookup, timeoutMs })],
    [
      'Interface.loadNat',
      async () => {
        throw new Error(
          `${(await Interface.find('lo').loadNat({ servers: host, lookup })).families[0]?.connectivity.value} was not resolved within`,
        );
      },
    ],
    [
      'watch',
      async () => {
        await using changes = watch({ external: { servers: host, lookup, timeoutMs, interfaces: [nic ?? 'lo'] } });
        changes.on('change', () => undefined);
        for (;;) {
          const { externalError } = changes.counters();
          if (externalError !== undefined) throw externalError;
          await new Promise((resolve) => void setTimeout(resolve, 10));
        }
      },
    ],
    ['pipeOpen', () => pipeOpen(TCP, [host, 80], undefined, { lookup, dnsTimeoutMs: timeoutMs })],
    ...(nic === undefined
      ? []
      : ([
          ['Interface.load', () => Interface.load(nic, { servers: host, lookup, timeoutMs })],
          [
            'loadInterfaces',
            async () => {
              throw (
                (await loadInterfaces([nic], { servers: host, lookup, timeoutMs })).failed[0]?.error ??
                new Error('it was loaded')
              );
            },
          ],
          ['chooseStunAddresses', () => chooseStunAddresses({ servers: host, lookup, timeoutMs })],
        ] as [string, () => Promise<unknown>][])),
  ];

  it('is given up by each call that takes servers, with one error', async () => {
    const told = await Promise.all(
      SILENT.map(async ([name, call]) => [
        name,
        await call().then(
          () => 'it did not fail',
          (error: Error) => error.message,
        ),
      ]),
    );
    for (const [name, message] of told)
      expect(message, name).toMatch(
        name === 'pipeOpen' ? /ETIMEDOUT/ : /(The server name 'x\.test'|dns-failed) was not resolved within/,
      );
    expect(told).toHaveLength(SILENT.length);
  });

  it('is not waited for by validate after an abort or a stop', async () => {
    const controller = new AbortController();
    const run = validate('127.0.0.0/30', { servers: host, lookup, signal: controller.signal });
    const rejected = expect(run.summary()).rejects.toMatchObject({ name: 'AbortError' });
    controller.abort();
    await rejected;
    const stopped = validate('127.0.0.0/30', { servers: host, lookup });
    stopped.stop();
    expect(await stopped.summary()).toMatchObject({ stopped: true, untested: 4 });
  });
});
