/** Pipes with the portable reader. */
import { describe } from 'vitest';
import { pipeTests } from './pipes/suite.ts';

describe('pipes, portable', () => pipeTests('portable'));
