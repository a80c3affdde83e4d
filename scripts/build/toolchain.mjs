// Says in one line what is missing to build the addon, instead of the last of many lines of a compiler that is not
// there.
import { spawnSync } from 'node:child_process';

const MINIMUM = [1, 89];

function fail(what) {
  console.error(
    `routepool: ${what} Install Rust 1.89 or newer (https://rustup.rs, or your system's packages), then run npm install again.`,
  );
  process.exit(1);
}

const cargo = spawnSync('cargo', ['--version'], { encoding: 'utf8' });
const rustc = spawnSync('rustc', ['--version'], { encoding: 'utf8' });
if (cargo.status !== 0 || rustc.status !== 0)
  fail('The addon is built from Rust, and no Rust compiler (cargo, rustc) was found.');
const version = /(\d+)\.(\d+)/.exec(rustc.stdout)?.slice(1).map(Number) ?? [0, 0];
if (version[0] < MINIMUM[0] || (version[0] === MINIMUM[0] && version[1] < MINIMUM[1])) {
  fail(`The addon needs Rust 1.89 or newer, and this is ${rustc.stdout.trim()}.`);
}
if (!['cc', 'gcc', 'clang', 'link'].some((linker) => spawnSync(linker, ['--version']).error === undefined)) {
  fail('Rust needs a linker, and no C compiler (cc) was found: install gcc or clang too.');
}
