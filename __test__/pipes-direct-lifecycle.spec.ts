/** Lifecycle of pipes with the direct reader. */
import { describe } from 'vitest';
import { lifecycleTests } from './pipes/lifecycle.ts';

describe('pipes, direct', () => lifecycleTests('direct'));
