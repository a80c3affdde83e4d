// Runs every example and every JavaScript block of README and docs: what the documentation shows must work. No public server is
// asked: examples get one at this machine's own address, by STUN_SERVER.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { listInterfaces, StunServer } from '../dist/index.js';

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
  const { status, signal } = spawnSync(process.execPath, args, { stdio: 'inherit', timeout: 60_000, env: { ...process.env, STUN_SERVER } });
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
/** The blocks of a document that Node runs. Every one of another form is an error, so that none is left out unseen. */
function blocksOf(file) {
  const text = readFileSync(file, 'utf8');
  const unknown = [...text.matchAll(/^```(\S+)$/gm)].map(([, form]) => form).filter((form) => !['js', 'sh', 'c', 'json', 'toml', 'text'].includes(form));
  if (unknown.length > 0) throw new Error(`${file} has blocks that are neither run nor known: ${unknown.join(', ')}`);
  return [...text.matchAll(/^```js\n(.*?)^```/gms)].map(([, code]) => code);
}

if (blocksOf('README.md').length === 0) throw new Error('the README has no JavaScript block any more: is its form another?');
for (const file of ['README.md', ...readdirSync('docs').filter((name) => name.endsWith('.md')).map((name) => join('docs', name))]) {
  blocksOf(file).forEach((code, i) => {
    const local = code.replaceAll('Interface.load()', `Interface.load({ stunServers: '${STUN_SERVER}' })`);
    run(`${file}, block ${i + 1}`, ['--input-type=module', '-e', local]);
  });
}
await server.close();
