/** A STUN server of a dozen lines over `node:dgram`, which shares nothing with routepool and notes who has asked. */
import { createSocket, type RemoteInfo } from 'node:dgram';

/** A server on loopback for IPv4. */
export interface DgramStun {
  readonly address: string;
  /** The port that each address has last asked from. */
  readonly ports: ReadonlyMap<string, number>;
  close(): void;
}

/** Answers every Binding request with XOR-MAPPED-ADDRESS (RFC 8489, section 14.2). */
export async function dgramStun(): Promise<DgramStun> {
  const ports = new Map<string, number>();
  const socket = createSocket('udp4', (request, from) => {
    ports.set(from.address, from.port);
    socket.send(bindingResponse(request, from), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return { address: `127.0.0.1:${socket.address().port}`, ports, close: () => socket.close() };
}

function bindingResponse(request: Buffer, from: RemoteInfo): Buffer {
  const reply = Buffer.alloc(32);
  reply.writeUInt16BE(0x0101, 0);
  reply.writeUInt16BE(12, 2);
  request.copy(reply, 4, 4, 20);
  reply.writeUInt16BE(0x0020, 20);
  reply.writeUInt16BE(8, 22);
  reply.writeUInt8(1, 25);
  reply.writeUInt16BE(from.port ^ 0x2112, 26);
  from.address.split('.').forEach((octet, i) => reply.writeUInt8(Number(octet) ^ reply.readUInt8(4 + i), 28 + i));
  return reply;
}
