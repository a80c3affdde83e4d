/** Keeps the process alive for work on threads, which Node knows nothing of. */

/** Longer than any job: the timer never fires in earnest. */
const HOLD_MS = 2 ** 30;

/** Keeps the process alive until it is cleared, as an open socket of Node does; `unref` and `ref` as for any timer. */
export function holdProcess(): NodeJS.Timeout {
  return setInterval(() => undefined, HOLD_MS);
}
