// Every external address as one thing to index, count and iterate, and a socket for one of them.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { validate } from 'routepool';

const pool = await validate('127.19.0.0/20').pool();
console.log(pool.length, pool.at(0)?.ext(), pool.at(-1)?.ext(), pool.has('127.19.7.9'), pool.indexOf('127.19.1.0'));
console.log(Array.from(pool.slice(256, 260), (route) => route.ext()));

const bound = await pool.random()?.bind();
if (bound === undefined) throw new Error('nothing was proven');
const socket = createSocket('udp4');
socket.bind({ address: bound.address, port: bound.port });
await once(socket, 'listening');
console.log(socket.address().address === bound.ext());
socket.close();
