// npm run check:rust-version: whether the code may say that it compiles with the `rust-version` of Cargo.toml: that no
// crate of the lock file asks for a newer compiler, and that the code uses nothing of the standard library that is
// newer (clippy::incompatible_msrv, one of the warnings; the same call as in lint:rust, so it costs nothing after
// that). Newer syntax would be seen only by a compiler that old.
import { readArguments } from '../common/arguments.mjs';
import { run } from '../common/system.mjs';

readArguments({
  usage: 'npm run check:rust-version',
  about: 'Checks that the code may say that it compiles with the rust-version of Cargo.toml.',
});

const number = (version) =>
  version
    .split('.')
    .map(Number)
    .reduce((sum, part, at) => sum + part * 1_000 ** (2 - at), 0);

const { packages, workspace_members: members } = JSON.parse(
  run('cargo', ['metadata', '--locked', '--format-version', '1']),
);
const own = packages.filter(({ id }) => members.includes(id));
const [claimed, ...others] = new Set(own.map(({ rust_version: version }) => version));
if (!claimed || others.length > 0) {
  console.error(`the crates of this repository say different things: ${[claimed, ...others].join(', ')}`);
  process.exit(1);
}
const asking = packages
  .filter(({ rust_version: version }) => version)
  .toSorted((a, b) => number(b.rust_version) - number(a.rust_version));
const newer = asking.filter(({ rust_version: version }) => number(version) > number(claimed));
for (const { name, version, rust_version: wanted } of newer)
  console.error(`✘ ${name} ${version} needs Rust ${wanted}, and Cargo.toml says ${claimed}`);
if (newer.length > 0) process.exit(1);
const most = asking.find(({ id }) => !members.includes(id));
console.log(
  `✔ none of ${packages.length} crates needs more than Rust ${claimed}; the most is ${most.rust_version}, by ${most.name} ${most.version}`,
);

run('cargo', ['clippy', '-q', '--workspace', '--all-targets', '--locked', '--', '-D', 'warnings']);
console.log(
  `✔ nothing of the standard library is newer than Rust ${claimed}; this compiler is ${run('rustc', ['--version']).trim()}`,
);
