// Lists the interfaces of this machine and loads all that are up, at the same time.
import { listInterfaces, loadInterfaces } from 'routepool';

const { STUN_SERVER: servers } = process.env;
console.log(listInterfaces());
const { loaded, failed } = await loadInterfaces(undefined, { servers, timeoutMs: 2_000 });
for (const nic of loaded) {
  console.log(
    nic.name,
    nic.facts?.kind,
    nic.supported().map((af) => `IPv${af}: ${String(nic.rp[af])}`),
  );
}
for (const { name, error } of failed) console.log(name, error.message);
