/** A queue as something to loop over. */
import type { MessageQueue, Queued } from './message-queue.ts';

/**
 * Each message, until nothing more will come or the loop is left; `onLeave` is called once, whichever it was. Several
 * `next()` may be under way, and `return()` ends those that wait.
 */
export function iterate<M extends Queued, T>(
  queue: MessageQueue<M>,
  map: (message: M) => T,
  onLeave?: () => void,
): AsyncIterableIterator<T> {
  const owner = {};
  let left = false;
  const leave = () => {
    if (left) return;
    left = true;
    onLeave?.();
    queue.cancel(owner);
  };
  return {
    async next(): Promise<IteratorResult<T>> {
      if (left) return { done: true, value: undefined };
      try {
        const message = await queue.next({ owner });
        if (message !== null && message !== undefined) return { done: false, value: map(message) };
      } catch (error) {
        leave();
        throw error;
      }
      leave();
      return { done: true, value: undefined };
    },
    async return(): Promise<IteratorResult<T>> {
      leave();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
