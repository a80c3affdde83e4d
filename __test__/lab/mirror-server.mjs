// Answers over TCP and UDP with the address that it sees. Arguments: port, then the addresses to listen at.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

const [, , port, ...addresses] = process.argv;
for (const address of addresses) {
  const server = createServer((socket) => socket.on('error', () => undefined).end(`${socket.remoteAddress}\n`)).listen(
    Number(port),
    address,
  );
  await once(server, 'listening');
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (_data, from) => socket.send(`${from.address}\n`, from.port, from.address));
  socket.bind(Number(port), address);
  await once(socket, 'listening');
}
console.log('listening');
