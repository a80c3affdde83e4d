/**
 * Pipes and daemons in networks made of namespaces: what a server beyond a NAT sees, and who is answered from where.
 */
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { whyNoNamespaces } from '../lab/namespaces.ts';
import { RouteLab, SERVERS, SERVERS6 } from '../lab/route-lab.ts';

const why = whyNoNamespaces('nft');
if (why !== undefined) console.warn(`pipes behind NATs: SKIPPED, ${why}`);

const file = (name: string) => fileURLToPath(new URL(`../lab/${name}`, import.meta.url));
const PORT = '7000';

describe.skipIf(why !== undefined)('in a network of namespaces', () => {
  let lab: RouteLab;
  afterEach(() => lab.close());

  const out = (four: string, six: string, servers: readonly string[]) =>
    JSON.parse(lab.client.run(process.execPath, file('pipe-out.mjs'), 'c0', servers.join(), PORT, four, six)) as {
      protocol: string;
      local: string;
      external: string;
      seen: string;
    }[];
  const mirror = (addresses: readonly string[]) =>
    lab.server.start([process.execPath, file('mirror-server.mjs'), PORT, ...addresses], /listening/);

  it('the server sees what the route says: a NAT for one address, and a block that leaves as itself', async () => {
    lab = await RouteLab.create({ families: [4] });
    lab.hold('8.8.0.0/16');
    lab.gateway.filter(
      'table ip nat { chain post { type nat hook postrouting priority 100; policy accept; ip saddr 10.99.1.2 snat to 1.3.3.7; } }',
    );
    lab.gateway.run('ip', 'addr', 'add', '1.3.3.7/32', 'dev', 'g1');
    await lab.startServers(SERVERS.slice(0, 2));
    await mirror([SERVERS[0]]);
    const seen = out(SERVERS[0], '-', SERVERS.slice(0, 2));
    expect(seen.map((each) => each.seen)).toEqual(seen.map((each) => each.external));
    expect(new Set(seen.map((each) => `${each.protocol} ${each.local} ${each.seen}`))).toEqual(
      new Set(
        ['tcp', 'udp'].flatMap((protocol) => [
          `${protocol} 10.99.1.2 1.3.3.7`,
          `${protocol} 8.8.0.0 8.8.0.0`,
          `${protocol} 8.8.1.44 8.8.1.44`,
          `${protocol} 8.8.255.255 8.8.255.255`,
        ]),
      ),
    );
  });

  it('the same over IPv6, from a block that only a local route holds', async () => {
    lab = await RouteLab.create({ families: [6] });
    lab.hold('2020:deed:deed::/64');
    await lab.startServers(SERVERS6.slice(0, 2));
    await mirror([SERVERS6[0]]);
    const seen = out(
      '-',
      SERVERS6[0],
      SERVERS6.slice(0, 2).map((ip) => `[${ip}]:3478`),
    );
    expect(seen.map((each) => each.seen)).toEqual(seen.map((each) => each.external));
    expect(seen.map((each) => each.local)).toContain('2020:deed:deed::12c');
  });

  it('a daemon at blocks of both families answers from each address that is asked', async () => {
    lab = await RouteLab.create();
    lab.hold('8.8.0.0/16');
    lab.hold('2020:deed:deed::/64');
    const asked = ['8.8.0.1', '8.8.77.7', '8.8.255.255', '2020:deed:deed::1', '2020:deed:deed:0:ffff::77', '10.99.1.2'];
    await lab.client.start(
      [process.execPath, file('daemon.mjs'), PORT, '8.8.0.0/16', '2020:deed:deed::/64', '10.99.1.2'],
      /listening tcp 0\.0\.0\.0:7000 tcp \[::\]:7000 udp 0\.0\.0\.0:7000 udp \[::\]:7000/,
    );
    expect(
      lab.server
        .run(process.execPath, file('ask.mjs'), PORT, ...asked)
        .trim()
        .split('\n'),
    ).toEqual(asked.map((ip) => `${ip} ${ip}`));
  });

  it('a daemon at IPv6 addresses that only a local route holds has a socket for each', async () => {
    lab = await RouteLab.create({ families: [6] });
    lab.hold('2020:deed:deed::/64');
    const asked = ['2020:deed:deed::1', '2020:deed:deed::2'];
    await lab.client.start(
      [process.execPath, file('daemon.mjs'), PORT, ...asked],
      /listening tcp \[2020:deed:deed::1\]:7000 tcp \[2020:deed:deed::2\]:7000/,
    );
    expect(
      lab.server
        .run(process.execPath, file('ask.mjs'), PORT, ...asked)
        .trim()
        .split('\n'),
    ).toEqual(asked.map((ip) => `${ip} ${ip}`));
    const other = lab.client.try(process.execPath, file('daemon.mjs'), '7001', '2020:dead::/64');
    expect([other.status, other.stderr]).toEqual([1, expect.stringMatching(/ERR_ROUTEPOOL_NOT_LOCAL/)]);
  });
});
