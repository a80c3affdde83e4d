/** Errors of routepool's own, and those that are Node's to name. */
import type { RoutePoolErrorCode } from './error-codes.ts';

const brand = Symbol.for('routepool.error');

/** An error of routepool. `instanceof` also holds across two copies of the package in one process. */
export class RoutePoolError extends Error {
  /** Stable code. */
  readonly code: RoutePoolErrorCode;
  /** The option to change, where one is at fault. */
  readonly option?: string;

  /** @internal */
  constructor(code: RoutePoolErrorCode, message: string, extra: { option?: string | undefined; cause?: unknown } = {}) {
    super(message, 'cause' in extra ? { cause: extra.cause } : undefined);
    this.code = code;
    if (extra.option !== undefined) this.option = extra.option;
    Object.defineProperty(this, brand, { value: true });
  }

  static {
    Object.defineProperty(this.prototype, 'name', { value: 'RoutePoolError', configurable: true, writable: true });
  }

  /** Whether a value is an error of routepool, also of another copy of the package. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && brand in value;
  }
}

/** The error of an aborted operation, as Node's own: `AbortError`, `ABORT_ERR`, the signal's reason as `cause`. */
export function abortError(signal: AbortSignal): Error {
  const error = new Error('The operation was aborted', { cause: signal.reason });
  error.name = 'AbortError';
  return Object.assign(error, { code: 'ABORT_ERR' });
}

/** Something was used in a way that it does not offer. */
export function misuse(message: string): RoutePoolError {
  return new RoutePoolError('ERR_ROUTEPOOL_MISUSE', message);
}

/** What was thrown as an Error: it need not be one. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}
