// A TCP connection that leaves by a route: here to a server on this machine, which sees the route's address.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { validate } from 'routepool';

const server = createServer((socket) => socket.end(`you are ${socket.remoteAddress}\n`)).listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address() as AddressInfo;

const pool = await validate('127.20.0.0/24').pool();
const bound = await pool.at(77)?.bind();
if (bound === undefined) throw new Error('nothing was proven');
const socket: Socket = connect({ host: '127.0.0.1', port, localAddress: bound.address });
for await (const chunk of socket) process.stdout.write(chunk as Buffer);
server.close();
