/** `routepool` without a command, and `validate` of an interface, as people call them. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { whyNoNamespaces } from '../lab/namespaces.ts';
import { RouteLab, SERVERS } from '../lab/route-lab.ts';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const why = whyNoNamespaces('nft');
if (why !== undefined) console.warn(`the command line behind gateways: SKIPPED, ${why}`);

function cli(...args: string[]) {
  return spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } });
}

describe('routepool interfaces', () => {
  it('tells what the system says without asking anybody', () => {
    const { status, stdout } = cli('--offline');
    expect([status, stdout]).toEqual([
      0,
      expect.stringMatching(/^lo {2}loopback\n {2}addresses {2}127\.0\.0\.1\/8 \(loopback\)/m),
    ]);
    const json = JSON.parse(cli('interfaces', 'lo', '--offline', '--json').stdout) as { name: string; kind: string }[];
    expect(json).toMatchObject([{ name: 'lo', kind: 'loopback' }]);
  });

  it.each<[string[], RegExp]>([
    [['no-such0'], /there is no command 'no-such0'/],
    [['interfaces', 'no-such0'], /There is no interface 'no-such0'\. The interfaces are: lo/],
    [['interfaces', 'no-such0', '--offline'], /there is no interface 'no-such0'.*the interfaces are: lo/],
    [['--servr', 'x'], /did you mean --server\?/],
    [['--stun-server', 'x'], /unknown option --stun-server; did you mean --server\?/],
    [['watch', '--stun-server', 'x'], /unknown option --stun-server; did you mean --server\?/],
    [['stun-server', '--stun-server', 'x'], /unknown option --stun-server; did you mean --server\?/],
    [['--timeout', 'soon'], /a number for --timeout but received 'soon'/],
    [['--timeout', '0'], /from 1 to 600000 for --timeout/],
    [['--server', 'http://x'], /http/],
    [['validate', '127.0.0.1', '-4', '-6'], /-4 and -6 cannot be used together/],
    [['validate', 'lo'], /lo has no address that could leave this machine/],
  ])('refuses %j and says what to do', (args, message) => {
    const { status, stdout, stderr } = cli(...args);
    expect([status, stdout, stderr]).toEqual([2, '', expect.stringMatching(message)]);
  });
});

describe.skipIf(why !== undefined)('behind a gateway', { timeout: 60_000 }, () => {
  let lab: RouteLab;
  afterEach(() => lab.close());
  const inside = (...args: string[]) => lab.client.try('env', 'NO_COLOR=1', process.execPath, main, ...args);

  it('says in words what each address leaves as', async () => {
    lab = await RouteLab.create({ families: [4] });
    lab.hold('8.8.0.0/16');
    lab.gateway.filter(
      'table ip nat { chain post { type nat hook postrouting priority 100; policy accept; ip saddr 10.99.1.2 snat to 1.3.3.7; } }',
    );
    await lab.startServers(SERVERS.slice(0, 2));
    const servers = SERVERS.slice(0, 2).flatMap((ip) => ['--server', ip]);
    const { status, stdout, stderr } = inside(...servers);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^c0 {2}virtual, default for IPv4$/m);
    expect(stdout).toMatch(/^ {2}✔ 10\.99\.1\.2 leaves as 1\.3\.3\.7$/m);
    expect(stdout).toMatch(
      /^ {2}✔ 8\.8\.0\.0\/16 each leaves as itself \(5 asked, the rest assumed; routepool validate proves each\)$/m,
    );
    const json = JSON.parse(inside('interfaces', 'c0', '--json', ...servers).stdout) as {
      interfaces: { routes: { 4: { certainty: string }[] } }[];
    };
    expect(json.interfaces[0]?.routes[4].map(({ certainty }) => certainty)).toEqual(['agreed', 'agreed']);
  });

  it('validates all that an interface holds, and the pool', async () => {
    lab = await RouteLab.create({ families: [4] });
    lab.hold('8.8.0.0/22');
    lab.gateway.filter(
      'table ip nat { chain post { type nat hook postrouting priority 100; policy accept; ip saddr 10.99.1.2 snat to 1.3.3.7; } }',
    );
    await lab.startServers(SERVERS.slice(0, 2));
    const servers = SERVERS.slice(0, 2).flatMap((ip) => ['--server', ip]);
    const whole = inside('validate', 'c0', ...servers, '--csv', '--quiet');
    expect(whole.status).toBe(3);
    const lines = whole.stdout.trimEnd().split('\n').slice(1);
    expect([lines.length, lines.filter((line) => line.includes(',ok,')).length]).toEqual([1_025, 1_024]);
    expect(lines.find((line) => line.startsWith('10.99.1.2,'))).toMatch(/^10\.99\.1\.2,mapped,1\.3\.3\.7/);
    const pool = inside('validate', 'pool', ...servers);
    expect([pool.status, pool.stdout]).toEqual([
      0,
      expect.stringMatching(/^✔ 1,024 of 1,024 sources of 8\.8\.0\.0\/22 proven/),
    ]);
  });
});
