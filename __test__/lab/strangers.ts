/** STUN clients of others, as installed; pion's is built by its own tool and kept between runs. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../../target/strangers', import.meta.url));

/** pion's client for RFC 5780. */
export const PION = `${FOLDER}/stun-nat-behaviour`;
const PION_MODULE = 'github.com/pion/stun/v3/cmd/stun-nat-behaviour@v3.1.1';

/** How long building pion's client may take. */
export const BUILDING_MS = 240_000;

/** Why a command cannot be used; undefined when it can. */
export function whyMissing(command: string, where: string): string | undefined {
  return spawnSync(command, [], { timeout: 5_000 }).error
    ? `the command '${command}' is not installed (${where})`
    : undefined;
}

/** Builds pion's client unless it is there. Gives the reason why it cannot be had; undefined when it can. */
export function whyNoPion(): string | undefined {
  if (existsSync(PION)) return undefined;
  const { status, stderr, error } = spawnSync('go', ['install', PION_MODULE], {
    encoding: 'utf8',
    timeout: BUILDING_MS,
    env: { ...process.env, GOBIN: FOLDER, GOFLAGS: '-mod=mod' },
  });
  if (error) return `pion's client cannot be built: ${error.message}`;
  return status === 0 ? undefined : `pion's client cannot be built: ${stderr.trim().split('\n').at(-1)}`;
}
