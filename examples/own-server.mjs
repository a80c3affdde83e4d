// A STUN server of one's own, and a block validated against it by name. Here both are on loopback; in earnest the
// server runs on another host. Run: node examples/own-server.mjs
import { StunServer, validate } from 'routepool';

const server = StunServer.listen({ address: '127.0.0.2' });
const summary = await validate('127.18.0.0/22', { servers: `${server.address}:${server.port}` }).summary();
console.log(`${summary.counts.ok} of ${summary.sources} proven by ${server.address}:${server.port}`);
console.log(server.counters());
await server.close();
