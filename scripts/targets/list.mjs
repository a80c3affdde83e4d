// The targets of the napi configuration, and those that are only checked.
import { readFileSync } from 'node:fs';

const { napi } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

/** Those that binaries are published for. */
export const published = napi.targets;

/** Those that the code must compile for. */
export const checked = [...published, 'x86_64-unknown-freebsd'];
