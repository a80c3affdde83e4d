// Asks a server what random items of the pool of the default interface leave as: pairs.mjs BLOCK COUNT SERVER
import { Interface } from '../../dist/index.js';

const [, , block = '', count = '0', server = ''] = process.argv;
const nic = await Interface.load('c0', { stunServers: [server] });
const pool = nic.rp[block.includes(':') ? 6 : 4];
const first = pool.position(block.split('/')[0]);
const whole = pool.slice(first);
const seen = await Promise.all(
  Array.from({ length: Number(count) }, async (_, seed) => {
    const route = whole.random(seed);
    const said = route.ext();
    const { external } = await route.observe({ stunServers: [server] });
    return { k: String(pool.position(said)), said, external };
  }),
);
console.log(JSON.stringify(seen));
