/**
 * What the addon says went wrong, and the Error that it stands for: routepool's own, or a system error in the shape
 * that Node gives it.
 */
import { getSystemErrorName } from 'node:util';
import type { RoutePoolErrorCode } from '../errors/error-codes.ts';
import { RoutePoolError } from '../errors/errors.ts';
import type { Failure } from './binding.ts';

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

/** The result of a call into the addon; throws what it failed with. `caller` is left out of the stack. */
export function unwrap<T>(value: T | Failure, caller: (...args: never[]) => unknown): T {
  if (!isFailure(value)) return value;
  const error = toError(value);
  Error.captureStackTrace(error, caller);
  throw error;
}
