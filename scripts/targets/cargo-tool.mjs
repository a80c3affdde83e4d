// Tools that are themselves crates.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { has, run } from './system.mjs';

/** The command of a crate: the one on the PATH, or one of this version compiled into target/tools. */
export function cargoTool(name, version) {
  if (has(name)) return name;
  const root = resolve('target', 'tools');
  const file = join(root, 'bin', name);
  if (!existsSync(file)) run('cargo', ['install', '--locked', '--quiet', '--root', root, `${name}@${version}`], { inherit: true });
  return file;
}
