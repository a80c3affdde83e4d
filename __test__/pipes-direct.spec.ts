/** Pipes with the direct reader. */
import { describe } from 'vitest';
import { pipeTests } from './pipes/suite.ts';

describe('pipes, direct', () => pipeTests('direct'));
