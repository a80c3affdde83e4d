/** Client, gateway and server: three namespaces in a row. */
import { fileURLToPath } from 'node:url';
import { Namespace } from './namespaces.ts';

/** The server's address. */
export const SERVER = '203.0.113.1';
const stunServer = fileURLToPath(new URL('./stun-server.mjs', import.meta.url));

/**
 * ```
 * client ─ 10.99.1.2/24 ── 10.99.1.1 ─ gateway ─ 203.0.113.254 ── 203.0.113.1/24 ─ server
 * ```
 * The client holds `block` by a local route and the gateway routes it there. `rules` is an nftables script for the
 * gateway.
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
      lab.#wire(block, rules);
    } catch (error) {
      lab.close();
      throw error;
    }
    return lab;
  }

  #wire(block: string, rules?: string): void {
    const { client, gateway, server } = this;
    client.connect('c0', ['10.99.1.2/24'], gateway, 'g0', ['10.99.1.1/24']);
    gateway.connect('g1', ['203.0.113.254/24', '192.0.2.1/32'], server, 's0', [`${SERVER}/24`]);
    client.run('ip', 'route', 'add', 'default', 'via', '10.99.1.1');
    client.run('ip', 'route', 'add', 'local', block, 'dev', 'lo');
    gateway.run('ip', 'route', 'add', block, 'via', '10.99.1.2');
    gateway.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
    server.run('ip', 'route', 'add', 'default', 'via', '203.0.113.254');
    if (rules !== undefined) gateway.filter(rules);
  }

  /** Starts our STUN server in the server's namespace. */
  async startStunServer(port = 3478): Promise<void> {
    await this.server.start([process.execPath, stunServer, SERVER, String(port)], /listening/);
  }

  close(): void {
    for (const space of [this.client, this.gateway, this.server]) space.close();
  }
}
