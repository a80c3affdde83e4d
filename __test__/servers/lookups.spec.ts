/** A `lookup` of the user's that goes wrong: each call that takes one settles with the reason, and nothing is left unhandled. */
import { once } from 'node:events';
import http from 'node:http';
import { lookup as dnsLookup } from 'node:dns/promises';
import { Agent as UndiciAgent, request as undiciRequest } from 'undici';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { chooseStunAddresses, Interface, listInterfaces, loadInterfaces, pipeOpen, TCP, UDP, validate, type LookupFunction, type Route } from '../../src/index.ts';
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
  ['throws', () => { throw failure; }, /ESERVFAIL/],
  ['is async and throws', (async () => { throw failure; }) as LookupFunction, /ESERVFAIL/],
  ['rejects later', (() => turn().then(() => Promise.reject(failure))) as LookupFunction, /ESERVFAIL/],
  ['throws what is no error', () => { throw 'no resolver here'; }, /no resolver here/],
  ['rejects after it has called back', (async (_host, _options, callback) => { callback(failure, []); throw new Error('too late'); }) as LookupFunction, /ESERVFAIL/],
  ['is the one of dns.promises', ((host: string, options: object) => dnsLookup(host === 'x.test' ? '192.0.2.1' : host, options)) as unknown as LookupFunction, /must call its third argument back/],
];

const host = 'x.test';
/** An interface whose addresses servers would be asked for. Nothing is sent: no name ever resolves. */
const nic = listInterfaces({ details: true }).find((facts) => facts.up && facts.kind !== 'loopback' && facts.addresses.some(({ scope }) => scope !== 'link-local'))?.name;
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
  ['validate, its summary', (lookup) => validate('127.0.0.0/30', { server: host, lookup }).summary()],
  ['validate, its loop', (lookup) => validate('127.0.0.0/30', { server: host, lookup })[Symbol.asyncIterator]().next()],
  ['an agent', viaAgent],
  ['a connector', undici],
];
if (nic !== undefined) CALLS.push(['Interface.load', (lookup) => Interface.load(nic, { stunServers: host, lookup })]);

describe.each(WAYS)('a lookup that %s', (_name, lookup, told) => {
  it.each(CALLS)('fails %s with its reason', async (_call, call) => {
    const error: unknown = await call(lookup).then(() => 'it did not fail', (reason: unknown) => reason);
    expect(String((error as Error).message)).toMatch(told);
  });

  it('is a name that does not resolve to a NAT test, which reports that in place of failing', async () => {
    const nat = await Interface.find('lo').loadNat({ servers: host, lookup });
    expect(nat.families[0]?.connectivity.value).toBe('dns-failed');
  });

  it.skipIf(nic === undefined)('is told for the interface, or by the choice of addresses', async () => {
    const { loaded, failed } = await loadInterfaces([nic ?? ''], { stunServers: host, lookup });
    expect([loaded, failed.map(({ error }) => error.message)]).toEqual([[], [expect.stringMatching(told)]]);
    await expect(chooseStunAddresses({ stunServers: host, lookup })).rejects.toThrow(told);
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
