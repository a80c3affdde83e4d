/** Pipes with the direct reader. */
import { describe } from 'vitest';
import { pipeTests } from './suite/suite.ts';

describe('pipes, direct', () => pipeTests('direct'));
