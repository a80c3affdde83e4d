// Makes dist/ from src/ from nothing: types by tsc, and few JavaScript files instead of a hundred, since importing
// costs a read and a parse each. The command is made executable: npm links it as it is.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';

import { build } from 'esbuild';
import { readArguments } from '../common/arguments.mjs';

readArguments({ usage: 'npm run build:ts', about: 'Makes dist from src.' });

const LIBRARY = 'src/index.ts';
/**
 * Each of these gets files of its own. Of the library they import `../index.ts`, and copies of small things that it
 * does not export.
 */
const OTHERS = ['src/testing/index.ts', 'src/cli/main.ts'];
/** What may be there twice: what it exports has no state, or is told apart by a symbol and not by its class. */
const MAY_BE_COPIED = ['src/errors/errors.ts', 'src/address/family.ts', 'src/validate/verdict.ts'];

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
rmSync(new URL('../../dist', import.meta.url), { recursive: true, force: true });
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.json', '--emitDeclarationOnly'], {
  stdio: 'inherit',
});
if (status !== 0) process.exit(status ?? 1);

const common = {
  outdir: 'dist',
  outbase: 'src',
  bundle: true,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  write: false,
  metafile: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  logLevel: 'warning',
};
const library = await build({ ...common, entryPoints: [LIBRARY] });
const others = await build({ ...common, entryPoints: OTHERS, plugins: [{ name: 'library-once', setup: libraryOnce }] });
const copied = new Set(Object.values(others.metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs)));
const exported = library.metafile.inputs[LIBRARY].imports.map(({ path }) => path);
const twice = exported.filter((path) => copied.has(path) && !MAY_BE_COPIED.includes(path));
if (twice.length > 0) throw new Error(`would be there twice: ${twice.join(', ')}. Import it from '../index.ts'`);

for (const { path, text } of [...library.outputFiles, ...others.outputFiles]) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, withoutFacades(withNames(text)));
}
chmodSync(new URL('../../dist/cli/main.js', import.meta.url), 0o755);

/** The library is not bundled into the other entries: there is one class `Interface` in a process. */
function libraryOnce(context) {
  // Entries and chunks are all one folder deep in dist/.
  context.onResolve({ filter: /^(\.\.\/)+index\.ts$/ }, () => ({ path: '../index.js', external: true }));
}

/**
 * `class Pipe` that speaks of itself has become `var Pipe = class _Pipe`, and errors and `util.inspect` would show that
 * name. Not with `keepNames`: it sets the name of each closure whenever one is made, which costs 250 bytes each (a pipe
 * has a dozen).
 */
function withNames(code) {
  const classes = [...code.matchAll(/^var (\w+) = class (_\1)\b/gm)];
  return classes.reduce(
    (text, [, name, inner]) => text.replaceAll(new RegExp(`(?<![\\w$])${inner}(?![\\w$])`, 'g'), name),
    code,
  );
}

/**
 * Importing a module of Node makes a facade with all that it exports, which reads each of its properties: those of
 * `node:fs` load the streams. Asking for the module itself makes none, which saves 2 ms.
 */
function withoutFacades(code) {
  return code.replaceAll(
    /^import (\{[^}]*\}) from ("node:\w+");$/gm,
    (_, names, module) => `var ${names.replaceAll(' as ', ': ')} = process.getBuiltinModule(${module});`,
  );
}
