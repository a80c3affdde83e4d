// Tools that PyPI has ready-made, in a folder of their own.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { spawnSync } from 'node:child_process';
import { has, needPackages, run } from './toolchain.mjs';

const TOOLS = resolve('target', 'python-tools');
const BIN = join(TOOLS, process.platform === 'win32' ? 'Scripts' : 'bin');

/** The Python that `requirements` are installed for. */
export function pythonWith(...requirements) {
  const python = join(BIN, process.platform === 'win32' ? 'python.exe' : 'python3');
  if (!existsSync(python)) {
    if (spawnSync('python3', ['-c', 'import ensurepip']).status !== 0) needPackages([], ['python3', 'python3-venv']);
    run('python3', ['-m', 'venv', TOOLS]);
  }
  // pip takes seconds to find that there is nothing to do.
  const list = join(TOOLS, 'installed.json');
  const installed = existsSync(list) ? JSON.parse(readFileSync(list, 'utf8')) : [];
  const missing = requirements.filter((requirement) => !installed.includes(requirement));
  if (missing.length > 0) {
    run(python, ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', ...missing]);
    writeFileSync(list, JSON.stringify([...installed, ...missing]));
  }
  return python;
}

/** A command of a PyPI package: the one on the PATH, or one of this very version. */
export function pythonTool(command, requirement) {
  if (has(command)) return command;
  pythonWith(requirement);
  return join(BIN, command);
}
