/** Lifecycle of pipes with the portable reader. */
import { describe } from 'vitest';
import { lifecycleTests } from './pipes/lifecycle.ts';

describe('pipes, portable', () => lifecycleTests('portable'));
