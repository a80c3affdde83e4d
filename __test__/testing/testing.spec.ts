/** `routepool/testing`: simulated NATs behave as the kind that they are told to be, and our own code finds that out. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { canConnect, Interface, Nat } from '../../src/index.ts';
import { freshBlock, Sockets } from '../../src/testing/loopback.ts';
import { SimulatedNat, StunServer, type ServerFault, type SimulatedNatOptions } from '../../src/testing/index.ts';

const open: AsyncDisposable[] = [];
const closing = <T extends AsyncDisposable>(made: T): T => {
  open.push(made);
  return made;
};
afterEach(async () => {
  for (const made of open.splice(0)) await made[Symbol.asyncDispose]();
});

const simulate = async (options: SimulatedNatOptions = {}) => closing(await SimulatedNat.listen(options));
const look = (nat: SimulatedNat, options: object = {}) =>
  Interface.find('lo').loadNat({ from: nat.host(1), servers: nat.servers, ...options });

const MAPPINGS = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const;
const FILTERINGS = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const;
const ALLOCATIONS = ['equal', 'preserving', 'independent', 'dependent', 'random'] as const;

describe('a simulated NAT', () => {
  it.each(ALLOCATIONS)('is found out to be what it is, in all nine kinds, with %s ports', async (allocation) => {
    await Promise.all(
      MAPPINGS.flatMap((mapping) =>
        FILTERINGS.map(async (filtering) => {
          const nat = await simulate({ mapping, filtering, allocation, step: 3 });
          const found = await look(nat);
          expect([found.mapping, found.filtering], JSON.stringify(found.evidence, null, 1)).toEqual([
            mapping,
            filtering,
          ]);
          expect(found.families[0]?.externals).toEqual(nat.externals);
          const kind =
            mapping === 'endpoint-independent'
              ? { 'endpoint-independent': 3, 'address-dependent': 4, 'address-and-port-dependent': 5 }[filtering]
              : 6;
          expect(found.type).toBe(kind);
          if (mapping === 'endpoint-independent') expect(found.allocation).toBe(allocation);
        }),
      ),
    );
  });

  it('may be a firewall without NAT, or let nothing through', async () => {
    for (const filtering of FILTERINGS) {
      const firewall = await look(await simulate({ mapping: 'none', filtering }));
      expect([firewall.mapping, firewall.filtering, firewall.type]).toEqual([
        'none',
        filtering,
        filtering === 'endpoint-independent' ? 1 : 2,
      ]);
    }
    expect((await look(await simulate({ blocked: true, servers: 2 }))).type).toBe(7);
  });

  it('forgets idle mappings, lets hosts inside reach each other, and spreads over several addresses, if told to', async () => {
    const nat = await simulate({ lifetimeMs: 1_500, hairpin: true, filtering: 'endpoint-independent' });
    const found = await look(nat, { lifetime: true, lifetimeMaxMs: 4_000, hairpin: true });
    const { lifetime, hairpin } = found.families[0]!;
    expect([lifetime.value, hairpin.value], JSON.stringify(lifetime)).toEqual(['measured', 'yes']);
    expect(lifetime.aliveMs).toBeLessThan(1_500);
    // However late a request was, since this process was busy.
    expect(lifetime.deadMs).toBeGreaterThanOrEqual(1_500);
    expect(found.violations.map(({ requirement }) => requirement)).toEqual(['REQ-5']);
    const pool = await look(
      await simulate({ pooling: 'arbitrary', externals: 4, mapping: 'address-and-port-dependent' }),
    );
    expect(pool.families[0]?.pooling.value).toBe('arbitrary');
  });

  it('loses, doubles and delays datagrams, and the verdict is right or unknown', async () => {
    await Promise.all(
      Array.from({ length: 12 }, async (_, i) => {
        const [mapping, filtering] = [MAPPINGS[i % 3], FILTERINGS[Math.floor(i / 3) % 3]];
        const nat = await simulate({
          mapping,
          filtering,
          seed: i,
          path: { loss: 0.1, duplication: 0.2, delayMs: 5, jitterMs: 20 },
        });
        const found = await look(nat);
        expect([mapping, 'unknown']).toContain(found.mapping);
        expect([filtering, 'unknown']).toContain(found.filtering);
        expect(nat.counters().lost).toBeGreaterThan(0);
      }),
    );
  });

  it('lets hosts inside reach a server of your own, which sees the external address', async () => {
    const nat = await simulate();
    const server = closing(await bound('127.0.0.1'));
    const client = closing(await bound(nat.host(7)));
    const { port } = server.socket.address();
    const address = await nat.reach(`127.0.0.1:${port}`);
    client.send('hello', address);
    const [hello, from] = await server.received();
    expect([hello, from.split(':')[0]]).toEqual(['hello', nat.externals[0]]);
    server.send('welcome', from);
    expect(await client.received()).toEqual(['welcome', address]);
    expect(nat.counters()).toEqual({ outbound: 1, inbound: 1, filtered: 0, lost: 0 });
    // Another host outside is not let in by a port-restricted NAT: the first answer to come is the server's.
    const stranger = closing(await bound('127.0.0.1'));
    stranger.send('unasked', from);
    server.send('again', from);
    expect(await client.received()).toEqual(['again', address]);
    expect(nat.counters().filtered).toBe(1);
  });

  it.each<[object, RegExp]>([
    [{ mapping: 'symmetric' }, /'none' or 'endpoint-independent' or .* for `mapping` but received 'symmetric'/],
    [{ filter: 'none' }, /unknown option `filter`; did you mean `filtering`\?/],
    [{ path: { loss: 2 } }, /a number from 0 to 1 for `path.loss`/],
    [{ faults: ['sleepy'] }, /for `faults\[0\]` but received 'sleepy'/],
    [{ faults: 'plain' }, /a list of at most 1, one for each server, for `faults` but received 'plain'/],
    [{ faults: ['plain', 'plain'] }, /a list of at most 1/],
    [{ step: 0 }, /from 1 to 65535 for `step`/],
  ])('refuses %j', async (options, message) => {
    await expect(SimulatedNat.listen(options)).rejects.toThrow(message);
  });
});

describe('the sockets of a simulation', () => {
  it('are 1,024 at most for external ports, and one that was closed is opened again', async () => {
    const from = new Map<string, number>();
    const receiver = createSocket('udp4');
    receiver.bind(0, '127.0.0.1');
    await once(receiver, 'listening');
    const to = `127.0.0.1:${receiver.address().port}`;
    const wrappers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'UDPWRAP').length;
    const before = wrappers();
    const sockets = closing(new DisposableSockets(() => undefined));
    const block = freshBlock();
    const endpoints = Array.from({ length: 1_100 }, (_, i) => `${block}${101 + (i % 50)}:${20_000 + i}`);
    const send = async (endpoint: string) => {
      const times = from.get(endpoint) ?? 0;
      const arrived = new Promise<void>((resolve) => {
        const look = (_: Buffer, { address, port }: { address: string; port: number }) => {
          if (`${address}:${port}` !== endpoint) return;
          receiver.off('message', look);
          from.set(endpoint, times + 1);
          resolve();
        };
        receiver.on('message', look);
      });
      sockets.send(Buffer.from('x'), endpoint, to);
      await arrived;
    };
    for (const endpoint of endpoints) await send(endpoint);
    expect(sockets.size).toBe(1_024);
    expect(wrappers() - before).toBeLessThanOrEqual(1_026);
    await send(endpoints[0]!);
    await send(endpoints[1_099]!);
    expect([from.get(endpoints[0]!), from.get(endpoints[1_099]!), sockets.size]).toEqual([2, 2, 1_024]);
    receiver.close();
  });
});

class DisposableSockets extends Sockets implements AsyncDisposable {
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A socket of a host. */
class Host implements AsyncDisposable {
  readonly socket: Socket;
  readonly #queue: [string, string][] = [];
  #waiting: ((value: [string, string]) => void) | undefined;
  sent = 0;
  got = 0;
  /** Who the last text came from. */
  heard = '';

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('message', (bytes, { address, port }) => {
      const message: [string, string] = [String(bytes), `${address}:${port}`];
      this.got++;
      if (message[0].startsWith('from ')) this.heard = message[1];
      if (this.#waiting) this.#waiting(message);
      else this.#queue.push(message);
      this.#waiting = undefined;
    });
  }

  send(what: string | Buffer, to: string): void {
    const [ip, port] = to.split(':');
    this.sent++;
    this.socket.send(what, Number(port), ip);
  }

  /** The next message, and who sent it. */
  received(): Promise<[string, string]> {
    const next = this.#queue.shift();
    return next ? Promise.resolve(next) : new Promise((resolve) => (this.#waiting = resolve));
  }

  /** Asks a STUN server what this socket looks like from outside. */
  async mapped(server: string): Promise<string> {
    const request = Buffer.from('000100002112a442000102030405060708090a0b', 'hex');
    const answer = once(this.socket, 'message') as Promise<[Buffer]>;
    this.send(request, server);
    const [bytes] = await answer;
    this.#queue.length = 0;
    const at = bytes.indexOf(Buffer.from([0x00, 0x20, 0x00, 0x08]));
    const ports = bytes.readUInt16BE(at + 6) ^ 0x2112;
    const address = [...bytes.subarray(at + 8, at + 12)].map((octet, i) => octet ^ (request[4 + i] ?? 0)).join('.');
    return `${address}:${ports}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.close();
  }
}

async function bound(address: string): Promise<Host> {
  const socket = createSocket('udp4');
  socket.bind({ address, port: 0 });
  await once(socket, 'listening');
  return new Host(socket);
}

/** A host behind a NAT. */
interface Peer {
  readonly host: Host;
  readonly nat: SimulatedNat;
  /** Its endpoint as a STUN server saw it. */
  readonly seen: string;
}

async function peer(nat: SimulatedNat): Promise<Peer> {
  const host = closing(await bound(nat.host(1)));
  return { host, nat, seen: await host.mapped(nat.servers[0] ?? '') };
}

/** Sends from both at the same time, again and again as real peers do; tells whether both have heard of the other. */
async function punch(a: Peer, b: Peer): Promise<boolean> {
  for (let round = 0; round < 4; round++) {
    a.host.send('from a', a.host.heard || b.seen);
    b.host.send('from b', b.host.heard || a.seen);
    while (!settled(a, b) || !settled(b, a)) await new Promise((resolve) => setImmediate(resolve));
  }
  return a.host.heard !== '' && b.host.heard !== '';
}

/** Whether all that one has sent has passed its NAT and has reached the other, or was stopped at the other's NAT. */
function settled(from: Peer, to: Peer): boolean {
  const there = to.nat.counters();
  // Each has asked a server once, which answered once.
  return (
    from.nat.counters().outbound === from.host.sent &&
    there.inbound + there.filtered === from.host.sent &&
    to.host.got === there.inbound
  );
}

describe('canConnect', () => {
  const kinds = MAPPINGS.flatMap((mapping) => FILTERINGS.map((filtering) => ({ mapping, filtering })));
  const pairs = kinds.flatMap((a, i) => kinds.slice(i).map((b) => ({ a, b })));

  it.each(pairs)(
    'is what happens when two peers punch through: $a.mapping/$a.filtering and $b.mapping/$b.filtering',
    async ({ a, b }) => {
      const [natA, natB] = [
        await simulate({ ...a, allocation: 'random', seed: 1 }),
        await simulate({ ...b, allocation: 'random', seed: 2 }),
      ];
      const told = (kind: object) => Nat.fromDict({ type: 5, behaviour: { 4: { ...kind, allocation: 'random' } } });
      const { verdict, techniques } = canConnect(told(a), told(b));
      const connected = await punch(await peer(natA), await peer(natB));
      const said = techniques.some(({ name, works }) => name !== 'relay' && works === 'yes');
      expect([connected, verdict === 'direct' || verdict === 'punch'], JSON.stringify(techniques)).toEqual([
        said,
        said,
      ]);
    },
  );
});

describe('a scripted STUN server', () => {
  const FAULTS: [ServerFault, 'same' | 'no filter' | 'nothing'][] = [
    ['wrong-id-first', 'same'],
    ['noise', 'same'],
    ['rewritten', 'same'],
    ['no-response-port', 'same'],
    ['plain', 'no filter'],
    ['ignores-change', 'no filter'],
    ['other-same-ip', 'no filter'],
    [{ otherAddress: '10.0.0.1:3479' }, 'no filter'],
    ['dead', 'nothing'],
  ];

  it.each(FAULTS)('with the fault %j has no other verdict than one that is right', async (fault, outcome) => {
    const nat = await simulate({ faults: [fault], filtering: 'address-dependent' });
    const found = await look(nat, { profile: 'fast' });
    const [family] = found.families;
    if (outcome === 'same')
      expect([found.type, found.mapping, found.filtering]).toEqual([4, 'endpoint-independent', 'address-dependent']);
    else expect([found.filtering, family?.filtering.reason !== undefined]).toEqual(['unknown', true]);
    if (outcome === 'nothing') expect(family?.mapping.value).toBe('unknown');
    if (fault === 'rewritten') expect(family?.alg.value).toBe('rewrites');
    if (fault === 'noise')
      expect(family!.ignored.garbage + family!.ignored.misdirected + family!.ignored.duplicates).toBeGreaterThan(0);
    if (fault === 'wrong-id-first') expect(family!.ignored.forged).toBeGreaterThan(0);
  });

  it('stands alone, counts what comes, and can be told anew for each request', async () => {
    const numbers: number[] = [];
    const server = closing(
      await StunServer.listen({ script: ({ number }) => (numbers.push(number) === 1 ? 'dead' : undefined) }),
    );
    const found = await Interface.find('lo').loadNat({ servers: server.url, profile: 'fast' });
    expect([found.type, found.mapping]).toEqual([1, 'none']);
    expect([server.requests, numbers.length]).toEqual([numbers.length, numbers.at(-1)! + 1]);
    server.fault = 'dead';
    expect(() => (server.fault = 'sleepy' as never)).toThrow(/for `fault` but received 'sleepy'/);
    await expect(StunServer.listen({ script: 5 as never })).rejects.toThrow(/a function for `script` but received 5$/);
  });
});
