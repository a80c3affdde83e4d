// Line coverage of crates/proto, from the compiler's own instrumentation; fails below 90 %. Needs llvm-profdata and
// llvm-cov of the same LLVM generation as rustc (rustup component add llvm-tools, or Debian's llvm).
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments } from '../common/arguments.mjs';

readArguments({ usage: 'npm run coverage', about: 'Measures the line coverage of crates/proto; fails below 90 %.' });

const MINIMUM = 90;

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options });
  if (result.status !== 0)
    throw new Error(`${command} ${args[0]} failed:\n${result.error ?? ''}${result.stderr ?? ''}`);
  return result.stdout;
}

function findTool(name) {
  const sysroot = run('rustc', ['--print', 'sysroot']).trim();
  const host = /host: (.*)/.exec(run('rustc', ['-vV']))?.[1] ?? '';
  const bundled = join(sysroot, 'lib', 'rustlib', host, 'bin', name);
  if (existsSync(bundled)) return bundled;
  const major = Number(/LLVM version: (\d+)/.exec(run('rustc', ['-vV']))?.[1] ?? 0);
  const names = [`${name}-${major}`, `${name}-${major + 1}`, name];
  return names.find((candidate) => {
    const { status, stdout } = spawnSync(candidate, ['--version'], { encoding: 'utf8' });
    return status === 0 && Number(/version (\d+)/.exec(stdout)?.[1] ?? 0) >= major;
  });
}

const [profdata, cov] = [findTool('llvm-profdata'), findTool('llvm-cov')];
if (!profdata || !cov) {
  const major = /LLVM version: (\d+)/.exec(run('rustc', ['-vV']))?.[1];
  console.log(
    `coverage: SKIPPED, no llvm-profdata and llvm-cov ${major} or newer found (rustup component add llvm-tools)`,
  );
  process.exit(0);
}
const folder = join('target', 'coverage');
const profiles = join(folder, 'profiles');
rmSync(profiles, { recursive: true, force: true });
mkdirSync(profiles, { recursive: true });
const env = {
  ...process.env,
  RUSTFLAGS: '-Cinstrument-coverage',
  LLVM_PROFILE_FILE: join(process.cwd(), profiles, '%p-%m.profraw'),
  CARGO_TARGET_DIR: folder,
};
const built = run(
  'cargo',
  ['test', '--locked', '-p', 'routepool-proto', '--lib', '--tests', '--no-run', '--message-format=json'],
  { env },
);
const binaries = built
  .split('\n')
  .filter((line) => line.startsWith('{'))
  .map((line) => JSON.parse(line))
  .filter(
    (message) => message.executable && message.profile?.test && message.target?.src_path.includes('/crates/proto/'),
  )
  .map((message) => message.executable);
for (const binary of binaries) run(binary, ['-q'], { env });
const merged = join(folder, 'proto.profdata');
const raw = readdirSync(profiles).map((name) => join(profiles, name));
run(profdata, ['merge', '-sparse', ...raw, '-o', merged]);
// What counts is the crate itself, and not the tests or what they are made with.
const ignore = '--ignore-filename-regex=(registry|rustc|/target/|/tests\\.rs|/tests/|/testkit/)';
const objects = binaries.slice(1).flatMap((binary) => ['-object', binary]);
const report = JSON.parse(
  run(cov, ['export', '-summary-only', ignore, `-instr-profile=${merged}`, binaries[0], ...objects]),
).data[0];
for (const { filename, summary } of report.files) {
  console.log(`${summary.lines.percent.toFixed(1).padStart(6)} %  ${filename.replace(`${process.cwd()}/`, '')}`);
}
const { percent } = report.totals.lines;
console.log(`coverage: ${percent.toFixed(1)} % of the lines of crates/proto (at least ${MINIMUM} %)`);
if (percent < MINIMUM) process.exit(1);
