// Validates a block and says what does not work. Run: node examples/validate-block.mjs [BLOCK] [SERVER…]
import { describeVerdict, validate } from 'routepool';

const [block = '127.16.0.0/20', ...servers] = process.argv.slice(2);
const run = validate(block, { servers: servers.length > 0 ? servers : undefined });
run.on('progress', ({ done, total, ratePerSecond }) => {
  console.error(`${done} of ${total}, ${Math.round(ratePerSecond)} a second`);
});
for await (const verdict of run) {
  if (verdict.status !== 'ok') console.log(verdict.ip, describeVerdict(verdict));
}
const summary = await run.summary();
console.log(`${summary.counts.ok} of ${summary.sources} proven in ${Math.round(summary.elapsedMs)} ms`);

const pool = await run.pool();
console.log(`first ${pool.at(0).ext()}, last ${pool.at(-1).ext()}`);
