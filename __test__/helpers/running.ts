/** A program under way, whose end is not waited for in vain. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** How often a fact is looked at that the program does not tell of, such as a file, in ms. */
const LOOK_EVERY_MS = 5;

/** A program under way, and all that it has printed. */
export class Running {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  /** Its exit code and signal, once its output is complete. */
  readonly closed: Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  #ended: string | undefined;

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (this.stdout += chunk));
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (this.stderr += chunk));
    this.closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    child.once(
      'close',
      (code: number | null, signal: NodeJS.Signals | null) => (this.#ended = signal ?? `exit code ${code}`),
    );
  }

  /** Waits for a fact; throws with what the program has printed if it ends before. */
  async until(what: string, fact: () => boolean): Promise<void> {
    while (!fact()) {
      if (this.#ended !== undefined)
        throw new Error(
          `the program ended (${this.#ended}) before ${what}\nstdout: ${this.stdout.slice(-2_000)}\nstderr: ${this.stderr.slice(-2_000)}`,
        );
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }
}
