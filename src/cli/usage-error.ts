/** Errors that the user mends by calling again. */
import type { RoutePoolErrorCode } from '../errors/error-codes.ts';
import { RoutePoolError } from '../errors/errors.ts';

const USAGE: readonly RoutePoolErrorCode[] = [
  'ERR_ROUTEPOOL_BLOCK',
  'ERR_ROUTEPOOL_NOT_LOCAL',
  'ERR_ROUTEPOOL_SERVER',
  'ERR_ROUTEPOOL_OPTION',
  'ERR_ROUTEPOOL_NO_INTERFACE',
  'ERR_ROUTEPOOL_STATE',
];

/** A wrong call. */
export class UsageError extends Error {
  /** Whether an error is the caller's to mend. */
  static isUsage(error: unknown): boolean {
    return error instanceof UsageError || (error instanceof RoutePoolError && USAGE.includes(error.code));
  }
}
