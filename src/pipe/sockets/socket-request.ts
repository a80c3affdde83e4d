/** How a socket is opened, packed as the addon reads it: an object there would cost more than the socket. */
import { REQUEST_BYTES } from '../../defaults.ts';
import type { Endpoint } from '../../address/endpoint.ts';

/** How a socket is opened. Everything is optional. @internal */
export interface SocketOptions {
  /** Local address and port; by default the system chooses. */
  readonly local?: Endpoint | undefined;
  /** The interface that packets must leave by. */
  readonly interface?: string | undefined;
  /** Go on without the interface where the system refuses it. */
  readonly bestEffort?: boolean | undefined;
  /** Whether an IPv6 wildcard also takes IPv4. */
  readonly dualStack?: boolean | undefined;
  /** Send small pieces at once. */
  readonly noDelay?: boolean | undefined;
  /** Ask a silent peer after this time. */
  readonly keepAliveMs?: number | undefined;
  /** How long a close waits for unsent bytes. */
  readonly lingerMs?: number | undefined;
  readonly sendBuffer?: number | undefined;
  readonly receiveBuffer?: number | undefined;
  /** Bind an address that is in use. */
  readonly reuseAddress?: boolean | undefined;
  /** Allow sending to broadcast addresses. */
  readonly broadcast?: boolean | undefined;
  /** Tell where datagrams were delivered to. */
  readonly packetInfo?: boolean | undefined;
  /** Connections that wait to be accepted. */
  readonly backlog?: number | undefined;
  /** Bytes of a stream that are read at a time, at most. */
  readonly largest?: number | undefined;
}

/** What may differ between sockets of the same options. @internal */
export type LocalOptions = Pick<SocketOptions, 'local' | 'interface' | 'bestEffort'>;

/** Kinds of sockets. @internal */
export const CONNECTION = 0;
export const DATAGRAMS = 1;
export const LISTENER = 2;

/** Switches; crates/core/src/pipe/request.rs has the whole layout. */
const NO_DELAY = 1;
const REUSE_ADDRESS = 2;
const BROADCAST = 4;
const PACKET_INFO = 8;
const DUAL_STACK = 16;
const BEST_EFFORT = 32;
const HAS_LOCAL = 64;
const HAS_REMOTE = 128;

/** Where the local address is, before and after. */
export const LOCAL_AT = 32;
const REMOTE_AT = 56;

/** The request; the next one is written over it. @internal */
export const request: Buffer = Buffer.allocUnsafeSlow(REQUEST_BYTES);
const words = new Int32Array(request.buffer, request.byteOffset, LOCAL_AT >> 2);

/** Writes the request for a socket; `side` has what differs from socket to socket. @internal */
export function writeRequest(
  kind: number,
  options: SocketOptions,
  side: LocalOptions,
  remote: Endpoint | undefined,
): void {
  const local = side.local;
  words[0] = kind;
  words[1] =
    (options.noDelay === true ? NO_DELAY : 0) |
    (options.reuseAddress === true ? REUSE_ADDRESS : 0) |
    (options.broadcast === true ? BROADCAST : 0) |
    (options.packetInfo === true ? PACKET_INFO : 0) |
    (options.dualStack === true ? DUAL_STACK : 0) |
    (side.bestEffort === true ? BEST_EFFORT : 0) |
    (local === undefined ? 0 : HAS_LOCAL) |
    (remote === undefined ? 0 : HAS_REMOTE);
  words[2] = options.largest ?? 0;
  words[3] = options.sendBuffer ?? 0;
  words[4] = options.receiveBuffer ?? 0;
  words[5] = options.backlog ?? 0;
  words[6] = options.keepAliveMs ?? -1;
  words[7] = options.lingerMs ?? -1;
  local?.writeTo(request, LOCAL_AT);
  remote?.writeTo(request, REMOTE_AT);
}
