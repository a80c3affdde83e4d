// A STUN server that always says the same: lying-server.mjs ADDRESS PORT SAYS
import { createSocket } from 'node:dgram';

const [, , address, port, says] = process.argv;
const socket = createSocket('udp4');
socket.on('message', (request, from) => {
  const reply = Buffer.alloc(32);
  reply.writeUInt16BE(0x0101, 0);
  reply.writeUInt16BE(12, 2);
  request.copy(reply, 4, 4, 20);
  reply.writeUInt16BE(0x0020, 20);
  reply.writeUInt16BE(8, 22);
  reply.writeUInt8(1, 25);
  reply.writeUInt16BE(from.port ^ 0x2112, 26);
  says.split('.').forEach((octet, i) => reply.writeUInt8(Number(octet) ^ request[4 + i], 28 + i));
  socket.send(reply, from.port, from.address);
});
socket.bind(Number(port), address, () => console.log('listening'));
