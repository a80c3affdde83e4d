/** The pool of routes: arithmetic against a naive model, and each number against what a server sees. */
import { createSocket } from 'node:dgram';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Interface, IP4, IP6, RoutePool, StunServer, validate, type Route } from '../../src/index.ts';

/** A pool of external ranges, as a restored interface has it. */
function poolOf(ranges: readonly string[], family: 4 | 6 = 4): RoutePool {
  const af = family === 4 ? 2 : 10;
  const route = (text: string) => {
    const [ip = '', cidr = family === 4 ? '32' : '128'] = text.split('/');
    const range = { ip, cidr: Number(cidr), af };
    return { af, nic_ips: [range], ext_ips: [range], link_local_ips: [] };
  };
  const nat = { type: 5, nat_info: '', delta: { type: 6, value: 0 }, delta_info: '' };
  const rp = { 2: family === 4 ? ranges.map(route) : [], 10: family === 6 ? ranges.map(route) : [] };
  return Interface.fromDict({ name: 'lo', nat, rp }).rp[family];
}

const externals = (routes: Iterable<Route>) => [...routes].map((route) => route.ext());

/** Small seeded numbers, so that a failure can be repeated. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    yield state >>> 8;
  }
}

describe('a pool', () => {
  it('counts, indexes and iterates one address, a block and a /64 alike', () => {
    const pool = poolOf(['1.3.3.7', '8.8.0.0/16']);
    expect([pool.length, pool.size, externals([pool.at(0), pool.at(1), pool.at(-1)] as Route[])]).toEqual([
      65_537,
      65_537n,
      ['1.3.3.7', '8.8.0.0', '8.8.255.255'],
    ]);
    expect([pool.at(65_537), pool.at(-65_538), pool.at(65_537n)]).toEqual([undefined, undefined, undefined]);
    expect(pool.at(Number.NaN)?.ext()).toBe('1.3.3.7');
    expect([
      pool.has('8.8.4.4'),
      pool.has('8.9.0.0'),
      pool.has('nonsense'),
      pool.indexOf('8.8.0.5'),
      pool.indexOf('9.9.9.9'),
    ]).toEqual([true, false, false, 6, -1]);

    const huge = poolOf(['2020:deed:deed::/64', '2020:deed:beef::'], 6);
    expect(huge.size).toBe(2n ** 64n + 1n);
    expect(() => huge.length).toThrow(/18446744073709551617 addresses.*`size`/);
    expect([huge.at(2n ** 63n)?.ext(), huge.at(-1)?.ext(), huge.at(300)?.ext()]).toEqual([
      '2020:deed:deed:0:8000::',
      '2020:deed:beef::',
      '2020:deed:deed::12c',
    ]);
    expect(huge.position('2020:deed:deed:0:8000::')).toBe(2n ** 63n);
    expect(() => huge.indexOf('2020:deed:deed:0:8000::')).toThrow(RangeError);
    let count = 0;
    for (const route of huge) if (++count === 5_000) return expect(route.ext()).toBe('2020:deed:deed::1387');
  });

  it('counts an external address that two routes hold once', () => {
    expect(externals(poolOf(['8.8.0.1', '8.8.0.0/30', '8.8.0.2']))).toEqual([
      '8.8.0.1',
      '8.8.0.0',
      '8.8.0.2',
      '8.8.0.3',
    ]);
  });

  it('iterates backwards over two blocks (P2PD gives the second one twice)', () => {
    const pool = poolOf(['8.8.8.0/23', '9.9.9.0/24', '7.7.0.0/22']);
    expect(externals(pool.reversed())).toEqual(externals(pool).toReversed());
    expect(new Set(externals(pool.reversed())).size).toBe(pool.length);
  });

  it('items keep their addresses while others are made', () => {
    const kept = [...poolOf(['8.8.0.0/20'])];
    expect(kept.map((route) => route.ext())).toEqual(externals(poolOf(['8.8.0.0/20'])));
    expect(kept[4_095]?.nic()).toBe('8.8.15.255');
  });

  it('agrees with a naive model in all its operations', () => {
    const next = numbers(2_026);
    const take = () => next.next().value;
    for (let round = 0; round < 150; round++) {
      const ranges = () =>
        Array.from({ length: 1 + (take() % 4) }, () => {
          const cidr = 26 + (take() % 7);
          const host = (take() % 256) & (0xff << (32 - cidr)) & 0xff;
          return `10.0.${take() % 2}.${host}/${cidr}`;
        });
      const [a, b] = [poolOf(ranges()), poolOf(ranges())];
      const [listA, listB] = [externals(a), externals(b)];
      const [setA, setB] = [new Set(listA), new Set(listB)];
      expect([a.length, setA.size]).toEqual([listA.length, listA.length]);
      for (const k of [0, 1, listA.length >> 1, listA.length - 1, listA.length, -1])
        expect(a.at(k)?.ext()).toBe(listA.at(k));
      for (const ip of listB) expect(a.indexOf(ip ?? '')).toBe(listA.indexOf(ip));
      const [from, to] = [take() % 40, take() % 80];
      expect(externals(a.slice(from, to))).toEqual(listA.slice(from, to));
      expect(externals(a.slice(-from, -1))).toEqual(listA.slice(-from, -1));
      expect(externals(a.concat(b))).toEqual([...listA, ...listB.filter((ip) => !setA.has(ip))]);
      expect(externals(a.intersection(b))).toEqual(listA.filter((ip) => setB.has(ip)));
      expect(externals(a.difference(b))).toEqual(listA.filter((ip) => !setB.has(ip)));
      expect(new Set(externals(a.symmetricDifference(b)))).toEqual(
        new Set([...listA.filter((ip) => !setB.has(ip)), ...listB.filter((ip) => !setA.has(ip))]),
      );
      expect(a.isSubsetOf(b)).toBe(listA.every((ip) => setB.has(ip)));
      expect(a.isSupersetOf(b)).toBe(listB.every((ip) => setA.has(ip)));
      expect(a.isDisjointFrom(b)).toBe(!listA.some((ip) => setB.has(ip)));
      expect(a.equals(b)).toBe(setA.size === setB.size && listA.every((ip) => setB.has(ip)));
      expect(setA.has(a.random(round)?.ext())).toBe(true);
    }
  });

  it('picks the same random item for the same seed, and all of them in time', () => {
    const pool = poolOf(['8.8.8.0/29']);
    expect(pool.random(7)?.ext()).toBe(pool.random(7)?.ext());
    expect(new Set(Array.from({ length: 200 }, (_, seed) => pool.random(seed)?.ext())).size).toBe(8);
    expect(pool.slice(0, 0).random()).toBeUndefined();
  });

  it('refuses what is no pool, no seed and no dialect, by name', () => {
    const pool = poolOf(['8.8.8.0/29']);
    const misuse = expect.objectContaining({
      code: 'ERR_ROUTEPOOL_MISUSE',
      message: expect.stringContaining('expected a RoutePool') as string,
    }) as Error;
    for (const name of [
      'concat',
      'union',
      'intersection',
      'difference',
      'symmetricDifference',
      'isSubsetOf',
      'isSupersetOf',
      'isDisjointFrom',
    ] as const) {
      for (const other of [null, undefined, ['8.8.8.8'], new Set(['8.8.8.8'])])
        expect(() => pool[name](other as never)).toThrow(misuse);
    }
    expect(pool.equals(null)).toBe(false);
    for (const seed of ['x', 1.5, Number.NaN, {}])
      expect(() => pool.random(seed as never)).toThrow(
        expect.objectContaining({ code: 'ERR_ROUTEPOOL_OPTION', option: 'seed' }),
      );
    const nic = Interface.fromDict({
      name: 'x',
      nat: { type: 5, delta: { type: 6, value: 0 } },
      rp: { 2: [], 10: [] },
    });
    expect(() => nic.toDict({ dialect: 'p2pd' as never })).toThrow(
      expect.objectContaining({ code: 'ERR_ROUTEPOOL_OPTION', option: 'dialect' }),
    );
    expect(() => nic.toDict(null as never)).toThrow(
      expect.objectContaining({ code: 'ERR_ROUTEPOOL_OPTION', option: 'options' }),
    );
  });

  it('is saved whole and validated whole or not at all, however scattered', async () => {
    // Of the first addresses every fourth is taken out, 66,000 times: one range more than that is left.
    const whole = await validate('127.128.0.0/13').pool();
    const holes = poolOf(['127.128.0.0/13']);
    let scattered = whole.difference(poolOf(['127.128.0.1', '127.128.0.3']));
    expect(scattered.toJSON().external).toEqual(['127.128.0.0', '127.128.0.2', '127.128.0.4-127.135.255.255']);
    scattered = whole.difference(poolOf(Array.from({ length: 66_000 }, (_, i) => String(holes.at(i * 4 + 1)?.ext()))));
    const { external, size } = scattered.toJSON();
    expect([external.length, size, external[1], external.at(-1)]).toEqual([
      66_001,
      String(2 ** 19 - 66_000),
      '127.128.0.2-127.128.0.4',
      '127.132.7.62-127.135.255.255',
    ]);
    expect(() => validate(scattered)).toThrow(
      expect.objectContaining({
        code: 'ERR_ROUTEPOOL_BLOCK',
        message: expect.stringContaining('65536 ranges') as string,
      }),
    );
  });

  it('is refused with one of the other family', () => {
    expect(() => poolOf(['8.8.8.8']).concat(poolOf(['2001:db8::1'], 6))).toThrow(
      expect.objectContaining({ code: 'ERR_ROUTEPOOL_MISUSE' }),
    );
  });
});

describe('what a server sees', () => {
  let server: StunServer;
  beforeAll(async () => void (server = await StunServer.listen({ address: '127.0.0.1' })));
  afterAll(() => server.close());
  const servers = () => `127.0.0.1:${server.port}`;

  it.each([
    ['of a /16', () => poolOf(['127.90.0.0/16'])],
    [
      'of a scattered pool',
      () => {
        const next = numbers(7);
        return poolOf([
          ...new Set(
            Array.from(
              { length: 500 },
              () => `127.${next.next().value % 256}.${next.next().value % 256}.${1 + (next.next().value % 250)}`,
            ),
          ),
        ]);
      },
    ],
  ])('is what at(k) says, %s', async (_, make) => {
    const pool = make();
    for (let batch = 0; batch < 10; batch++) {
      const routes = Array.from({ length: 100 }, (_unused, i) => pool.random(batch * 100 + i) as Route);
      const seen = await Promise.all(routes.map((route) => route.observe({ servers: servers() })));
      expect(seen.map(({ external }) => external)).toEqual(routes.map((route) => route.ext()));
    }
  });

  it('of a pool after its validation: only what was proven', async () => {
    const pool = poolOf(['127.91.0.0/24', '127.92.0.7']);
    const proven = await validate(pool).pool();
    expect([proven.length, proven.equals(pool), proven.at(256)?.ext()]).toEqual([257, true, '127.92.0.7']);
    expect(proven.routes, 'its items are still of the routes of the pool').toEqual(pool.routes);
  });

  it('is what at(k) says also through sockets of node:dgram that are bound to the tuples', async () => {
    const pool = poolOf(['127.90.0.0/16', '127.93.0.0/24', '127.94.7.7']);
    const receiver = createSocket('udp4');
    const seen = new Map<string, string>();
    const all = new Promise<void>((resolve) =>
      receiver.on('message', (message, from) => seen.set(String(message), from.address).size === 1_000 && resolve()),
    );
    await new Promise<void>((resolve) => receiver.bind(0, '127.0.0.1', resolve));
    const said = new Map<string, string>();
    for (let n = 0; n < 1_000; n++) {
      const route = n === 0 ? (pool.at(-1) as Route) : (pool.random(n) as Route);
      const { address, port } = await route.bind();
      said.set(String(n), route.ext() ?? '');
      const socket = createSocket('udp4');
      await new Promise<void>((resolve) => socket.bind(port, address, resolve));
      await new Promise((resolve) => socket.send(String(n), receiver.address().port, '127.0.0.1', resolve));
      socket.close();
      // All of this was ticks of one turn of the loop: the receiver needs its turn too.
      await new Promise((resolve) => void setImmediate(resolve));
    }
    await all;
    receiver.close();
    expect(seen).toEqual(said);
    expect(said.get('0')).toBe('127.94.7.7');
  });

  it('a route is tied to its interface, or says that it is not', async () => {
    const gone = Interface.fromDict({
      name: 'no-such0',
      nat: { type: 5, delta: { type: 6, value: 0 } },
      rp: {
        2: [{ af: 2, nic_ips: [{ ip: '127.0.0.9', cidr: 32, af: 2 }], ext_ips: [{ ip: '1.3.3.7', cidr: 32, af: 2 }] }],
        10: [],
      },
    });
    const route = gone.route();
    await expect(route.bind()).rejects.toMatchObject({ code: 'ENODEV', syscall: 'setsockopt' });
    const bound = await route.bind({ interfaceBinding: 'best-effort' });
    expect([bound.tuple, bound.interface, bound.interfaceBindError]).toEqual([
      ['127.0.0.9', 0],
      'no-such0',
      expect.stringContaining('No such device'),
    ]);
    // A restored route is unproven, and can be bound all the same; it says so.
    expect([route.certainty, bound.ext(), inspect(route)]).toEqual([
      'unverified',
      '1.3.3.7',
      'Route [127.0.0.9] -> [1.3.3.7] (unverified)',
    ]);
    // An address of one's own choice goes around the route's address and interface.
    expect((await route.bind({ ip: '127.0.0.77', port: 0 })).tuple).toEqual(['127.0.0.77', 0]);
    const taken = createSocket('udp4');
    await new Promise<void>((resolve) => taken.bind(0, '127.0.0.77', resolve));
    await expect(route.bind({ ip: '127.0.0.77', port: taken.address().port })).rejects.toMatchObject({
      code: 'EADDRINUSE',
      address: '127.0.0.77',
      port: taken.address().port,
    });
    taken.close();
    for (const [options, option] of [
      [{ port: 65_536 }, 'port'],
      [{ ip: 'x' }, 'ip'],
      [{ interfaceBinding: 'none' }, 'interfaceBinding'],
      [{ prt: 1 }, 'prt'],
    ] as const) {
      await expect(route.bind(options as never)).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_OPTION', option });
    }
  });

  it('routes are equal by their external side', () => {
    const [a, b] = [poolOf(['1.3.3.7', '8.8.0.0/30']), poolOf(['8.8.0.0/31', '1.3.3.7'])];
    const equal = (k: number, n: number) => (a.at(k) as Route).equals(b.at(n));
    expect([equal(0, 2), equal(1, 0), equal(2, 1), equal(0, 0), equal(3, 2)]).toEqual([true, true, true, false, false]);
    expect([a.routes[0]?.equals(b.routes[1]), a.routes[1]?.equals(b.routes[0]), a.at(0)?.equals('1.3.3.7')]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('a route is bound to the address that it is for', async () => {
    const bound = await (poolOf(['127.90.0.0/16']).at(777) as Route).bind({ port: 0 });
    expect([bound.tuple, bound.ext(), String(bound)]).toEqual([
      ['127.90.3.9', 0],
      '127.90.3.9',
      '127.90.3.9:0 -> 127.90.3.9',
    ]);
  });

  it('an address that is gone is EADDRNOTAVAIL in the shape of Node', async () => {
    const gone = poolOf(['203.0.113.9']).at(0) as Route;
    await expect(gone.bind()).rejects.toMatchObject({
      message: 'bind EADDRNOTAVAIL 203.0.113.9',
      code: 'EADDRNOTAVAIL',
      errno: -99,
      syscall: 'bind',
      address: '203.0.113.9',
    });
    await expect(gone.observe({ servers: servers() })).rejects.toMatchObject({
      code: 'ERR_ROUTEPOOL_NOT_LOCAL',
    });
  });
});

describe('an interface', () => {
  it('is listed with what node:os says too', async () => {
    const { networkInterfaces } = await import('node:os');
    const { listInterfaces } = await import('../../src/index.ts');
    const ours = new Map(listInterfaces({ details: true }).map((facts) => [facts.name, facts]));
    for (const [name, addresses] of Object.entries(networkInterfaces())) {
      for (const { address, cidr, mac } of addresses ?? []) {
        const found = ours.get(name)?.addresses.find((own) => own.ip === address);
        expect(`${found?.ip}/${found?.prefixLength}`).toBe(cidr);
        expect(ours.get(name)?.mac ?? '00:00:00:00:00:00').toBe(mac);
      }
    }
    expect(listInterfaces()).toContain('lo');
  });

  it('is loaded by a machine that says what it allows', async () => {
    const { capabilities } = await import('../../src/index.ts');
    const all = capabilities();
    expect(all.map(({ name }) => name)).toEqual([
      'ipv4',
      'ipv6',
      'interfaces',
      'local-blocks',
      'one-socket',
      'interface-binding',
      'change-events',
      'sleep-detection',
      'receive-buffer',
      'open-files',
    ]);
    for (const { available, advice, what } of all) expect([advice === '', what.length > 0]).toEqual([available, true]);
  });

  it('that there is not is refused with those that there are', async () => {
    await expect(Interface.load('no-such0')).rejects.toMatchObject({
      code: 'ERR_ROUTEPOOL_NO_INTERFACE',
      message: expect.stringContaining('lo') as string,
    });
    await expect(Interface.load('203.0.113.77')).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_NO_INTERFACE' });
  });

  it.each([
    [{ stunServer: 'x' }, 'stunServer', /did you mean `servers`/],
    [{ timeoutMs: 0 }, 'timeoutMs', /from 1 to 600000/],
    [{ servers: [] }, 'servers', /a server like/],
    [{ servers: 'embedded' }, 'servers', /name a server elsewhere/],
    [{ signal: 1 }, 'signal', /AbortSignal/],
  ])('refuses the options %j by name', async (options, option, message) => {
    await expect(Interface.load('lo', options as never)).rejects.toMatchObject({
      option,
      message: expect.stringMatching(message) as string,
    });
  });

  it('without a route says why, by family', async () => {
    const nic = await Interface.load('lo', { servers: '127.0.0.1:9' });
    expect(() => nic.route(IP4)).toThrow(
      expect.objectContaining({
        code: 'ERR_ROUTEPOOL_NO_ROUTE',
        message: expect.stringMatching(/lo has no IPv4 route: lo has no IPv4 address that could leave/) as string,
      }),
    );
    expect(() => nic.route(IP6)).toThrow(/IPv6/);
    expect(nic.supported()).toEqual([]);
  });

  it('waits for names no longer than for servers, and not after an abort', async () => {
    const { loadInterfaces } = await import('../../src/index.ts');
    const names: string[] = [];
    const lookup = (name: string) => void names.push(name);
    // Loopback asks nobody, so nothing is looked up; a route has an address to ask from.
    const route = poolOf(['127.0.0.9']).at(0) as Route;
    await expect(route.observe({ servers: 'x.test', timeoutMs: 30, lookup })).rejects.toMatchObject({
      code: 'ERR_ROUTEPOOL_RESOLVE',
      message: expect.stringMatching(/'x.test' was not resolved within 30 ms/) as string,
    });
    const controller = new AbortController();
    const waiting = route.observe({ servers: 'y.test', lookup, signal: controller.signal });
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'ABORT_ERR' });
    expect(names).toEqual(['x.test', 'y.test']);
    for (const [given, option] of [
      ['lo', 'names'],
      [[1], 'names'],
    ] as const)
      await expect(loadInterfaces(given as never)).rejects.toMatchObject({ code: 'ERR_ROUTEPOOL_OPTION', option });
    await expect(loadInterfaces(['lo'], { timeoutMs: 0 })).rejects.toMatchObject({
      code: 'ERR_ROUTEPOOL_OPTION',
      option: 'timeoutMs',
    });
    const { listInterfaces } = await import('../../src/index.ts');
    for (const options of [null, { detail: true }])
      expect(() => listInterfaces(options as never)).toThrow(expect.objectContaining({ code: 'ERR_ROUTEPOOL_OPTION' }));
  });

  it('can be cancelled while it waits', async () => {
    const signal = AbortSignal.timeout(50);
    const { listInterfaces } = await import('../../src/index.ts');
    const up = listInterfaces({ details: true }).find(
      (facts) => facts.up && facts.addresses.some((own) => own.family === 4 && own.scope !== 'loopback'),
    );
    if (up === undefined) return;
    await expect(Interface.load(up.name, { servers: '127.0.0.1:9', signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });

  it('survives JSON, in each dialect', () => {
    const pool = poolOf(['1.3.3.7', '8.8.0.0/16']);
    const dict = {
      name: 'eth0',
      nat: { type: 3, delta: { type: 2, value: 0 } },
      rp: { 2: pool.toJSON().routes.map((route) => ({ af: 2, nic_ips: route.nicIps, ext_ips: route.extIps })), 10: [] },
    };
    const nic = Interface.fromDict(dict);
    for (const form of [nic.toDict(), nic.toDict({ dialect: 'p2pd-3.1' }), nic]) {
      const again = Interface.fromDict(JSON.parse(JSON.stringify(form)));
      expect([again.name, again.nat, again.rp[IP4].equals(nic.rp[IP4]), String(again.route())]).toEqual([
        'eth0',
        nic.nat,
        true,
        '[1.3.3.7] -> [1.3.3.7]',
      ]);
    }
  });
});
