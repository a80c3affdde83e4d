// Pools: an item by its number, from one address to 2^64 and among a million scattered proven ones; iteration.
// The naive way beside it is an array of all addresses as text, where that is possible at all.
import { Interface, validate } from '../dist/index.js';

const smoke = process.argv.includes('--smoke');

function poolOf(ip, cidr) {
  const af = ip.includes(':') ? 10 : 2;
  const range = [{ ip, cidr, af }];
  const nat = { type: 5, delta: { type: 6, value: 0 } };
  const nic = Interface.fromDict({
    name: 'bench',
    nat,
    rp: { 2: [], 10: [], [af]: [{ af, nic_ips: range, ext_ips: range, link_local_ips: [] }] },
  });
  return nic.rp[af === 10 ? 6 : 4];
}

/** Nanoseconds for each call. */
function time(calls, call) {
  for (let i = 0; i < calls / 10; i++) call(i);
  const began = process.hrtime.bigint();
  for (let i = 0; i < calls; i++) call(i);
  return Number(process.hrtime.bigint() - began) / calls;
}

const rows = [];
const calls = smoke ? 10_000 : 500_000;
let kept;
const row = (what, ns, unit = 'ns') => rows.push(`| ${what} | ${ns.toFixed(ns < 100 ? 1 : 0)} ${unit} |`);

const huge = poolOf('2001:db8::', 64);
row(
  '`at(k)` of 2^64, and its text',
  time(calls, (i) => (kept = huge.at(BigInt(i) * 36_893_488_147_419n).ext())),
);

const million = await validate(smoke ? '127.16.0.0/16' : '127.16.0.0/12').pool();
const holes = poolOf('127.16.0.0', 12);
let scattered = million;
for (let i = 0; i < 16; i++) scattered = scattered.difference(holes.slice(i * 65_536 + 7, i * 65_536 + 9));
row(
  `\`at(k)\` among ${scattered.length.toLocaleString('en-US')} proven ones, and its text`,
  time(calls, (i) => (kept = scattered.at((i * 7_919) % scattered.length).ext())),
);
const array = [...million].map((route) => route.ext());
row(
  'the same from an array of texts',
  time(calls, (i) => (kept = array[(i * 7_919) % array.length])),
);

const block = poolOf('10.0.0.0', 16);
const iterate = () => {
  let count = 0;
  for (const route of block) if (route !== undefined) count++;
  return count;
};
const text = () => {
  let length = 0;
  for (const route of block) length += route.ext().length;
  return length;
};
row('iterating 65,536 items', time(smoke ? 5 : 50, () => (kept = iterate())) / 1e6, 'ms');
row('iterating 65,536 items with their texts', time(smoke ? 5 : 50, () => (kept = text())) / 1e6, 'ms');

console.log(`${process.arch} ${process.platform}, Node ${process.versions.node}\n`);
console.log('| | |\n|---|---|');
console.log(rows.join('\n'));
if (kept === undefined) process.exitCode = 1;
