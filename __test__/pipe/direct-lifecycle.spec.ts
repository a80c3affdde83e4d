/** Lifecycle of pipes with the direct reader. */
import { describe } from 'vitest';
import { lifecycleTests } from './suite/lifecycle.ts';

describe('pipes, direct', () => lifecycleTests('direct'));
