/** A client behind a gateway, with STUN servers at three addresses beyond it. */
import { fileURLToPath } from 'node:url';
import { Namespace } from './namespaces.ts';

const file = (name: string) => fileURLToPath(new URL(`./${name}`, import.meta.url));

/** The servers' addresses. */
export const SERVERS = ['203.0.113.1', '203.0.113.2', '203.0.113.3'] as const;
/** The same in IPv6. */
export const SERVERS6 = ['2001:db8:5::1', '2001:db8:5::2', '2001:db8:5::3'] as const;

/** What the client's script prints of a loaded interface. */
export interface LoadedInLab {
  name: string;
  elapsedMs: number;
  routes: { 4: string[]; 6: string[] };
  certainty: { 4: string[]; 6: string[] };
  assumed: { 4: boolean[]; 6: boolean[] };
  noRouteReason: { 4: string | null; 6: string | null };
  dict: object;
  observations: {
    ip: string;
    external?: string;
    certainty: string;
    answers: { server: string; external?: string; attempts: number }[];
  }[];
  error?: { code: string; message: string };
}

/**
 * ```
 * client ─ c0 10.99.1.2/24, fd00:99::2/64 ── gateway ── 203.0.113.1…3, 2001:db8:5::1…3 ─ server
 * ```
 * With `families`, links have only those.
 */
export class RouteLab {
  readonly client: Namespace;
  readonly gateway: Namespace;
  readonly server: Namespace;

  private constructor(client: Namespace, gateway: Namespace, server: Namespace) {
    this.client = client;
    this.gateway = gateway;
    this.server = server;
  }

  static async create({ families = [4, 6] }: { families?: readonly (4 | 6)[] } = {}): Promise<RouteLab> {
    const client = await Namespace.create();
    const lab = new RouteLab(
      client,
      await Namespace.create({ beside: client }),
      await Namespace.create({ beside: client }),
    );
    try {
      lab.#wire(families);
    } catch (error) {
      lab.close();
      throw error;
    }
    return lab;
  }

  #wire(families: readonly (4 | 6)[]): void {
    const { client, gateway, server } = this;
    for (const space of [client, gateway, server]) {
      // Addresses can be used at once, without waiting for duplicates to be looked for.
      space.run(
        'sh',
        '-c',
        'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad',
      );
    }
    const of = (four: string[], six: string[]) => [
      ...(families.includes(4) ? four : []),
      ...(families.includes(6) ? six : []),
    ];
    client.connect(
      'c0',
      of(['10.99.1.2/24'], ['fd00:99::2/64']),
      gateway,
      'g0',
      of(['10.99.1.1/24'], ['fd00:99::1/64']),
    );
    const [s4, s6] = [SERVERS.map((ip) => `${ip}/24`), SERVERS6.map((ip) => `${ip}/64`)];
    gateway.connect('g1', of(['203.0.113.254/24'], ['2001:db8:5::fe/64']), server, 's0', of(s4, s6));
    gateway.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding');
    if (families.includes(4)) {
      client.run('ip', 'route', 'add', 'default', 'via', '10.99.1.1');
      server.run('ip', 'route', 'add', 'default', 'via', '203.0.113.254');
    }
    if (families.includes(6)) {
      client.run('ip', '-6', 'route', 'add', 'default', 'via', 'fd00:99::1');
      server.run('ip', '-6', 'route', 'add', 'default', 'via', '2001:db8:5::fe');
    }
  }

  /** Gives the client an address or a block that the gateway routes to it. */
  hold(prefix: string): void {
    const six = prefix.includes(':');
    const [ip = '', length] = prefix.split('/');
    const block = length !== undefined && length !== '32' && length !== '128';
    if (block) this.client.run('ip', ...(six ? ['-6'] : []), 'route', 'add', 'local', prefix, 'dev', 'lo');
    else this.client.run('ip', ...(six ? ['-6'] : []), 'addr', 'add', `${ip}/${six ? 128 : 32}`, 'dev', 'c0');
    this.gateway.run('ip', ...(six ? ['-6'] : []), 'route', 'add', prefix, 'via', six ? 'fd00:99::2' : '10.99.1.2');
  }

  /** Takes an address from the client that came with the wiring. */
  drop(address: string): void {
    this.client.run('ip', 'addr', 'del', address, 'dev', 'c0');
  }

  /** Starts our STUN server at addresses of the server. */
  async startServers(addresses: readonly string[]): Promise<void> {
    for (const ip of addresses)
      await this.server.start([process.execPath, file('stun-server.mjs'), ip, '3478'], /listening/);
  }

  /** Starts a server that always answers with one external address. */
  async startLiar(address: string, says: string): Promise<void> {
    await this.server.start([process.execPath, file('lying-server.mjs'), address, '3478', says], /listening/);
  }

  /**
   * Loads the client's interface, by our package's own code in the client's namespace; `undefined` leaves an option
   * out.
   */
  load(
    options: { which?: string | undefined; servers?: readonly string[] | undefined; timeoutMs?: number } = {},
  ): LoadedInLab {
    const text = JSON.stringify({ which: 'c0', servers: SERVERS, ...options });
    return JSON.parse(this.client.run(process.execPath, file('load-interface.mjs'), text)) as LoadedInLab;
  }

  /** Asks a server what random items of the pool of a block leave as. */
  pairs(block: string, count: number, server: string): { k: string; said: string; external?: string }[] {
    return JSON.parse(this.client.run(process.execPath, file('pairs.mjs'), block, String(count), server)) as ReturnType<
      RouteLab['pairs']
    >;
  }

  close(): void {
    for (const space of [this.client, this.gateway, this.server]) space.close();
  }
}
