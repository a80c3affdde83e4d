/**
 * Clients of others against our server, in network namespaces: each must finish all its tests with the right answer.
 */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { whyNoNamespaces } from '../lab/namespaces.ts';
import { RouteLab, SERVERS } from '../lab/route-lab.ts';
import { BUILDING_MS, PION, whyMissing, whyNoPion } from '../lab/strangers.ts';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const why = whyNoNamespaces('nft');
if (why !== undefined) console.log(`SKIPPED: clients of others against the STUN server: ${why}`);

const whyNot = {
  coturn: whyMissing('turnutils_natdiscovery', 'coturn'),
  stun: whyMissing('stun', 'stun-client'),
  pion: undefined as string | undefined,
};

const [IP] = SERVERS;
const IP6 = '2001:db8:5::1';

interface Case {
  name: string;
  /** Rules of the gateway. */
  rules?: string;
  /** What the client is seen as. */
  seen: RegExp;
  filtering: { coturn: string; stun: string; pion: string };
}

const DIRECT: Case = {
  name: 'without a NAT',
  seen: /reflexive addr: 10\.99\.1\.2:/,
  filtering: {
    coturn: 'Endpoint Independent Filtering',
    stun: 'Primary: Open',
    pion: 'filtering behavior: endpoint independent',
  },
};

const CASES: Case[] = [
  DIRECT,
  {
    name: 'behind a NAT that lets everything in',
    rules: `table ip nat {
      chain in {
        type nat hook prerouting priority -100
        iifname "g1" ip daddr 203.0.113.254 meta l4proto udp dnat to 10.99.1.2
      }
      chain out {
        type nat hook postrouting priority 100
        oifname "g1" meta l4proto udp snat to 203.0.113.254
      }
    }`,
    seen: /reflexive addr: 203\.0\.113\.254:/,
    filtering: {
      coturn: 'Endpoint Independent Filtering',
      stun: 'Independent Mapping, Independent Filter',
      pion: 'filtering behavior: endpoint independent',
    },
  },
  {
    name: 'behind a NAT that lets answers in only',
    rules: `table ip nat {
      chain out {
        type nat hook postrouting priority 100
        oifname "g1" masquerade
      }
    }`,
    seen: /reflexive addr: 203\.0\.113\.254:/,
    filtering: {
      coturn: 'Address and Port Dependent Filtering',
      stun: 'Independent Mapping, Port Dependent Filter',
      pion: 'filtering behavior: address and port dependent',
    },
  },
];

/** How long a client may take: those that wait for silence take up to 12 s. */
const PATIENCE = 60_000;

describe.skipIf(why !== undefined)('clients of others', () => {
  beforeAll(() => {
    whyNot.pion = whyNoPion();
    for (const reason of Object.values(whyNot)) if (reason !== undefined) console.log(`SKIPPED: ${reason}`);
  }, BUILDING_MS);

  describe.each(CASES)('$name', ({ rules, seen, filtering }) => {
    let lab: RouteLab;

    beforeAll(async () => {
      lab = await RouteLab.create();
      if (rules !== undefined) lab.gateway.filter(rules);
      const command = [
        process.execPath,
        main,
        'stun-server',
        ...SERVERS.slice(0, 2),
        IP6,
        '2001:db8:5::2',
        '--rfc3489',
        '--workers',
        '2',
      ];
      await lab.server.start(command, /STUN server[\s\S]*IPv6.*\n/);
    });
    afterAll(() => lab?.close());

    test(
      'coturn: mapping, filtering, lifetime with RESPONSE-PORT, padding',
      (context) => {
        if (whyNot.coturn !== undefined) return context.skip(whyNot.coturn);
        const { stdout, status } = lab.client.try(
          'timeout',
          '40',
          'turnutils_natdiscovery',
          '-m',
          '-f',
          '-P',
          '-p',
          '3478',
          IP,
        );
        expect(status).toBe(0);
        expect(stdout).toMatch(seen);
        expect(stdout).toContain('NAT with Endpoint Independent Mapping');
        expect(stdout).toContain(filtering.coturn);
        expect(stdout).toContain('No ALG: Mapped == XOR-Mapped');
        const lifetime = lab.client.try('timeout', '40', 'turnutils_natdiscovery', '-t', '-T', '1', '-p', '3478', IP);
        // The second answer reached the first socket, by RESPONSE-PORT.
        expect(lifetime.stdout).toContain('RFC 5780 response 2');
      },
      PATIENCE,
    );

    test(
      'coturn: the plain client, IPv4 and IPv6',
      (context) => {
        if (whyNot.coturn !== undefined) return context.skip(whyNot.coturn);
        const open = filtering.pion.endsWith(': endpoint independent');
        for (const ip of [IP, IP6]) {
          // Behind a NAT that lets answers in only, this client waits for ever for one from the other address.
          const { stdout } = lab.client.try(
            'timeout',
            open || ip === IP6 ? '10' : '2',
            'turnutils_stunclient',
            '-p',
            '3478',
            ip,
          );
          expect(stdout).toContain(`Response origin: : ${ip}:3478`);
          if (open || ip === IP6) expect(stdout).toContain('RFC 5780 response 3');
        }
      },
      PATIENCE,
    );

    test(
      'the client of RFC 3489',
      (context) => {
        if (whyNot.stun !== undefined) return context.skip(whyNot.stun);
        expect(lab.client.try('timeout', '40', 'stun', `${IP}:3478`).stdout).toContain(filtering.stun);
      },
      PATIENCE,
    );

    test(
      'pion',
      (context) => {
        if (whyNot.pion !== undefined) return context.skip(whyNot.pion);
        const { stdout, stderr, status } = lab.client.try(
          'timeout',
          '40',
          PION,
          '--server',
          `${IP}:3478`,
          '--timeout',
          '1',
        );
        expect(status).toBe(0);
        expect(stdout + stderr).toContain('mapping behavior: endpoint independent');
        expect(stdout + stderr).toContain(filtering.pion);
      },
      PATIENCE,
    );
  });
});
