/** Pipes through a real NAT: the server sees what the route says. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GatewayLab, SERVER } from '../lab/gateway-lab.ts';
import { whyNoNamespaces } from '../lab/namespaces.ts';

const why = whyNoNamespaces('nft');
if (why !== undefined) console.log(`SKIPPED: ${why}`);

/** The client's own address leaves as 192.0.2.1, as behind a router of a home; its block leaves as it is. */
const RULES = `
  table ip home {
    chain post {
      type nat hook postrouting priority srcnat;
      oifname "g1" ip saddr 10.99.1.2 snat to 192.0.2.1;
    }
  }`;

describe.skipIf(why !== undefined)('through a NAT', () => {
  let lab: GatewayLab;
  beforeAll(async () => {
    lab = await GatewayLab.create('198.18.7.0/28', RULES);
    await lab.startStunServer();
    const echo = `
      const tell = (from) => 'you are ' + from;
      require('net').createServer((s) => s.on('error', () => {}).end(tell(s.remoteAddress))).listen(8080, '${SERVER}', () => {
        const udp = require('dgram').createSocket('udp4');
        udp.on('message', (_, from) => udp.send(tell(from.address), from.port, from.address));
        udp.bind(8080, '${SERVER}', () => console.log('listening'));
      });`;
    await lab.server.start([process.execPath, '-e', echo], /listening/);
  });
  afterAll(() => lab?.close());

  it('the server sees the external address of the route, over TCP and UDP', () => {
    const code = `
      const { Interface, pipeOpen, TCP, UDP } = await import('${new URL('../../dist/index.js', import.meta.url).href}');
      const nic = await Interface.load('c0', { servers: ['${SERVER}:3478'] });
      const route = nic.routes?.[4]?.[0] ?? nic.route(4);
      const seen = [];
      for (const protocol of [TCP, UDP]) {
        const pipe = await pipeOpen(protocol, ['${SERVER}', 8080], route);
        if (protocol === UDP) await pipe.send('who am I?');
        seen.push(String(await pipe.recv({ timeoutMs: 5000 })), pipe.externalAddress, pipe.localAddress);
        await pipe.close();
      }
      console.log(JSON.stringify([route.ext(), seen]));`;
    const answer = JSON.parse(lab.client.run(process.execPath, '--input-type=module', '-e', code)) as unknown;
    const each = ['you are 192.0.2.1', '192.0.2.1', '10.99.1.2'];
    expect(answer).toEqual(['192.0.2.1', [...each, ...each]]);
  });
});
