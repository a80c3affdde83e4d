// Looks at the NAT a few times in one process and prints the times: nat-contender.mjs SERVER PROFILE TIMES
import { Interface } from '../dist/index.js';

const [, , server, profile, times] = process.argv;
const took = [];
let nat;
for (let i = 0; i < Number(times); i++) {
  const nic = Interface.find('c0');
  const began = performance.now();
  nat = await nic.loadNat({ servers: server, profile });
  took.push(performance.now() - began);
}
// What one silence costs: the longest wait for an answer that did not come.
const silences = nat.evidence
  .filter(({ silent, sentAt }) => silent && sentAt !== undefined)
  .map(({ sentAt }) => nat.elapsedMs - sentAt);
console.log(
  JSON.stringify({ took, type: nat.type, delta: nat.delta.type, assumed: nat.assumed, silences: silences.length }),
);
