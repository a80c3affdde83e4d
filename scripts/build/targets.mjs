// Builds the addon for other platforms and runs it where this machine can: npm run build:targets [-- [--quick]
// [TARGET…]]
// --quick: without optimization, in half the time.
// Needs Linux on x64, Debian's packages (installed where it may), pip and npm. What is built here is for tests: what is
// published is built by the release workflow, on each platform. Prints what was linked and what was run, and fails if
// anything did.
import { readArguments } from '../common/arguments.mjs';
import { build, check, targets } from './targets/build.mjs';
import { has } from '../common/system.mjs';

const all = Object.keys(targets);
const { values, operands } = readArguments({
  usage: 'npm run build:targets [-- [--quick] [TARGET…]]',
  about:
    'Builds the addon for other platforms and runs it where this machine can. Without a target: all that can be built here.',
  options: { quick: { type: 'boolean', about: 'without optimization, in half the time' } },
  operands: [0, all.length],
  oneOf: all,
});
const effort = values.quick ? 'least' : 'less';
const wanted = operands.length > 0 ? operands : all;
if (process.platform !== 'linux' || process.arch !== 'x64' || !has('objdump')) {
  console.error('This needs Linux on x64, with binutils.');
  process.exit(2);
}
let failed = 0;
for (const name of wanted) {
  const target = targets[name];
  const began = Date.now();
  const seconds = () => `${Math.round((Date.now() - began) / 1_000)} s`;
  try {
    const addon = build(name, { effort });
    console.log(`✔ ${name}  linked: ${check(name, addon)} (${seconds()})`);
    if (target.smoke) console.log(`✔ ${name}  run: ${target.smoke(addon)} (${seconds()})`);
    else console.log(`  ${name}  not run: no Linux machine runs macOS`);
  } catch (error) {
    failed += 1;
    console.error(`✘ ${name}  ${error.message}`);
  }
}
if (failed > 0) process.exit(1);
