// npm run check:packages -- DIR: installs routepool from the tarballs in DIR into an empty folder, without a network,
// and tries it on this platform: the loader finds the binary by itself, ES modules and CommonJS, the command, and the
// smoke test with sockets. Needs Node and npm alone.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readArguments } from '../common/arguments.mjs';

const {
  operands: [from],
} = readArguments({
  usage: 'npm run check:packages -- DIR',
  about:
    'Installs the tarballs in DIR (as pack:local and pack:release make it) into an empty folder, without a network, and tries them.',
  operands: [1, 1],
});
// Interfaces are no part of the question, and a host may have thousands.
process.report.excludeNetwork = true;
const glibc = () => process.report.getReport().header.glibcVersionRuntime !== undefined;
const abi = { linux: () => (glibc() ? '-gnu' : '-musl'), win32: () => '-msvc' }[process.platform]?.() ?? '';
const platform = `${process.platform}-${process.arch}${abi}`;
const tarballs = readdirSync(from).filter((name) => new RegExp(`^routepool-(${platform}-)?\\d.*\\.tgz$`).test(name));
if (tarballs.length !== 2) {
  console.error(
    `${from} should have one tarball of routepool and one of routepool-${platform}, and has ${tarballs.join(', ') || 'none of them'}`,
  );
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), 'routepool-installed-'));
const env = { ...process.env };
// A variable that names another binary would hide that the package has none.
for (const name of ['ROUTEPOOL_BINDING', 'NAPI_RS_NATIVE_LIBRARY_PATH']) delete env[name];

function expect(what, expected, command, args, more = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: folder,
    encoding: 'utf8',
    timeout: 120_000,
    env: { ...env, ...more.env },
    shell: more.shell ?? false,
  });
  const said = (stdout ?? '').trim().split('\n').at(-1);
  if (status !== 0 || (expected !== undefined && !expected.test(said))) {
    throw new Error(`${what}: ${error?.message ?? `exit code ${status}`}\n${stdout}${stderr}`);
  }
  console.log(`✔ ${what}: ${said.length > 100 ? `${said.slice(0, 100)}…` : said}`);
}

let failed = false;
try {
  writeFileSync(join(folder, 'package.json'), '{ "name": "project", "private": true }\n');
  const files = tarballs.map((name) => resolve(from, name));
  expect('npm install, offline', undefined, 'npm', ['install', '--offline', '--no-audit', '--no-fund', ...files], {
    shell: process.platform === 'win32',
  });
  const sweep = `validate('127.0.0.1').summary().then(({ counts }) => console.log(counts.ok))`;
  expect('ES modules', /^1$/, process.execPath, [
    '--input-type=module',
    '-e',
    `import { validate } from 'routepool'; ${sweep}`,
  ]);
  expect('CommonJS', /^1$/, process.execPath, [
    '--input-type=commonjs',
    '-e',
    `const { validate } = require('routepool'); ${sweep}`,
  ]);
  expect('the command', /"allOk":true/, process.execPath, [
    'node_modules/routepool/dist/cli/main.js',
    'validate',
    '127.0.0.1',
    '--json',
  ]);
  const smoke = fileURLToPath(new URL('../build/targets/smoke.mjs', import.meta.url));
  expect('smoke test', /^{/, process.execPath, [smoke], {
    env: { ROUTEPOOL_SMOKE: pathToFileURL(join(folder, 'node_modules/routepool/dist/index.js')).href },
  });
} catch (error) {
  failed = true;
  console.error(`✘ ${error.message}`);
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}
console.log(`${platform}, Node ${process.version}: ${failed ? 'FAILED' : 'passed'}`);
if (failed) process.exitCode = 1;
