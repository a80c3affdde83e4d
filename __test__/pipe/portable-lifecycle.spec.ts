/** Lifecycle of pipes with the portable reader. */
import { describe } from 'vitest';
import { lifecycleTests } from './suite/lifecycle.ts';

describe('pipes, portable', () => lifecycleTests('portable'));
