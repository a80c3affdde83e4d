/** Options of pipes. */
import { checkBounded } from '../native/option-bounds.ts';
import type { ConnectionOptions } from 'node:tls';
import { CONNECT_TIMEOUT_MS, DNS_TIMEOUT_MS, PIPE_HIGH_WATER_MARK } from '../defaults.ts';
import { checkTlsOptions } from '../options/tls.ts';
import {
  checkBoolean,
  checkLookup,
  checkNames,
  checkNumber,
  checkSignal,
  wrong,
  type LookupFunction,
} from '../options/check.ts';
import type { SocketOptions } from './sockets/socket-request.ts';

/** How a pipe is opened. Everything is optional. */
export interface PipeOptions {
  /** How long a name may take to resolve, in milliseconds, 1 to 600,000; 6,000 by default. */
  dnsTimeoutMs?: number | undefined;
  /**
   * How long a connection (with `tls`: and its handshake) may take to be made, in milliseconds, 1 to 600,000; 10,000 by
   * default.
   */
  connectTimeoutMs?: number | undefined;
  /** How long {@link Pipe.recv} waits where the call does not say, in milliseconds; without it there is no limit. */
  recvTimeoutMs?: number | undefined;
  /** Bind an address that is in use (`SO_REUSEADDR`); false by default. */
  reuseAddress?: boolean | undefined;
  /** Allow a UDP pipe to send to broadcast addresses (`SO_BROADCAST`); false by default. */
  broadcast?: boolean | undefined;
  /**
   * How long the system goes on sending after a close, in seconds (`SO_LINGER`); by default as long as it takes. 0: a
   * close resets.
   */
  linger?: number | undefined;
  /** Send small pieces at once (`TCP_NODELAY`); true by default, since a pipe carries messages. */
  noDelay?: boolean | undefined;
  /**
   * Ask a silent peer whether it is still there (`SO_KEEPALIVE`): true, or after how many milliseconds; false by
   * default.
   */
  keepAlive?: boolean | number | undefined;
  /**
   * Bytes of the kernel's send buffer, 1,024 to 1,073,741,824 (`SO_SNDBUF`; the system may give less, and counts
   * double).
   */
  sendBuffer?: number | undefined;
  /** Bytes of the kernel's receive buffer (`SO_RCVBUF`). */
  receiveBuffer?: number | undefined;
  /**
   * Bytes that wait to be received beyond which the pipe stops reading; 131,072 by default. TCP then slows the sender
   * down; of UDP the kernel drops what does not fit its buffer and counts it ({@link Pipe.counters}).
   */
  highWaterMark?: number | undefined;
  /**
   * Largest message, in bytes, 1 to 65,536 (the default): a TCP pipe never gives more at once; a UDP pipe drops and
   * counts larger datagrams, and refuses to send them.
   */
  maxMessage?: number | undefined;
  /** Whether the pipe goes on sending after its peer has ended; false by default, as for `node:net`. */
  allowHalfOpen?: boolean | undefined;
  /** Encrypts: true, or what `tls.connect` takes. Certificates are verified, for the host of the destination. */
  tls?: boolean | ConnectionOptions | undefined;
  /** Gives up opening; the promise then rejects with an AbortError. Once the pipe is open it does nothing. */
  signal?: AbortSignal | undefined;
  /** How names are resolved; `dns.lookup` by default. */
  lookup?: LookupFunction | undefined;
}

const KNOWN = [
  'dnsTimeoutMs',
  'connectTimeoutMs',
  'recvTimeoutMs',
  'reuseAddress',
  'broadcast',
  'linger',
  'noDelay',
  'keepAlive',
  'sendBuffer',
  'receiveBuffer',
  'highWaterMark',
  'maxMessage',
  'allowHalfOpen',
  'tls',
  'signal',
  'lookup',
] as const satisfies readonly (keyof PipeOptions)[];

/** What other libraries, and P2PD, call them. */
const SYNONYMS = {
  timeout: 'connectTimeoutMs',
  con_timeout: 'connectTimeoutMs',
  recv_timeout: 'recvTimeoutMs',
  dns_timeout: 'dnsTimeoutMs',
  reuse_addr: 'reuseAddress',
  reuseAddr: 'reuseAddress',
  use_ssl: 'tls',
  recvBufferSize: 'receiveBuffer',
  sendBufferSize: 'sendBuffer',
};

/** What an open pipe needs of its options. Pipes with the same ones share the object. @internal */
export interface PipeSettings {
  readonly highWaterMark: number;
  readonly recvTimeoutMs: number | undefined;
  readonly maxMessage: number;
  readonly allowHalfOpen: boolean;
}

/** Options that were checked. @internal */
export interface CheckedPipeOptions {
  readonly dnsTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly settings: PipeSettings;
  readonly tls: ConnectionOptions | undefined;
  readonly signal: AbortSignal | undefined;
  readonly lookup: LookupFunction | undefined;
  readonly socket: SocketOptions;
}

/**
 * Milliseconds before a silent peer is asked, unless the user says: as `net.Socket` leaves it, the system's two hours.
 */
const KEEP_ALIVE_MS = 7_200_000;

/** @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` @internal */
export function checkPipeOptions(options: unknown): CheckedPipeOptions {
  if (options === undefined) return (byDefault ??= checkGiven({}));
  return checkGiven(options);
}

/** Of pipes that are opened without options. */
let byDefault: CheckedPipeOptions | undefined;
/** Of the pipe that was opened last. */
let lastSettings: PipeSettings | undefined;

function share(settings: PipeSettings): PipeSettings {
  const last = lastSettings;
  const isSame =
    last?.highWaterMark === settings.highWaterMark &&
    last.recvTimeoutMs === settings.recvTimeoutMs &&
    last.maxMessage === settings.maxMessage &&
    last.allowHalfOpen === settings.allowHalfOpen;
  return isSame ? last : (lastSettings = settings);
}

function checkGiven(options: unknown): CheckedPipeOptions {
  const given = checkNames(options, KNOWN, SYNONYMS);
  const signal = checkSignal(given.signal);
  const lookup = checkLookup(given.lookup);
  const maxMessage = checkNumber('maxMessage', given.maxMessage, 1, 65_536, true) ?? 65_536;
  const linger = checkNumber('linger', given.linger, 0, 65_535, false);
  const sendBuffer = checkNumber('sendBuffer', given.sendBuffer, 1_024, 2 ** 30, true);
  const receiveBuffer = checkBounded('receiveBuffer', given.receiveBuffer);
  const keepAliveMs = checkKeepAlive(given.keepAlive);
  return {
    dnsTimeoutMs: checkNumber('dnsTimeoutMs', given.dnsTimeoutMs, 1, 600_000, false) ?? DNS_TIMEOUT_MS,
    connectTimeoutMs: checkNumber('connectTimeoutMs', given.connectTimeoutMs, 1, 600_000, false) ?? CONNECT_TIMEOUT_MS,
    settings: share({
      recvTimeoutMs: checkNumber('recvTimeoutMs', given.recvTimeoutMs, 0, 2 ** 31 - 1, false),
      highWaterMark: checkNumber('highWaterMark', given.highWaterMark, 1, 2 ** 30, true) ?? PIPE_HIGH_WATER_MARK,
      maxMessage,
      allowHalfOpen: checkBoolean('allowHalfOpen', given.allowHalfOpen) ?? false,
    }),
    tls: checkTls(given.tls),
    signal,
    lookup,
    socket: {
      noDelay: checkBoolean('noDelay', given.noDelay) ?? true,
      reuseAddress: checkBoolean('reuseAddress', given.reuseAddress) ?? false,
      broadcast: checkBoolean('broadcast', given.broadcast) ?? false,
      largest: maxMessage,
      keepAliveMs,
      lingerMs: linger === undefined ? undefined : linger * 1_000,
      sendBuffer,
      receiveBuffer,
    },
  };
}

function checkKeepAlive(value: unknown): number | undefined {
  if (value === undefined || value === false) return undefined;
  if (value === true) return KEEP_ALIVE_MS;
  if (typeof value !== 'number') return wrong('keepAlive', 'true, false or a number of milliseconds', value);
  return checkNumber('keepAlive', value, 1_000, 2 ** 31 - 1, false);
}

function checkTls(value: unknown): ConnectionOptions | undefined {
  if (value === undefined || value === false) return undefined;
  if (value === true) return {};
  return typeof value === 'object' && value !== null
    ? checkTlsOptions(value)
    : wrong('tls', 'true, or an object as tls.connect takes it', value);
}
