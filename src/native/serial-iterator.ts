/** Loops over what a thread finds: one `next()` after the other, in the order in which they were called. */

/**
 * An iterator whose calls of `next` wait for each other, however many are made at once. Leaving the loop calls `leave`.
 * What `atHand` gives is given at once while no call waits, without a turn of the loop.
 */
export function serialIterator<T>(
  next: () => Promise<IteratorResult<T, undefined>>,
  leave: () => unknown,
  atHand: () => IteratorResult<T, undefined> | undefined = () => undefined,
): AsyncIterableIterator<T> {
  let waiting = 0;
  let turn: Promise<unknown> = Promise.resolve();
  return {
    next: () => {
      const ready = waiting === 0 ? atHand() : undefined;
      if (ready !== undefined) return Promise.resolve(ready);
      waiting++;
      const result = turn.then(next).finally(() => waiting--);
      turn = result.catch(() => undefined);
      return result;
    },
    return: async () => {
      await leave();
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
