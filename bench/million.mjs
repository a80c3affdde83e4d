// A million sources (127.32.0.0/12 is 1,048,576) against 65,536 in the same run: the rate must not fall, nor memory
// grow.
// usage: node bench/million.mjs [--rounds N]
import { parseArgs } from 'node:util';
import { contender, describeMachine, median, spread } from './harness.mjs';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });
const [small, large, memory] = [[], [], []];
const cpu = [];
for (let round = 0; round < Number(values.rounds); round++) {
  const few = contender('verdicts', '127.16.0.0/16');
  const many = contender('verdicts', '127.32.0.0/12');
  if (few.ok !== few.sources || many.ok !== many.sources) throw new Error('not every source was proven');
  small.push(few.sources / few.seconds);
  large.push(many.sources / many.seconds);
  memory.push(many.maxRssMiB);
  cpu.push(few.cpuSeconds / few.sources / (many.cpuSeconds / many.sources));
}
const rate = (values) => Math.round(median(values)).toLocaleString('en-US');
console.log(`${describeMachine()}
65,536 sources:    ${rate(small)} a second
1,048,576 sources: ${rate(large)} a second, ratio ${spread(large.map((value, i) => value / small[i]))}; by processor time ${spread(cpu)}
largest resident set with 1,048,576 sources: ${Math.max(...memory).toFixed(0)} MiB`);
