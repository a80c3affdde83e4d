// Asks a server what random items of the pool of the default interface leave as: pairs.mjs BLOCK COUNT SERVER
import { Interface } from '../../dist/index.js';

const [, , block = '', count = '0', server = ''] = process.argv;
const nic = await Interface.load('c0', { servers: [server] });
const pool = nic.rp[block.includes(':') ? 6 : 4];
const first = pool.position(block.split('/')[0]);
const whole = pool.slice(first);
const ask = async (seed) => {
  const route = whole.random(seed);
  const said = route.ext();
  const { external } = await route.observe({ servers: [server] });
  return { k: String(pool.position(said)), said, external };
};
const seen = [];
// Each has a socket of its own: not all at once.
while (seen.length < Number(count)) {
  const some = Math.min(100, Number(count) - seen.length);
  seen.push(...(await Promise.all(Array.from({ length: some }, (_, i) => ask(seen.length + i)))));
}
console.log(JSON.stringify(seen));
