// What a server sees of undici 8 by a route; in a process of its own, since it needs a newer Node.
import { Agent, fetch, request } from 'undici8';
import { validate } from '../../dist/index.js';

const [, , url] = process.argv;
const pool = await validate('127.84.0.0/29').pool();
const dispatcher = new Agent({ connect: pool.at(3).connector() });
console.log(await (await request(url, { dispatcher })).body.text());
console.log(await (await fetch(url, { dispatcher })).text());
await dispatcher.close();
