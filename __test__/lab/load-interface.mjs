// Loads an interface with the options of its argument and prints what a test wants to know of it.
import { Interface } from '../../dist/index.js';

const { which, ...options } = JSON.parse(process.argv[2] ?? '{}');
const began = performance.now();
try {
  const nic = await Interface.load(which, options);
  const elapsedMs = performance.now() - began;
  const each = (call) => ({ 4: nic.rp[4].routes.map(call), 6: nic.rp[6].routes.map(call) });
  const all = [...nic.rp[4].routes, ...nic.rp[6].routes];
  console.log(
    JSON.stringify({
      name: nic.name,
      elapsedMs,
      routes: each(String),
      certainty: each((route) => route.certainty),
      assumed: each((route) => route.assumed),
      noRouteReason: nic.toJSON({ detail: true }).noRouteReason,
      dict: nic.toDict(),
      observations: all.flatMap((route) => route.evidence.observations),
    }),
  );
} catch (error) {
  console.log(JSON.stringify({ error: { code: error.code, message: error.message } }));
}
