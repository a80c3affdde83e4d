// Runs the smoke test and the tests of whatever depends on Node's version with other Nodes than this one:
// npm run check:nodes [-- [--smoke] [VERSION…]]
// Without versions: the lowest that the package says it runs with, and the newest of each line since. Each Node comes
// from npm, into target/tools. --smoke leaves the tests out. What is built is used as it is (npm run build). On Linux,
// macOS and Windows.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, resolve } from 'node:path';
import { readArguments } from '../common/arguments.mjs';
import { SMOKE } from '../build/targets/build.mjs';
import { npmNode } from '../build/targets/nodes.mjs';

/** Lines of Node that are newer than the lowest of `engines`. */
const LINES = ['22', '24', '26'];
/**
 * What meets Node itself: the addon and how it is found, its event loop, its sockets and streams, workers, exits, the
 * package.
 */
const SPECS = [
  'cli/cli',
  'daemon/connections',
  'daemon/daemon',
  'daemon/udp',
  'diagnostics',
  'http/agents',
  'interface/dict',
  'native/loader',
  'package/built-names',
  'package/package',
  'pipe/direct',
  'pipe/messages/subscriptions',
  'pipe/portable',
  'pipe/stream',
  'pipe/streams-portable',
  'pipe/tls',
  'routes/route-pool',
  'servers/resolve-name',
  'stun-server/stun-server',
  'testing/testing',
  'validate/hostile',
  'validate/process',
  'validate/run',
  'validate/verdict',
  'watch/watch',
];

const { engines } = JSON.parse(readFileSync('package.json', 'utf8'));
const lowest = [...engines.node.matchAll(/\d+\.\d+\.\d+/g)].map(([version]) => version);
const {
  values: { smoke: smokeOnly },
  operands: named,
} = readArguments({
  usage: 'npm run check:nodes [-- [--smoke] [VERSION…]]',
  about: `Runs the smoke test and the tests that meet Node with other Nodes than this one. Without a version: ${[...lowest, ...LINES].join(', ')}`,
  options: { smoke: { type: 'boolean', default: false, about: 'the smoke test alone' } },
  operands: [0, Number.POSITIVE_INFINITY],
});
const versions = named.length > 0 ? named : [...lowest, ...LINES];
const unknown = versions.filter((version) => !/^\d+(\.\d+){0,2}$/.test(version));
if (unknown.length > 0) {
  console.error(
    `not a version of Node: ${unknown.join(', ')}. Expected 22, 22.13 or 22.13.0, or nothing for ${[...lowest, ...LINES].join(', ')}`,
  );
  process.exit(2);
}
if (!existsSync('dist/index.js')) {
  console.error('There is nothing to run yet: npm run build');
  process.exit(2);
}
const vitest = resolve(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
const specs = SPECS.map((name) => `__test__/${name}.spec.ts`);
const gone = specs.filter((file) => !existsSync(file));
if (gone.length > 0) {
  console.error(`not there any more, so they would be left out: ${gone.join(', ')}`);
  process.exit(2);
}

let failed = 0;
for (const version of versions) {
  const began = Date.now();
  const node = npmNode(version);
  // For what the tests start by name.
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` };
  const smoke = spawnSync(node, [SMOKE], { encoding: 'utf8', env });
  const passed = smoke.status === 0;
  console.log(
    passed
      ? `✔ Node ${version}  smoke test: ${smoke.stdout.trim()}`
      : `✘ Node ${version}  smoke test:\n${smoke.error?.message ?? ''}${smoke.stdout}${smoke.stderr}`,
  );
  const tested = smokeOnly || spawnSync(node, [vitest, 'run', ...specs], { stdio: 'inherit', env }).status === 0;
  if (!smokeOnly)
    console.log(`${tested ? '✔' : '✘'} Node ${version}  tests (${Math.round((Date.now() - began) / 1_000)} s)`);
  if (!passed || !tested) failed += 1;
}
if (failed > 0) process.exit(1);
