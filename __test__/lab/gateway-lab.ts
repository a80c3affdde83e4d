/** Client, gateway and server: three namespaces in a row. */
import { fileURLToPath } from 'node:url';
import { Namespace } from './namespaces.ts';

/** The addresses of the servers, by family: the first is the one that is asked unless a test needs a second. */
export const SERVERS = { 4: ['203.0.113.1', '203.0.113.2'], 6: ['2001:db8:5::1', '2001:db8:5::2'] } as const;
/** The server's address. */
export const SERVER = SERVERS[4][0];
/** What the gateway shows outside for what it translates. */
export const OUTSIDE = { 4: '192.0.2.1', 6: '2001:db8:2::1' } as const;
const stunServer = fileURLToPath(new URL('./stun-server.mjs', import.meta.url));

/**
 * ```
 * client ─ 10.99.1.2/24 ── 10.99.1.1 ─ gateway ─ 203.0.113.254 ── 203.0.113.1/24, 203.0.113.2/24 ─ server
 * ```
 * The client holds `block` by a local route and the gateway routes it there. `rules` is an nftables script for the
 * gateway. With a block of IPv6 all is of that family: 2001:db8:99::/64 inside, 2001:db8:5::/64 outside.
 */
export class GatewayLab {
  readonly client: Namespace;
  readonly gateway: Namespace;
  readonly server: Namespace;

  private constructor(client: Namespace, gateway: Namespace, server: Namespace) {
    this.client = client;
    this.gateway = gateway;
    this.server = server;
  }

  static async create(block: string, rules?: string): Promise<GatewayLab> {
    const client = await Namespace.create();
    const lab = new GatewayLab(
      client,
      await Namespace.create({ beside: client }),
      await Namespace.create({ beside: client }),
    );
    try {
      if (block.includes(':')) lab.#wire6(block);
      else lab.#wire4(block);
      if (rules !== undefined) lab.gateway.filter(rules);
    } catch (error) {
      lab.close();
      throw error;
    }
    return lab;
  }

  #wire4(block: string): void {
    const { client, gateway, server } = this;
    client.connect('c0', ['10.99.1.2/24'], gateway, 'g0', ['10.99.1.1/24']);
    gateway.connect(
      'g1',
      ['203.0.113.254/24', `${OUTSIDE[4]}/32`],
      server,
      's0',
      SERVERS[4].map((ip) => `${ip}/24`),
    );
    client.run('ip', 'route', 'add', 'default', 'via', '10.99.1.1');
    client.run('ip', 'route', 'add', 'local', block, 'dev', 'lo');
    gateway.run('ip', 'route', 'add', block, 'via', '10.99.1.2');
    gateway.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
    server.run('ip', 'route', 'add', 'default', 'via', '203.0.113.254');
  }

  #wire6(block: string): void {
    const { client, gateway, server } = this;
    for (const space of [client, gateway, server]) {
      // A new address is used at once, not after a second in which somebody might say that it is his.
      space.run('sh', '-c', 'cd /proc/sys/net/ipv6/conf; echo 0 > default/accept_dad; echo 0 > all/accept_dad');
    }
    client.connect('c0', ['2001:db8:99::2/64'], gateway, 'g0', ['2001:db8:99::1/64']);
    gateway.connect(
      'g1',
      ['2001:db8:5::fe/64', `${OUTSIDE[6]}/128`],
      server,
      's0',
      SERVERS[6].map((ip) => `${ip}/64`),
    );
    client.batch(['route add default via 2001:db8:99::1', `route add local ${block} dev lo`], '-6');
    gateway.batch([`route add ${block} via 2001:db8:99::2`], '-6');
    gateway.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/forwarding');
    server.batch(['route add default via 2001:db8:5::fe'], '-6');
  }

  /** Starts our STUN server in the server's namespace. */
  async startStunServer(port = 3478, address: string = SERVER): Promise<void> {
    await this.server.start([process.execPath, stunServer, address, String(port)], /listening/);
  }

  close(): void {
    for (const space of [this.client, this.gateway, this.server]) space.close();
  }
}
