// A STUN server that always says the same, or that of RFC 3489 behind a gateway that rewrites addresses, also in
// payloads: the real one would see the gateway's address, and the gateway puts back that of the client, so that
// MAPPED-ADDRESS is the client's own and looks as if nothing was rewritten.
// lying-server.mjs ADDRESS PORT SAYS|rewritten
import { createSocket } from 'node:dgram';

const [, , address, port, says] = process.argv;
const isRewritten = says === 'rewritten';
const [MAPPED_ADDRESS, XOR_MAPPED_ADDRESS] = [0x0001, 0x0020];
const socket = createSocket('udp4');
socket.on('message', (request, from) => {
  const mask = isRewritten ? Buffer.alloc(4) : request.subarray(4, 8);
  const reply = Buffer.alloc(32);
  reply.writeUInt16BE(0x0101, 0);
  reply.writeUInt16BE(12, 2);
  request.copy(reply, 4, 4, 20);
  reply.writeUInt16BE(isRewritten ? MAPPED_ADDRESS : XOR_MAPPED_ADDRESS, 20);
  reply.writeUInt16BE(8, 22);
  reply.writeUInt8(1, 25);
  reply.writeUInt16BE(from.port ^ mask.readUInt16BE(0), 26);
  const octets = (isRewritten ? from.address : says).split('.');
  octets.forEach((octet, i) => reply.writeUInt8(Number(octet) ^ mask[i], 28 + i));
  socket.send(reply, from.port, from.address);
});
socket.bind(Number(port), address, () => console.log('listening'));
