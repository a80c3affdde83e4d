// Type-checks and lints the Rust code for other platforms: node scripts/check/targets.mjs [TARGET…]
// Installs what it needs from Debian's packages where it may. Compiles nothing that could run.
import { readArguments } from '../common/arguments.mjs';
import { run } from '../common/system.mjs';
import { toolchain } from '../build/targets/toolchain.mjs';
import { checked } from '../build/targets/list.mjs';

const { operands } = readArguments({
  usage: 'npm run check:targets [-- TARGET…]',
  about: 'Type-checks and lints the Rust code for other platforms. Without a target: for all.',
  operands: [0, checked.length],
  oneOf: checked,
});
const targets = operands.length > 0 ? operands : checked;
// Tests too, but not those of crates/proto and crates/binding: the former has a development dependency that compiles
// assembly for the platform, and knows no platform; the latter has none.
const TESTED = ['-p', 'routepool-udp', '-p', 'routepool-core', '--all-targets'];

let failed = 0;
for (const target of targets) {
  const began = Date.now();
  try {
    const { clippy, args, env } = toolchain(target);
    const [command, ...first] = clippy;
    for (const what of [['--workspace'], TESTED]) {
      run(command, [...first, '--locked', '-q', ...args, ...what, '--', '-D', 'warnings'], { env });
    }
    console.log(`✔ ${target}  clippy without a warning (${Math.round((Date.now() - began) / 1_000)} s)`);
  } catch (error) {
    failed += 1;
    console.error(`✘ ${target}\n${error.message}`);
  }
}
if (failed > 0) process.exit(1);
