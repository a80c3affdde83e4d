/** Programs that use the package in a process of their own. */
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Runs an ES module given as text, in the package's folder, so that it can import 'routepool'. */
export function program(text: string, flags: string[] = []): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [...flags, '--input-type=module', '-e', text], {
    cwd: root,
    encoding: 'utf8',
    timeout: 30_000,
  });
}
