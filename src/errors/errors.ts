/** Errors: routepool's own, and system errors in the shape that Node gives them. */
import { getSystemErrorName } from 'node:util';
import type { Failure } from '../native/binding.ts';
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

/** Whether a value of the addon is a failure. */
export function isFailure(value: unknown): value is Failure {
  return typeof value === 'object' && value !== null && 'failure' in value && value.failure === true;
}

/** Makes the Error that a failure of the addon stands for. */
export function toError(failure: Failure): Error {
  if (failure.code !== 'SYSTEM') {
    return new RoutePoolError(failure.code as RoutePoolErrorCode, failure.message, { option: failure.option });
  }
  const { syscall, errno = -5, address, port } = failure;
  const code = getSystemErrorName(errno);
  const where = address === undefined ? '' : ` ${address}${port ? `:${port}` : ''}`;
  const error = new Error(`${syscall} ${code}${where}`);
  return Object.assign(error, { errno, code, syscall }, address === undefined ? {} : { address, port });
}

/** Gives an error that comes up later the stack of the call that began the work: that is the line to look at. */
export function withStackOf(error: Error, origin: { readonly stack?: string }): Error {
  const frames = origin.stack?.slice(origin.stack.indexOf('\n'));
  if (frames !== undefined) error.stack = `${error.name}: ${error.message}${frames}`;
  return error;
}

/** The result of a call into the addon; throws what it failed with. `caller` is left out of the stack. */
export function unwrap<T>(value: T | Failure, caller: (...args: never[]) => unknown): T {
  if (!isFailure(value)) return value;
  const error = toError(value);
  Error.captureStackTrace(error, caller);
  throw error;
}

/** The error of an aborted operation, as Node's own: `AbortError`, `ABORT_ERR`, the signal's reason as `cause`. */
export function abortError(signal: AbortSignal): Error {
  const error = new Error('The operation was aborted', { cause: signal.reason });
  error.name = 'AbortError';
  return Object.assign(error, { code: 'ABORT_ERR' });
}
