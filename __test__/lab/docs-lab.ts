/** The network that the documents speak of, so that their commands can be run and print what is printed there. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Namespace, type Output } from './namespaces.ts';

const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/**
 * Names at the client. The public servers that are asked by default exist here too, so that commands without options
 * work as printed.
 */
const HOSTS = `127.0.0.1 localhost
203.0.113.1 stun.example.net stun.cloudflare.com
203.0.113.2 stun2.example.net
203.0.113.3 stun.l.google.com
203.0.113.4 stun.nextcloud.com
203.0.113.5 stun.sipgate.net
2001:db8:5::1 stun.example.net stun.cloudflare.com
2001:db8:5::2 stun2.example.net
2001:db8:5::4 stun.nextcloud.com`;

/**
 * ```
 * client ─ eth0 10.99.1.2/24, 2001:db8:99::2/64 ── gateway ── 203.0.113.1 stun.example.net ─ server
 *                                                             203.0.113.2 stun2.example.net
 * ```
 * The gateway routes 198.18.0.0/16 and 2001:db8:7::/64 to the client. It filters 198.18.7.0/24, sends 198.18.9.0/28 and
 * the private address out as 192.0.2.1, and lets all else through as it is. The client holds neither block yet: the
 * documents say how.
 */
export class DocsLab {
  readonly #spaces: Namespace[];
  readonly #folder = mkdtempSync(join(tmpdir(), 'routepool-docs-'));

  private constructor(spaces: Namespace[]) {
    this.#spaces = spaces;
  }

  static async create(): Promise<DocsLab> {
    const client = await Namespace.create();
    const gateway = await Namespace.create({ beside: client });
    const server = await Namespace.create({ beside: client });
    const lab = new DocsLab([client, gateway, server]);
    try {
      await lab.#wire(client, gateway, server);
    } catch (error) {
      lab.close();
      throw error;
    }
    return lab;
  }

  async #wire(client: Namespace, gateway: Namespace, server: Namespace): Promise<void> {
    for (const space of [client, gateway, server]) {
      space.run(
        'sh',
        '-c',
        'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad',
      );
    }
    // No link-local address, whose digits would be others each time.
    client.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/default/addr_gen_mode');
    client.connect('eth0', ['10.99.1.2/24', '2001:db8:99::2/64'], gateway, 'g0', ['10.99.1.1/24', '2001:db8:99::1/64']);
    gateway.connect('g1', ['203.0.113.254/24', '192.0.2.1/32', '2001:db8:5::fe/64'], server, 's0', [
      ...[1, 2, 3, 4, 5].map((n) => `203.0.113.${n}/24`),
      '2001:db8:5::1/64',
      '2001:db8:5::2/64',
      '2001:db8:5::4/64',
    ]);
    client.batch(['route add default via 10.99.1.1']);
    client.batch(['route add default via 2001:db8:99::1'], '-6');
    gateway.batch(['route add 198.18.0.0/16 via 10.99.1.2']);
    gateway.batch(['route add 2001:db8:7::/64 via 2001:db8:99::2'], '-6');
    server.batch(['route add default via 203.0.113.254']);
    server.batch(['route add default via 2001:db8:5::fe'], '-6');
    gateway.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding');
    gateway.filter(`
      table ip docs {
        chain early { type filter hook prerouting priority raw; ip saddr 198.18.0.0/16 ip saddr != 198.18.9.0/28 notrack; ip daddr 198.18.0.0/16 notrack; }
        chain through { type filter hook forward priority filter; ip saddr 198.18.7.0/24 drop; }
        chain own { type filter hook input priority filter; iifname "g1" meta l4proto udp drop; }
        chain out { type nat hook postrouting priority srcnat; oifname "g1" ip saddr { 10.99.1.2, 198.18.9.0/28 } snat to 192.0.2.1; }
      }`);
    const pair = ['203.0.113.1', '203.0.113.2', '2001:db8:5::1', '2001:db8:5::2', '--rate-per-prefix', '0'];
    await server.start([process.execPath, command, 'stun-server', ...pair], /RFC 5780/);
    for (const others of [['203.0.113.3', '--port', '19302'], ['203.0.113.4', '2001:db8:5::4'], ['203.0.113.5']]) {
      await server.start([process.execPath, command, 'stun-server', ...others], /IPv4/);
    }
    mkdirSync(this.#at('bin'));
    this.#program('routepool', `exec ${process.execPath} ${command} "$@"`);
    this.#program('npx', 'shift; exec routepool "$@"');
    writeFileSync(this.#at('hosts'), `${HOSTS}\n`);
  }

  /**
   * Runs a script at the client, with the `routepool` of this checkout in its path and the names above in its hosts
   * file.
   */
  run(script: string): Output {
    // There is no name server in this network: without one in resolv.conf a name that the hosts file lacks fails at
    // once.
    const set = `mount --bind ${this.#at('hosts')} /etc/hosts && mount --bind /dev/null /etc/resolv.conf && cd ${this.#folder} && PATH=${this.#at('bin')}:$PATH && export PATH`;
    return (this.#spaces[0] as Namespace).try('unshare', '-m', 'sh', '-c', `${set} && { ${script}\n} 2>&1`);
  }

  close(): void {
    for (const space of this.#spaces) space.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #at(name: string): string {
    return join(this.#folder, name);
  }

  #program(name: string, script: string): void {
    writeFileSync(join(this.#at('bin'), name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(this.#at('bin'), name), 0o755);
  }
}
