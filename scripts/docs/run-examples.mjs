// Runs every example and every JavaScript block of README and docs: what the documentation shows must work. No public
// server is asked: examples get one at this machine's own address, by STUN_SERVER.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { listInterfaces, StunServer } from '../../dist/index.js';
import { readArguments } from '../common/arguments.mjs';
import { blocksOf, DOCUMENTS } from './doc-blocks.mjs';

readArguments({
  usage: 'node scripts/docs/run-examples.mjs',
  about: 'Runs every example and every JavaScript block of README and docs.',
});

const own = listInterfaces({ details: true })
  .filter((facts) => facts.up && facts.default[4])
  .flatMap((facts) => facts.addresses)
  .find((address) => address.family === 4 && address.scope !== 'loopback');
const server = StunServer.listen({ address: own?.ip ?? '127.0.0.1' }).unref();
const STUN_SERVER = `${server.address}:${server.port}`;
const built = join('target', 'examples');
mkdirSync(built, { recursive: true });

function run(title, args) {
  console.log(`\n$ ${title}`);
  const { status, signal } = spawnSync(process.execPath, args, {
    stdio: 'inherit',
    timeout: 60_000,
    env: { ...process.env, STUN_SERVER },
  });
  if (status !== 0) {
    console.error(`${title} failed (${signal ?? `exit code ${status}`})`);
    process.exit(1);
  }
}

for (const name of readdirSync('examples').toSorted()) {
  if (name.endsWith('.mjs')) run(`node examples/${name}`, [`examples/${name}`]);
  if (!name.endsWith('.ts')) continue;
  // Node 20 runs no TypeScript; `tsc` has checked its types already.
  const options = { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext };
  const { outputText } = ts.transpileModule(readFileSync(join('examples', name), 'utf8'), { compilerOptions: options });
  const file = join(built, name.replace(/\.ts$/, '.mjs'));
  writeFileSync(file, outputText);
  run(`node examples/${name}`, [file]);
}
const blocks = DOCUMENTS.flatMap((file) => blocksOf(file));
if (!blocks.some((block) => block.file === 'README.md' && block.kind === 'run'))
  throw new Error('the README has no JavaScript block any more: is its form another?');
for (const { file, line, kind, code } of blocks) {
  if (kind !== 'run') continue;
  // Nobody asks public servers here.
  const local = code.replaceAll('Interface.load()', `Interface.load({ servers: '${STUN_SERVER}' })`);
  const { outputText } = ts.transpileModule(local, {
    compilerOptions: { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext },
  });
  run(`${file}, line ${line}`, ['--input-type=module', '-e', outputText]);
}
await server.close();
