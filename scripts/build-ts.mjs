// Makes dist/ from src/ from nothing: types by tsc, and few JavaScript files instead of a hundred, since importing costs a read and
// a parse each. The command is made executable: npm links it as it is.
import { spawnSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';

import { buildSync } from 'esbuild';

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.json', '--emitDeclarationOnly'], { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);
buildSync({
  entryPoints: ['src/index.ts', 'src/testing/index.ts', 'src/cli/main.ts'],
  outdir: 'dist',
  bundle: true,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  // Errors and `util.inspect` show the names of classes.
  keepNames: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  logLevel: 'warning',
});
chmodSync(new URL('../dist/cli/main.js', import.meta.url), 0o755);
