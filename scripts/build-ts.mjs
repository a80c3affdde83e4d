// Makes dist/ from src/ from nothing: types by tsc, and few JavaScript files instead of a hundred, since importing costs a read and
// a parse each. The command is made executable: npm links it as it is.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';

import { build } from 'esbuild';
import { readArguments } from './arguments.mjs';

readArguments({ usage: 'npm run build:ts', about: 'Makes dist from src.' });

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.json', '--emitDeclarationOnly'], { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);

// esbuild makes a file for each set of modules that the same entries reach, and each file costs half a millisecond at import. So all
// entries reach all of the library: it is one file, and `index.js` only names what it exports.
const wholeLibrary = {
  name: 'whole-library',
  setup: (context) =>
    context.onLoad({ filter: /src.(testing.index|cli.commands)\.ts$/ }, ({ path }) => ({
      contents: `${readFileSync(path, 'utf8')}\nimport '../index.ts';\n`,
      loader: 'ts',
    })),
};
const { outputFiles } = await build({
  entryPoints: ['src/index.ts', 'src/testing/index.ts', 'src/cli/main.ts'],
  outdir: 'dist',
  bundle: true,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  write: false,
  plugins: [wholeLibrary],
  // Or that import would be left out, since package.json says that importing does nothing.
  ignoreAnnotations: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  logLevel: 'warning',
});

// `class Pipe` that speaks of itself has become `var Pipe = class _Pipe`, and errors and `util.inspect` would show that name. Not with
// `keepNames`: it sets the name of each closure whenever one is made, which costs 250 bytes each (a pipe has a dozen).
for (const { path, text } of outputFiles) {
  const classes = [...text.matchAll(/^var (\w+) = class (_\1)\b/gm)];
  const named = classes.reduce((code, [, name, inner]) => code.replaceAll(new RegExp(`(?<![\\w$])${inner}(?![\\w$])`, 'g'), name), text);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, named);
}
chmodSync(new URL('../dist/cli/main.js', import.meta.url), 0o755);
