/** A pipe's descriptor in a `net.Socket`. */
import type { Socket } from 'node:net';
import { misuse } from '../errors/errors.ts';
import { net } from '../node-modules.ts';
import type { Pipe } from './pipe.ts';
import { TCP } from './protocol.ts';

/** @throws RoutePoolError `ERR_ROUTEPOOL_MISUSE` @internal */
export async function toNetSocket(pipe: Pipe): Promise<Socket> {
  if (process.platform === 'win32') throw misuse('sockets have no descriptors on Windows: use stream()');
  if (pipe.protocol !== TCP) throw misuse('only the descriptor of a TCP pipe makes a net.Socket');
  const { channel, messages } = await pipe.core.handOver('made a net.Socket');
  const socket = new (net().Socket)({ fd: channel.take(), readable: true, writable: true });
  for (const { data } of messages.toReversed()) socket.unshift(data);
  void pipe.core.finish(undefined, false);
  return socket;
}
