/** What becomes of a command whose output cannot be written: the disk is full, or the reader has gone. */
import { getSystemErrorMap } from 'node:util';
import { EXIT } from '../exit-codes.ts';

/**
 * Watches the standard streams. A lost output is told once, in a line, and makes the exit code; the command itself
 * learns of it by the stream's `error` event and ends in order, so that what it has found is saved.
 */
export class OutputWatch {
  /** What the process must exit with, if output was lost. */
  exitCode: number | undefined;

  constructor(output: NodeJS.WriteStream, errors: NodeJS.WriteStream) {
    output.on('error', (error: NodeJS.ErrnoException) => this.#lost(error, errors));
    // Nobody is left to tell.
    errors.on('error', () => undefined);
  }

  #lost(error: NodeJS.ErrnoException, errors: NodeJS.WriteStream): void {
    if (this.exitCode !== undefined) return;
    // A reader that has seen enough (`| head`) closes the pipe: that stops the command and is no failure.
    this.exitCode = error.code === 'EPIPE' ? EXIT.someNot : EXIT.failure;
    if (error.code !== 'EPIPE') errors.write(`routepool: standard output could not be written: ${inWords(error)}\n`);
    // The last of the output may be lost after the command has returned.
    process.exitCode = this.exitCode;
  }
}

function inWords(error: NodeJS.ErrnoException): string {
  const [code, text] = getSystemErrorMap().get(error.errno ?? 0) ?? [];
  return code === undefined ? error.message : `${code}: ${text}`;
}
