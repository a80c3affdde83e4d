/** A client behind a real NAT, with STUN servers at two addresses beyond it. */
import { fileURLToPath } from 'node:url';
import type { LoadNatOptions, NatReport } from '../../src/index.ts';
import { Namespace } from './namespaces.ts';
import { INSIDE, NAT_KINDS, OUTSIDE, PUBLIC, TRANSLATED_PREFIX, type NatKind, type NatKindName } from './nat-kinds.ts';

const file = (name: string) => fileURLToPath(new URL(`./${name}`, import.meta.url));

/** The servers' addresses: two of a server that tests filtering, and one more that only answers. */
const SERVERS = {
  4: ['203.0.113.1', '203.0.113.2', '203.0.113.3'],
  6: ['2001:db8:5::1', '2001:db8:5::2', '2001:db8:5::3'],
} as const;

/** What the client's script prints. */
export interface NatInLab {
  type: number;
  nat_info: string;
  delta: { type: number; value: number };
  rfc3489: string;
  assumed: boolean;
  violations: { requirement: string }[];
  report: NatReport;
  elapsedMs: number;
  explained: string;
  dict: object;
  error?: { code: string; message: string };
}

/**
 * ```
 * client ─ c0 ── g0 ─ router ─ g1 ── s0 ─ server
 * with a carrier: … router ─ g1 ── g0 ─ carrier ─ g1 ── s0 ─ server
 * ```
 */
export class NatLab {
  readonly kind: NatKind;
  readonly client: Namespace;
  readonly router: Namespace;
  readonly carrier: Namespace | undefined;
  readonly server: Namespace;
  /** The servers, of the lab's family. */
  readonly servers: readonly string[];

  private constructor(
    kind: NatKind,
    client: Namespace,
    router: Namespace,
    carrier: Namespace | undefined,
    server: Namespace,
  ) {
    this.kind = kind;
    this.client = client;
    this.router = router;
    this.carrier = carrier;
    this.server = server;
    this.servers = SERVERS[kind.family];
  }

  static async create(name: NatKindName): Promise<NatLab> {
    const kind: NatKind = NAT_KINDS[name];
    const client = await Namespace.create();
    const carrier = kind.carrier === undefined ? undefined : await client.beside();
    const lab = new NatLab(kind, client, await client.beside(), carrier, await client.beside());
    try {
      if (kind.family === 4) lab.#wire4();
      else lab.#wire6();
      lab.router.filter(kind.rules);
      if (kind.carrier !== undefined) lab.carrier?.filter(kind.carrier);
    } catch (error) {
      lab.close();
      throw error;
    }
    return lab;
  }

  #wire4(): void {
    const { client, router, carrier, server } = this;
    const inside = this.kind.public ? PUBLIC[4] : INSIDE[4];
    const gateway = inside.replace(/\d+$/, '1');
    client.connect('c0', [`${inside}/24`], router, 'g0', [`${gateway}/24`]);
    client.run('ip', 'route', 'add', 'default', 'via', gateway);
    if (carrier) {
      router.connect('g1', ['100.64.0.2/24'], carrier, 'g0', ['100.64.0.1/24']);
      router.run('ip', 'route', 'add', 'default', 'via', '100.64.0.1');
    }
    const last = carrier ?? router;
    last.connect(
      'g1',
      ['203.0.113.254/24'],
      server,
      's0',
      SERVERS[4].map((ip) => `${ip}/24`),
    );
    // Masquerade takes the address that the way out prefers.
    if (!this.kind.public) {
      for (const ip of [OUTSIDE[4], '1.3.3.8']) last.run('ip', 'addr', 'add', `${ip}/32`, 'dev', 'g1');
      last.run('ip', 'route', 'replace', '203.0.113.0/24', 'dev', 'g1', 'src', OUTSIDE[4]);
      last.run('ip', 'addr', 'del', '203.0.113.254/24', 'dev', 'g1');
      last.run('ip', 'route', 'replace', '203.0.113.0/24', 'dev', 'g1', 'src', OUTSIDE[4]);
      server.run('ip', 'route', 'add', '1.3.3.0/24', 'dev', 's0');
    } else {
      server.run('ip', 'route', 'add', 'default', 'via', '203.0.113.254');
    }
    for (const space of [router, ...(carrier ? [carrier] : [])])
      space.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
  }

  #wire6(): void {
    const { client, router, server } = this;
    for (const space of [client, router, server]) {
      // Addresses can be used at once, without waiting for duplicates to be looked for.
      space.run(
        'sh',
        '-c',
        'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad',
      );
    }
    const inside = this.kind.public ? PUBLIC[6] : INSIDE[6];
    const gateway = inside.replace(/2$/, '1');
    client.connect('c0', [`${inside}/64`], router, 'g0', [`${gateway}/64`]);
    client.run('ip', '-6', 'route', 'add', 'default', 'via', gateway);
    router.connect(
      'g1',
      ['2001:db8:5::fe/64', `${OUTSIDE[6]}/128`],
      server,
      's0',
      SERVERS[6].map((ip) => `${ip}/64`),
    );
    server.run('ip', '-6', 'route', 'add', 'default', 'via', '2001:db8:5::fe');
    router.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/forwarding');
    // The kernel looks at a new link's state once a second, and neighbours are found from link-local addresses.
    for (const [space, link] of [
      [client, 'c0'],
      [router, 'g0'],
      [router, 'g1'],
      [server, 's0'],
    ] as const) {
      while (!space.run('ip', '-6', 'addr', 'show', 'dev', link, 'scope', 'link').includes('fe80'));
    }
  }

  /** What the client looks like from outside. */
  get external(): string {
    const { family } = this.kind;
    if (this.kind.public) return PUBLIC[family];
    return this.kind === NAT_KINDS.nptv6 ? `${TRANSLATED_PREFIX}2` : OUTSIDE[family];
  }

  /** Starts coturn at the first two addresses, both ports: it tests mapping and filtering. */
  async startCoturn(): Promise<void> {
    const listen = this.servers.slice(0, 2).flatMap((ip) => ['-L', ip]);
    const options = ['-S', '-n', '--no-tls', '--no-dtls', '--no-cli', '-p', '3478', '--alt-listening-port', '3479'];
    const files = ['--log-file', 'stdout', '--pidfile', '/dev/null', '--userdb', '/dev/null'];
    await this.server.start(['turnserver', ...options, ...listen, ...files], /Listener address/);
    // It says that it will listen, not when it does.
    while (this.server.run('ss', '-Hlnu', 'sport = :3478 or sport = :3479').trimEnd().split('\n').length < 4);
  }

  /** Starts our server at one address: it answers, and tests nothing. */
  async startPlain(...addresses: string[]): Promise<void> {
    for (const ip of addresses)
      await this.server.start([process.execPath, file('stun-server.mjs'), ip, '3478'], /listening/);
  }

  /** Starts our server at the first two addresses, both ports. */
  async startOurs(): Promise<void> {
    await this.server.start([process.execPath, file('pair-server.mjs'), ...this.servers.slice(0, 2)], /listening/);
  }

  /** Looks at the NAT from the client, by the package itself. */
  load(options: Omit<LoadNatOptions, 'signal' | 'lookup'> = {}): NatInLab {
    const servers = this.servers.slice(0, 1).map((ip) => (ip.includes(':') ? `[${ip}]:3478` : ip));
    return JSON.parse(
      this.client.run(process.execPath, file('load-nat.mjs'), JSON.stringify({ servers, ...options })),
    ) as NatInLab;
  }

  /** The router loses this share of what it forwards, each way. */
  lose(percent: number): void {
    const family = this.kind.family === 4 ? 'ip' : 'ip6';
    this.router.filter(
      `table ${family} loss { chain through { type filter hook forward priority -10; policy accept; numgen random mod 100 < ${percent} drop; } }`,
    );
  }

  close(): void {
    for (const space of [this.client, this.router, this.carrier, this.server]) space?.close();
  }
}
