/** P2PD itself, in a Python environment of its own that is kept between runs. */
import { execFile, spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const windows = process.platform === 'win32';

const VENV = here('../../target/p2pd-venv');
const PYTHON = `${VENV}/${windows ? 'Scripts/python.exe' : 'bin/python'}`;
const REQUIREMENTS = here('p2pd-requirements.txt');
const SCRIPT = here('p2pd_dict.py');
/** Written last: an environment without it, or for other versions, is made anew. */
const STAMP = `${VENV}/made-from.txt`;

/** How long the environment may take to make: one package is compiled. */
export const MAKING_MS = 180_000;

/** What P2PD made of a dict. */
export interface Answer {
  printed?: unknown;
  evaluated?: boolean;
  refused?: string;
}

/** Makes the environment unless it is there. Gives the reason why P2PD cannot be had here; undefined when it can. */
export async function whyNoP2pd(): Promise<string | undefined> {
  const wanted = readFileSync(REQUIREMENTS, 'utf8');
  if (stamp() === wanted) return undefined;
  rmSync(VENV, { recursive: true, force: true });
  const pip = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '--no-input',
    '--retries',
    '1',
    '-r',
    REQUIREMENTS,
  ];
  const why =
    (await whyFailed('there is no Python with venv', windows ? 'python' : 'python3', ['-m', 'venv', VENV])) ??
    (await whyFailed('pip cannot install p2pd', PYTHON, pip)) ??
    (await whyFailed('p2pd cannot be imported by this Python', PYTHON, ['-c', 'import p2pd']));
  if (why === undefined) writeFileSync(STAMP, wanted);
  return why;
}

function stamp(): string | undefined {
  try {
    return readFileSync(STAMP, 'utf8');
  } catch {
    return undefined;
  }
}

async function whyFailed(what: string, command: string, args: string[]): Promise<string | undefined> {
  try {
    await promisify(execFile)(command, args, { timeout: MAKING_MS });
    return undefined;
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string };
    return `${what}: ${stderr.trim().split('\n').at(-1) || message}`;
  }
}

/** What P2PD makes of each dict. */
export async function askP2pd(dicts: readonly object[]): Promise<{ answers: Answer[]; calls: string[] }> {
  // Its home and folder are the environment: whatever it may write is gone with that.
  const python = spawn(PYTHON, [SCRIPT], {
    cwd: VENV,
    env: { ...process.env, HOME: VENV },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  python.stdin.end(JSON.stringify(dicts));
  const [out, error] = await Promise.all([text(python.stdout), text(python.stderr)]);
  if (out === '') throw new Error(`p2pd_dict.py failed: ${error}`);
  return JSON.parse(out) as { answers: Answer[]; calls: string[] };
}
