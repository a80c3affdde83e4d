/** Pipes with the portable reader. */
import { describe } from 'vitest';
import { pipeTests } from './suite/suite.ts';

describe('pipes, portable', () => pipeTests('portable'));
