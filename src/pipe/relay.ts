/** Bytes of one pipe to the other, both ways, without crossing into JavaScript. */
import { misuse } from '../errors/errors.ts';
import type { Pipe } from './pipe.ts';
import type { Message } from './messages/message-filter.ts';
import type { SocketChannel } from './sockets/socket-channel.ts';
import { isIcmp, systemError } from './system-errors.ts';

/** How long to wait for room in a socket that nobody watches any more, in milliseconds. */
const RETRY_MS = 1;

/** A relay under way, as its pipes see it. @internal */
export interface Relayed {
  sentBy(pipe: Pipe): number;
  receivedBy(pipe: Pipe): number;
  /** Ends it and closes both sockets. */
  end(): void;
}

/**
 * Relays until both sides have ended (TCP), one fails, or one of the pipes is closed; gives what was moved. Both pipes
 * are closed then. What waits in them goes first.
 */
export async function relayPipes(
  a: Pipe,
  b: Pipe,
  begin: (relay: Relayed) => void,
): Promise<{ bytesForward: number; bytesBack: number }> {
  // Looked at before either is given away: a pipe whose relay is refused stays as it was.
  for (const pipe of [a, b]) {
    pipe.core.checkHandOver('relayed');
    if (pipe.remote === undefined)
      throw misuse('a UDP pipe without a destination has no peer to relay to: open it with one');
  }
  try {
    return await start(a, b, begin);
  } catch (error) {
    // One was closed on the way, or has failed: the other has nobody to relay to.
    a.destroy();
    b.destroy();
    throw error;
  }
}

async function start(
  a: Pipe,
  b: Pipe,
  begin: (relay: Relayed) => void,
): Promise<{ bytesForward: number; bytesBack: number }> {
  const [fromA, fromB] = await Promise.all([a.core.handOver('relayed'), b.core.handOver('relayed')]);
  const before = {
    forward: await pass(fromA.messages, fromB.channel),
    back: await pass(fromB.messages, fromA.channel),
  };
  return new Promise((resolve, reject) => {
    let isOver = false;
    const end = (error?: Error) => {
      if (isOver) return;
      isOver = true;
      last = relay.moved();
      relay.end();
      void a.core.finish(error, false);
      void b.core.finish(error, false);
      if (error === undefined)
        resolve({ bytesForward: before.forward + last.forward, bytesBack: before.back + last.back });
      else reject(error);
    };
    let last: { forward: number; back: number } | undefined;
    const relay = fromA.channel.relay(fromB.channel, (errno) =>
      end(errno === 0 ? undefined : systemError(errno, 'relay', b.remote, a.local)),
    );
    const moved = () => last ?? relay.moved();
    begin({
      // What was passed on before counts as sent; as received it was counted when it came.
      sentBy: (pipe) => (pipe === a ? before.back + moved().back : before.forward + moved().forward),
      receivedBy: (pipe) => (pipe === a ? moved().forward : moved().back),
      end: () => end(),
    });
  });
}

/** Sends what was received already; gives its bytes. */
async function pass(messages: readonly Message[], to: SocketChannel): Promise<number> {
  let bytes = 0;
  for (const { data } of messages) {
    let rest: Uint8Array = data;
    while (rest.length > 0) {
      const taken = to.write(rest, undefined);
      if (taken < 0 && !isIcmp(taken)) throw systemError(taken, 'send', to.remote, to.local);
      if (taken === 0) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      if (taken > 0) rest = rest.subarray(taken);
    }
    bytes += data.length;
  }
  return bytes;
}
