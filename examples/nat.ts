// What kind of NAT is on the way, here one that is simulated in this process, and whether two such peers can connect
// directly. Run: node examples/nat.ts (Node 22.18 or newer). For the real one: Interface.load(), then loadNat() without
// options.
import { canConnect, Interface } from 'routepool';
import { SimulatedNat } from 'routepool/testing';

const home = await SimulatedNat.listen({ filtering: 'address-and-port-dependent' });
const office = await SimulatedNat.listen({ mapping: 'address-and-port-dependent' });

const nic = Interface.find('127.0.0.1');
const mine = await nic.loadNat({ from: home.host(1), servers: home.servers });
console.log(mine, mine.evidence.length, 'sub-tests');
console.log(mine.explain());

const theirs = await Interface.find('127.0.0.1').loadNat({ from: office.host(1), servers: office.servers });
// The other side sends this as JSON: theirs.toJSON({ detail: true }).
const { verdict, techniques } = canConnect(mine, theirs);
console.log(`\nA port-restricted and a symmetric NAT: ${verdict}`);
for (const { name, works, why } of techniques) console.log(`  ${name}: ${works}, ${why}`);

await home.close();
await office.close();
