/**
 * Two copies of the package in one process, as two dependencies of a program may bring them: routes of the one serve
 * the other.
 */
import { expect, it } from 'vitest';
import { Interface, pipeOpen, TCP, UDP, validate, type Pipe, type Route } from '../../src/index.ts';

const other = (await import(new URL('../../dist/index.js', import.meta.url).href)) as {
  Interface: typeof Interface;
  validate: typeof validate;
};

it('a pipe leaves by a route, a bound route or an interface of the other copy, and leads to a bound route of it', async () => {
  const route = (await other.validate('127.87.7.7').pool()).at(0) ?? expect.unreachable('it was proven');
  const leaving = async (by: Parameters<typeof pipeOpen>[2]) => {
    const pipe: Pipe = await pipeOpen(UDP, ['127.0.0.1', 9], by);
    const seen = [pipe.localAddress, pipe.route?.local()];
    await pipe.close();
    return seen;
  };
  expect(await leaving(route)).toEqual(['127.87.7.7', '127.87.7.7']);
  const bound = await route.bind({ port: 4_321 });
  expect(await leaving(bound)).toEqual(['127.87.7.7', '127.87.7.7']);
  const to = await pipeOpen(UDP, bound);
  expect([to.remoteAddress, to.remotePort]).toEqual(['127.87.7.7', 4_321]);
  await to.close();
  // One without a verified route is told apart from what is no interface at all.
  await expect(pipeOpen(TCP, ['127.0.0.1', 9], other.Interface.find('lo'))).rejects.toMatchObject({
    code: 'ERR_ROUTEPOOL_NO_ROUTE',
  });
  await expect(pipeOpen(TCP, ['127.0.0.1', 9], { route: () => route } as unknown as Route)).rejects.toMatchObject({
    code: 'ERR_ROUTEPOOL_OPTION',
    option: 'route',
  });
});

it('a function that picks routes may give one of the other copy', async () => {
  const pool = await validate('127.87.7.0/30').pool();
  const theirs = (await other.validate('127.87.7.9').pool()).at(0);
  let asked = 0;
  const connect = pool.connector({
    pick: () => (asked++ === 0 ? theirs : ({ ext: () => '127.0.0.1' } as unknown as Route)),
    timeout: 500,
  });
  const request = { hostname: '127.0.0.1', protocol: 'http:', port: '9' };
  const failed = () => new Promise<Error | null>((resolve) => connect(request, (...[error]) => resolve(error)));
  expect(await failed()).toMatchObject({ code: 'ECONNREFUSED' });
  expect(await failed()).toMatchObject({ code: 'ERR_ROUTEPOOL_NO_ROUTE', option: 'pick' });
});
