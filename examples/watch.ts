// Tells what changes at the interfaces of this machine, and what their addresses leave as, for SECONDS (1 by default).
import { watch } from 'routepool';

const { STUN_SERVER: servers, SECONDS = '1' } = process.env;
const changes = watch({ external: { servers } });
changes.on('external-changed', ({ route, previous }) =>
  console.log(`${String(route)}, before ${previous?.ip ?? 'unknown'}`),
);
setTimeout(() => void changes.close(), Number(SECONDS) * 1_000);
for await (const change of changes) {
  if (change.type === 'address-added' || change.type === 'address-removed')
    console.log(change.type, change.ip, change.interface);
  else console.log(change);
}
const { method, scans, externalChecks, externalFailures } = changes.counters();
console.log({ method, scans, externalChecks, externalFailures });
