// Commands of the system, and Debian's packages that bring them.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Runs a command; gives its output, or throws with it. `inherit` shows the output instead. */
export function run(command, args, { inherit = false, ...options } = {}) {
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: inherit ? 'inherit' : 'pipe',
    ...options,
  });
  if (status !== 0) {
    const why = error?.message ?? signal ?? `exit code ${status}`;
    throw new Error(`${command} ${args.join(' ')}: ${why}\n${stdout ?? ''}${stderr ?? ''}`);
  }
  return stdout ?? '';
}

/** Whether a command is there. */
export function has(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).error === undefined;
}

let updated = false;

/** Makes apt know what there is, once. Needs root. */
export function updatePackages() {
  if (!updated) run('apt-get', ['update', '-qq']);
  updated = true;
}

/**
 * Installs Debian packages unless all `present` (commands or files) are there; says what is missing where it may not.
 */
export function needPackages(present, packages) {
  if (present.length > 0 && present.every((path) => existsSync(path) || (!path.includes('/') && has(path)))) return;
  if (process.getuid?.() !== 0 || !has('apt-get')) {
    throw new Error(
      `missing: ${packages.join(' ')} (Debian packages, or what they bring). Install them, or run this as root.`,
    );
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  updatePackages();
  run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { env });
}
