// Opens pipes by every route of an interface and prints what it says that it leaves as, and what the server saw.
// Arguments: interface, STUN servers (with commas), port, IPv4 server, IPv6 server ('-' for none).
import { Interface, IP4, IP6, pipeOpen, TCP, UDP } from '../../dist/index.js';

const [, , name, servers, port, four, six] = process.argv;
const nic = await Interface.load(name, { servers: servers.split(',') });
const seen = [];
for (const family of [IP4, IP6]) {
  const server = family === 4 ? four : six;
  if (server === '-') continue;
  const pool = nic.rp[family];
  const items = pool.size > 4n ? [pool.at(0), pool.at(1), pool.at(301), pool.at(-1)] : [...pool];
  for (const route of items) {
    for (const protocol of [TCP, UDP]) {
      const pipe = await pipeOpen(protocol, [server, Number(port)], route, { connectTimeoutMs: 5000 });
      await pipe.send('who?\n');
      const answer = await pipe.recv({ timeoutMs: 5000 });
      seen.push({ protocol, local: pipe.localAddress, external: pipe.externalAddress, seen: String(answer).trim() });
      await pipe.close();
    }
  }
}
console.log(JSON.stringify(seen));
