/** `routepool:probe` of `node:diagnostics_channel`: one message for a start and one for an end, whatever was asked. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Interface, validate } from '../src/index.ts';
import { SimulatedNat } from '../src/testing/index.ts';

interface Told {
  readonly event: string;
  readonly kind: string;
  readonly subject: unknown;
  readonly result?: unknown;
  readonly error?: unknown;
}

let told: Told[] = [];
const listen = (message: unknown): void => void told.push(message as Told);
beforeEach(() => {
  told = [];
  subscribe('routepool:probe', listen);
});
afterEach(() => void unsubscribe('routepool:probe', listen));

it('tells of a validation, not of its addresses', async () => {
  const run = validate('127.16.0.0/22');
  await run.summary();
  expect(told.map(({ event, kind }) => [event, kind])).toEqual([
    ['start', 'validate'],
    ['end', 'validate'],
  ]);
  expect(told.every(({ subject }) => subject === run)).toBe(true);
  expect(told[1]?.result).toMatchObject({ total: 1024, done: 1024, ok: 1024 });
});

it('tells of a NAT that is looked at, and of an abort', async () => {
  const home = await SimulatedNat.listen();
  const options = { from: home.host(1), servers: home.servers };
  const nic = Interface.find('127.0.0.1');
  await nic.loadNat(options);
  expect(told.map(({ event, kind, subject }) => [event, kind, subject])).toEqual([
    ['start', 'nat', nic.name],
    ['end', 'nat', nic.name],
  ]);
  told = [];
  const controller = new AbortController();
  const aborted = nic.loadNat({ ...options, signal: controller.signal });
  controller.abort();
  await expect(aborted).rejects.toMatchObject({ code: 'ABORT_ERR' });
  expect(told.filter(({ event }) => event === 'end')).toEqual([]);
  await home.close();
});

it('says nothing to those who have left', async () => {
  unsubscribe('routepool:probe', listen);
  await validate('127.16.0.0/28').summary();
  expect(told).toEqual([]);
});
