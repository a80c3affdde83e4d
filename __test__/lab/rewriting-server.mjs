// A STUN server of RFC 3489 behind a gateway that rewrites addresses, also in payloads: rewriting-server.mjs ADDRESS PORT.
// The real server would see the gateway's address, and the gateway puts back that of the client, so what arrives is
// MAPPED-ADDRESS with the client's own address: it looks as if nothing was rewritten.
import { createSocket } from 'node:dgram';

const [, , address, port] = process.argv;
const socket = createSocket('udp4');
socket.on('message', (request, from) => {
  const reply = Buffer.alloc(32);
  reply.writeUInt16BE(0x0101, 0);
  reply.writeUInt16BE(12, 2);
  request.copy(reply, 4, 4, 20);
  reply.writeUInt16BE(0x0001, 20);
  reply.writeUInt16BE(8, 22);
  reply.writeUInt8(1, 25);
  reply.writeUInt16BE(from.port, 26);
  from.address.split('.').forEach((octet, i) => reply.writeUInt8(Number(octet), 28 + i));
  socket.send(reply, from.port, from.address);
});
socket.bind(Number(port), address, () => console.log('listening'));
