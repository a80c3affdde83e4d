// Tools that PyPI has ready-made.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pip, TOOLS } from '../build/targets/nodes.mjs';
import { has } from './system.mjs';

const BIN = join(TOOLS, 'bin');
const LIST = join(TOOLS, 'installed.json');

/** The Python that `requirements` are installed for. */
export function pythonWith(...requirements) {
  // pip takes seconds to find that there is nothing to do.
  const installed = existsSync(LIST) ? JSON.parse(readFileSync(LIST, 'utf8')) : [];
  const missing = requirements.filter((requirement) => !installed.includes(requirement));
  if (missing.length > 0) {
    pip('install', ...missing);
    writeFileSync(LIST, JSON.stringify([...installed, ...missing]));
  }
  return join(BIN, 'python3');
}

/** A command of a PyPI package: the one on the PATH, or one of this very version. */
export function pythonTool(command, requirement) {
  if (has(command)) return command;
  pythonWith(requirement);
  return join(BIN, command);
}
