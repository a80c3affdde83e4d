// A STUN server of RFC 5780 with two addresses, here of loopback; the client asks the first to answer from the second.
// Run: node examples/stun-server.mjs
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { StunServer } from 'routepool';

const server = StunServer.listen({ address: ['127.0.0.1', '127.0.0.2'], tcp: true });
for (const { address, port } of server.endpoints) console.log(`listening at ${address}:${port}`);

const client = createSocket('udp4');
const changeBoth = Buffer.from('000100082112a4420001020304050607000102030003000400000006', 'hex');
client.send(changeBoth, server.port, server.address);
const [reply, from] = await once(client, 'message');
console.log(
  `asked ${server.address}:${server.port}, answered by ${from.address}:${from.port} with ${reply.length} bytes`,
);
client.close();
await server.close();
console.log(server.counters().replies, 'reply');
