// The peers of all contenders, in a process of their own: the same for each. Prints its ports.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

async function tcp(onSocket) {
  const server = createServer({ noDelay: true }, (socket) => onSocket(socket.on('error', () => socket.destroy())));
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 });
  await once(server, 'listening');
  return server.address().port;
}

async function udp(onMessage) {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 8 << 20 });
  socket.on('message', (data, from) => onMessage(socket, data, from));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket.address().port;
}

const block = Buffer.alloc(65_536, 'x');
const ports = {
  echo: {
    udp: await udp((socket, data, from) => socket.send(data, from.port, from.address)),
    tcp: await tcp((socket) => socket.pipe(socket)),
  },
  sink: { udp: await udp(() => undefined), tcp: await tcp((socket) => socket.resume()) },
  // Sends as fast as it is read; over UDP in bursts that are asked for, so that none is lost in the receiver's buffer.
  source: {
    udp: await udp((socket, data, from) => {
      const [size, count] = String(data).split(' ').map(Number);
      for (let i = 0; i < count; i++) socket.send(block.subarray(0, size), from.port, from.address);
    }),
    tcp: await tcp((socket) => {
      const pump = () => {
        while (socket.writable && socket.write(block));
      };
      socket.on('drain', pump).resume();
      pump();
    }),
  },
};
console.log(JSON.stringify(ports));
process.stdin.resume().on('end', () => process.exit(0));
