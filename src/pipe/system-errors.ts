/** Error numbers of the system, and the errors that Node makes of them. */
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import type { Endpoint } from '../address/endpoint.ts';

const {
  EAGAIN,
  EWOULDBLOCK,
  ENOBUFS,
  ENOMEM,
  ENOTCONN,
  ETIMEDOUT,
  ECONNREFUSED,
  EHOSTUNREACH,
  ENETUNREACH,
  ECONNRESET,
} = constants.errno;

/** Whether the kernel has no room now, and will have later. ENOBUFS: the queue of the device is full (udp(7)). */
export function isFull(errno: number): boolean {
  const number = -errno;
  return number === EAGAIN || number === EWOULDBLOCK || number === ENOBUFS || number === ENOMEM;
}

/** Whether an ICMP message to an earlier datagram stands behind it: it says nothing of this call. */
export function isIcmp(errno: number): boolean {
  const number = -errno;
  return number === ECONNREFUSED || number === EHOSTUNREACH || number === ENETUNREACH || number === ECONNRESET;
}

/** The negative number of a socket without a peer, or whose peer has reset it. */
export const NOT_CONNECTED: number = -ENOTCONN;

/** The negative number of a time-out. */
export const TIMED_OUT: number = -ETIMEDOUT;

/** Errors that were made here, where nobody's call is on the stack. */
const ours = new WeakSet<Error>();

/**
 * The error for one of those who wait for it: a copy with the stack of that wait, if it is one of the system. Called in
 * an `async` function that awaits, V8 goes on from there to the lines that await it, which costs nothing until
 * something fails. What somebody else made stays what it is.
 */
export function forWaiter(error: unknown): unknown {
  if (!(error instanceof Error) || !ours.has(error)) return error;
  const copy = Object.assign(new Error(error.message), error);
  Error.captureStackTrace(copy, forWaiter);
  return copy;
}

/** An error as Node's own sockets have it: `connect ECONNREFUSED 192.0.2.1:80`. */
export function systemError(
  errno: number,
  syscall: string,
  remote: Endpoint | undefined,
  local: Endpoint | undefined,
): NodeJS.ErrnoException {
  let code: string;
  try {
    code = getSystemErrorName(errno);
  } catch {
    code = `errno ${-errno}`;
  }
  const where = remote === undefined ? '' : ` ${remote.address}:${remote.port}`;
  const error = new Error(`${syscall} ${code}${where}`);
  ours.add(error);
  return Object.assign(
    error,
    { errno, code, syscall },
    remote === undefined ? {} : { address: remote.address, port: remote.port },
    local === undefined || local.port === 0 ? {} : { localAddress: local.address, localPort: local.port },
  );
}
