// The tests' network labs for benches: TypeScript that Node 20 does not run, so it is compiled beside into target/.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const from = fileURLToPath(new URL('../__test__/lab/', import.meta.url));
const to = fileURLToPath(new URL('../target/nat-lab/', import.meta.url));

mkdirSync(to, { recursive: true });
for (const name of readdirSync(from)) {
  if (name.endsWith('.mjs')) copyFileSync(`${from}${name}`, `${to}${name}`);
  if (!name.endsWith('.ts')) continue;
  const options = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext };
  const { outputText } = ts.transpileModule(readFileSync(`${from}${name}`, 'utf8'), { compilerOptions: options });
  writeFileSync(`${to}${name.replace(/\.ts$/, '.mjs')}`, outputText.replaceAll(/(from '\.\/[\w-]+)\.ts'/g, "$1.mjs'"));
}
const { NatLab } = await import(`${to}nat-lab.mjs`);
const { whyNoNamespaces } = await import(`${to}namespaces.mjs`);
export { NatLab, whyNoNamespaces };
