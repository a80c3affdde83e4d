// The labs of the tests for scripts and benches: they are TypeScript, which Node 20 does not run.
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';

const folder = fileURLToPath(new URL('../../__test__/lab/', import.meta.url));

/** Imports a lab by its name in `__test__/lab`. */
export async function loadLab(name) {
  const entry = `${folder}${name}.ts`;
  // All labs are in one folder, so where one of them is says where they all look for what they start.
  const define = { 'import.meta.url': JSON.stringify(pathToFileURL(entry).href) };
  const { outputFiles } = buildSync({
    entryPoints: [entry],
    bundle: true,
    platform: 'node',
    format: 'esm',
    write: false,
    define,
  });
  return await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}
