// Looks at the NAT of an interface with the options of its argument, and prints what was found: { which, ...options }
import { Interface } from '../../dist/index.js';

const { which = 'c0', ...options } = JSON.parse(process.argv[2] ?? '{}');
try {
  const nic = Interface.find(which);
  const began = performance.now();
  const nat = await nic.loadNat(options);
  const elapsedMs = performance.now() - began;
  console.log(
    JSON.stringify({ ...nat.toJSON({ detail: true }), elapsedMs, explained: nat.explain(), dict: nic.toDict() }),
  );
} catch (error) {
  console.log(JSON.stringify({ error: { code: error.code, message: error.message } }));
}
