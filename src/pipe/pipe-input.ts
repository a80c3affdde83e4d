/** What users hand to a pipe: bytes, peers, reasons. */
import { inspect } from 'node:util';
import { RoutePoolError } from '../errors/errors.ts';
import { wrong } from '../options/check.ts';
import { Endpoint } from '../address/endpoint.ts';
import { type Protocol, TCP } from './protocol.ts';

/** A peer, for UDP pipes that talk to more than one: what `recvFrom` and events give, or an address with a port. */
export type PipePeer =
  Endpoint | readonly [address: string, port: number] | { readonly address: string; readonly port: number };

/** What can be sent: text goes as UTF-8. */
export type PipeData = string | ArrayBufferView | ArrayBuffer;

/** @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` @internal */
export function toBytes(data: PipeData): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (typeof data === 'string') return Buffer.from(data);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return wrong('data', 'text or bytes', data);
}

/** @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` @internal */
export function toPeer(to: PipePeer, protocol: Protocol): Endpoint {
  if (protocol === TCP) return wrong('to', 'no peer, since a connection has one,', to);
  if (to instanceof Endpoint) return to;
  if (typeof to !== 'object' || to === null)
    return wrong('to', "a peer like ['192.0.2.1', 3478], what recvFrom() gives, or nothing,", to);
  const [address, port] =
    'address' in to
      ? [to.address, to.port]
      : Array.isArray(to)
        ? (to as [string, number])
        : wrong('to', "a peer like ['192.0.2.1', 3478]", to);
  if (typeof address !== 'string') return wrong('to', "a peer like ['192.0.2.1', 3478]", to);
  if (port === 0) return wrong('to', 'a port from 1 to 65535 ', to);
  return Endpoint.of(address, port);
}

/** What was thrown somewhere need not be an Error; a pipe is closed with it all the same. @internal */
export function destroyReason(error: unknown): Error | undefined {
  if (error === undefined || error === null || error instanceof Error) return error ?? undefined;
  return new RoutePoolError('ERR_ROUTEPOOL_CLOSED', `the pipe was destroyed with ${inspect(error, { depth: 0 })}`, {
    cause: error,
  });
}
