// Watches in a namespace with the options of its argument: prints each change as a line of JSON, and its counters for
// each line that it reads.
import { createInterface } from 'node:readline';
import { watch } from 'routepool';

const run = watch(JSON.parse(process.argv[2] ?? '{}'));
const print = (object) => process.stdout.write(`${JSON.stringify(object)}\n`);
run.on('change', (change) => print({ ...change, ...('route' in change ? { text: String(change.route) } : {}) }));
createInterface({ input: process.stdin }).on('line', () => print({ counters: run.counters() }));
print({ ready: true });
