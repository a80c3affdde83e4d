/** What the exit code of a command says. */
export const EXIT = {
  /** Everything was proven. */
  ok: 0,
  /** It could not be found out: network, server, name, defect. */
  failure: 1,
  /** A wrong command, option, block or server; nothing was sent. */
  usage: 2,
  /** Some sources are not ok, or the run was stopped: by a signal, or by a reader that closed the pipe. */
  someNot: 3,
  /** Interrupted a second time. */
  interrupted: 130,
} as const;
