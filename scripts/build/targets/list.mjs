// The targets of the napi configuration, and those that are only checked.
import { readFileSync } from 'node:fs';

const { napi } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));

/** Those that binaries are published for. */
export const published = napi.targets;

/** Those that the code must compile for. */
export const checked = [...published, 'x86_64-unknown-freebsd'];

const CPUS = { x86_64: 'x64', aarch64: 'arm64' };
const SYSTEMS = { linux: 'linux', darwin: 'darwin', windows: 'win32' };

/** The name of a target's binary: `routepool.linux-x64-gnu.node`, as the loader looks for it. */
export function fileOf(target) {
  const [cpu, , system, abi] = target.split('-');
  return `routepool.${[SYSTEMS[system], CPUS[cpu], abi].filter(Boolean).join('-')}.node`;
}
