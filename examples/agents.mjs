// HTTP requests that leave by the addresses of a pool in turn, with connections that are kept for each source.
// Run: node examples/agents.mjs
import { once } from 'node:events';
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { validate } from 'routepool';

const server = http
  .createServer((request, response) => response.end(`${request.socket.remoteAddress}:${request.socket.remotePort}`))
  .listen(0, '127.0.0.1');
await once(server, 'listening');
const pool = await validate('127.22.0.0/30').pool();

const agent = pool.agent({ pick: 'round-robin' });
for (let i = 0; i < 8; i++) {
  const [response] = await once(http.get({ host: '127.0.0.1', port: server.address().port, agent }), 'response');
  console.log(await text(response));
}
agent.destroy();
server.close();
