// Loads the default interface and prints it: the dict, its routes and their evidence.
// Run: node examples/interface.ts (Node 22.18 or newer; STUN_SERVER=host:port names a server, else public ones are
// asked)
import { Interface, IP4 } from 'routepool';

const { STUN_SERVER: servers } = process.env;
const nic = await Interface.load({ servers });
console.log(nic);
for (const route of nic.rp[IP4].routes) {
  console.log(
    route,
    route.certainty,
    route.evidence.observations.map(({ ip, answers }) => `${ip}: ${answers.length} asked`),
  );
}

// The dict can be saved and restored; nothing is asked then.
const again = Interface.fromDict(JSON.parse(JSON.stringify(nic)));
console.log(again.name === nic.name, again.rp[IP4].equals(nic.rp[IP4]));
