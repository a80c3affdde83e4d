// A TCP connection that leaves by a route, over IPv4 and IPv6: send, wait for an answer, close. The server is one of
// this machine. Run: node examples/tcp-pipe.ts (Node 22.18 or newer; STUN_SERVER=host:port names a server, else public
// ones are asked)
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { Interface, IP4, pipeOpen, TCP, validate, type BoundRoute } from 'routepool';

async function talk(route: BoundRoute): Promise<void> {
  const server = createServer((socket) =>
    socket.on('data', () => socket.end(`you are ${socket.remoteAddress}\n`)),
  ).listen(0, route.address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const pipe = await pipeOpen(TCP, [route.address, port], route);
  await pipe.send('Test\r\n\r\n');
  const out = await pipe.recv({ timeoutMs: 3000 });
  console.log(String(pipe), 'leaves as', pipe.externalAddress, '- answer:', String(out).trim());
  await pipe.close();
  server.close();
}

// By the default interface, as it is seen from outside.
const { STUN_SERVER: servers } = process.env;
const nic = await Interface.load({ servers });
if (nic.supported().includes(IP4)) await talk(await nic.route(IP4).bind());
else console.log(`no IPv4 route: ${nic.noRouteReason(IP4)}`);

// The same by a route that was proven, over IPv6.
const six = await validate('::1')
  .pool()
  .catch((error: Error) => console.log(`no IPv6: ${error.message}`));
const route = six?.at(0);
if (route !== undefined) await talk(await route.bind());
