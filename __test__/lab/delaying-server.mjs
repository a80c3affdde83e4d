// A STUN server beyond a long way: it answers each request after a time between two limits, so answers also change
// their order. Prints how many requests have come, at each multiple of EVERY.
// usage: node delaying-server.mjs ADDRESS PORT LEAST_MS MOST_MS EVERY
import { createSocket } from 'node:dgram';

const [, , address, port, least, most, every] = process.argv;
const COOKIE = [0x21, 0x12, 0xa4, 0x42];
const socket = createSocket('udp4');
let requests = 0;
socket.on('message', (request, from) => {
  if (request.length < 20) return;
  if (++requests % Number(every) === 0) console.log(`asked ${requests}`);
  const reply = Buffer.alloc(32);
  reply.writeUInt16BE(0x0101, 0);
  reply.writeUInt16BE(12, 2);
  request.copy(reply, 4, 4, 20);
  reply.writeUInt16BE(0x0020, 20);
  reply.writeUInt16BE(8, 22);
  reply.writeUInt8(1, 25);
  reply.writeUInt16BE(from.port ^ 0x2112, 26);
  from.address.split('.').forEach((octet, i) => reply.writeUInt8(Number(octet) ^ COOKIE[i], 28 + i));
  setTimeout(
    () => socket.send(reply, from.port, from.address),
    Number(least) + Math.random() * (Number(most) - Number(least)),
  );
});
socket.bind(Number(port), address, () => {
  socket.setRecvBufferSize(1 << 22);
  console.log('listening');
});
