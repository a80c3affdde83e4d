// What the benches share: runs contenders in processes of their own, in turn, and compares inside each round.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));

/** Compiles the bare C loop; gives its path. */
export function buildCLoop() {
  mkdirSync(`${here}build`, { recursive: true });
  const out = `${here}build/c-loop`;
  const { status, error } = spawnSync('cc', ['-O2', '-Wall', '-pthread', '-o', out, `${here}c-loop.c`], {
    stdio: 'inherit',
  });
  if (error || status !== 0) throw new Error('the bare C loop needs a C compiler (cc): install gcc or clang');
  return out;
}

/** Runs a command that prints one line of JSON. */
export function run(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 300_000 });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed (${status}): ${stderr}${stdout}`);
  return JSON.parse(stdout);
}

/** A contender of contender.mjs. */
export function contender(kind, block, ...rest) {
  return run(process.execPath, [`${here}contender.mjs`, kind, block, ...rest]);
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** "1.23 [1.10-1.31]" */
export function spread(values) {
  return `${median(values).toFixed(2)} [${Math.min(...values).toFixed(2)}-${Math.max(...values).toFixed(2)}]`;
}

/** The machine, and a warning when something else runs on it. */
export function describeMachine() {
  const [load] = loadavg();
  const cores = cpus();
  const lines = [
    `${cores.length} × ${cores[0]?.model.trim() ?? 'unknown processor'}, Node ${process.versions.node}, ${process.platform} ${process.arch}`,
  ];
  if (load > cores.length * 0.75)
    lines.push(`WARNING: load average ${load.toFixed(1)}: something else is running, so these figures are rough`);
  return lines.join('\n');
}
