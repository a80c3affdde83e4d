/** Calls of an object that does not keep it: what the addon, timers and signals hold of a run or a watch. */

/** An object that may be gone, or is not there yet. */
export interface WeakSelf<T extends object> {
  ref: WeakRef<T> | undefined;
}

/**
 * Calls `call` with the object if it is still there, and says whether it was. It stands outside the classes that use it
 * because a closure made inside a method holds `this` as soon as any other closure of that method does.
 */
export function weakly<T extends object>(self: WeakSelf<T>, call: (target: T) => void): () => boolean {
  return () => {
    const target = self.ref?.deref();
    if (target !== undefined) call(target);
    return target !== undefined;
  };
}
