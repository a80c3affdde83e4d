#!/usr/bin/env node
/** The command: an addon that cannot be loaded is told in words, everything else is said by the command line itself. */
import { EXIT } from './exit-codes.ts';

try {
  await import('./command-line.ts');
} catch (error) {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_ROUTEPOOL_BINDING') throw error;
  process.stderr.write(`routepool: ${error.message}\n`);
  process.exitCode = EXIT.failure;
}
