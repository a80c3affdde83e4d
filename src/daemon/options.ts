/** Options of daemons, checked by name before a socket is opened. */
import { ACCEPT_BACKLOG, CLOSE_TIMEOUT_MS, MAX_PEERS, PEER_TIMEOUT_MS } from '../defaults.ts';
import { checkChoice, checkNames, checkNumber, checkText, wrong } from '../options/check.ts';
import { checkPipeOptions, type CheckedPipeOptions, type PipeOptions } from '../pipe/pipe-options.ts';

const PIPE_OPTIONS = [
  'recvTimeoutMs',
  'linger',
  'noDelay',
  'keepAlive',
  'sendBuffer',
  'receiveBuffer',
  'highWaterMark',
  'maxMessage',
  'allowHalfOpen',
  'reuseAddress',
  'broadcast',
] as const;

/** How a daemon serves; the options of its pipes are those of {@link pipeOpen}. Everything is optional. */
export interface DaemonOptions extends Pick<PipeOptions, (typeof PIPE_OPTIONS)[number]> {
  /**
   * Connections and datagram peers at once, 1 to 1,000,000; no limit by default. At the limit connections wait in the
   * kernel; datagrams of further peers are dropped and counted.
   */
  maxConnections?: number | undefined;
  /**
   * Datagram peers at once, 1 to 1,000,000; 16,384 by default. Anybody can send datagrams with forged senders, each of
   * which would be a pipe until `peerTimeoutMs` is over.
   */
  maxPeers?: number | undefined;
  /**
   * Connections that wait in the kernel to be accepted, 1 to 65,535; 511 by default, as for Node (Linux: at most
   * `net.core.somaxconn`).
   */
  backlog?: number | undefined;
  /**
   * When a datagram peer is forgotten after its last datagram, or the last one to it, in milliseconds, 10 to
   * 2,147,483,647; 120,000 by default: no NAT keeps a mapping shorter than that (RFC 4787, REQ-5), so an older peer may
   * have become another one.
   */
  peerTimeoutMs?: number | undefined;
  /** How long {@link Daemon.close} waits for what was sent to go out, in milliseconds; 5,000 by default. */
  closeTimeoutMs?: number | undefined;
}

/** How addresses are listened at. Everything is optional. */
export interface ListenOptions {
  /**
   * Keep those addresses that can be listened at if others cannot; the group then says which failed. False by default:
   * one that fails closes all.
   */
  allowPartial?: boolean | undefined;
  /**
   * `one` socket for all addresses of a family, which tells for each connection or datagram the address it was for
   * (Linux), or one `per-address`. By default per address up to 64 of them, and one beyond.
   */
  sockets?: 'auto' | 'one' | 'per-address' | undefined;
  /**
   * Whether the wildcard `'::'` takes IPv6 alone. True by default; with false also IPv4, whose peers are shown as IPv4.
   */
  v6only?: boolean | undefined;
  /** Take connections and datagrams only from this interface (Linux: `SO_BINDTODEVICE`). */
  interface?: string | undefined;
}

/** @internal */
export interface CheckedDaemonOptions {
  readonly pipe: CheckedPipeOptions;
  readonly maxConnections: number;
  readonly maxPeers: number;
  readonly backlog: number;
  readonly peerTimeoutMs: number;
  readonly closeTimeoutMs: number;
}

/** @internal */
export interface CheckedListenOptions {
  readonly allowPartial: boolean;
  readonly sockets: 'auto' | 'one' | 'per-address';
  readonly v6only: boolean;
  readonly interface: string | undefined;
}

/** @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` @internal */
export function checkDaemonOptions(options: unknown): CheckedDaemonOptions {
  const given = checkNames(options, [
    ...PIPE_OPTIONS,
    'maxConnections',
    'maxPeers',
    'backlog',
    'peerTimeoutMs',
    'closeTimeoutMs',
  ]);
  const { maxConnections, maxPeers, backlog, peerTimeoutMs, closeTimeoutMs, ...pipe } = given;
  return {
    pipe: checkPipeOptions(pipe),
    maxConnections: checkNumber('maxConnections', maxConnections, 1, 1_000_000, true) ?? Infinity,
    maxPeers: checkNumber('maxPeers', maxPeers, 1, 1_000_000, true) ?? MAX_PEERS,
    backlog: checkNumber('backlog', backlog, 1, 65_535, true) ?? ACCEPT_BACKLOG,
    peerTimeoutMs: checkNumber('peerTimeoutMs', peerTimeoutMs, 10, 2 ** 31 - 1, false) ?? PEER_TIMEOUT_MS,
    closeTimeoutMs: checkNumber('closeTimeoutMs', closeTimeoutMs, 0, 2 ** 31 - 1, false) ?? CLOSE_TIMEOUT_MS,
  };
}

/** @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` @internal */
export function checkListenOptions(options: unknown): CheckedListenOptions {
  const given = checkNames(options, ['allowPartial', 'sockets', 'v6only', 'interface'], { ipv6Only: 'v6only' });
  const flag = (name: 'allowPartial' | 'v6only') => {
    const value = given[name];
    return value === undefined || typeof value === 'boolean' ? value : wrong(name, 'true or false', value);
  };
  return {
    allowPartial: flag('allowPartial') ?? false,
    sockets: checkChoice('sockets', given.sockets, ['auto', 'one', 'per-address']) ?? 'auto',
    v6only: flag('v6only') ?? true,
    interface: checkInterfaceName(given.interface),
  };
}

/** The system reads a name up to its first NUL, and takes an empty one for any interface. */
function checkInterfaceName(value: unknown): string | undefined {
  const expected = 'the name of a network interface';
  const name = checkText('interface', value, expected);
  return name?.includes('\0') ? wrong('interface', expected, name) : name;
}
