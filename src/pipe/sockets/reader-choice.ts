/** Which way pipes are read, and figures of all of them. */
import { misuse } from '../../errors/errors.ts';
import { checkChoice, wrong } from '../../options/check.ts';
import { chooseReader, existingSockets, type PipeReader } from './socket-table.ts';

/**
 * Chooses how pipes and servers of this thread are read, before the first is opened: `direct` (Linux: on Node's own
 * event loop, without a thread in between), `portable` (a thread that reads into a ring), or `auto`, the default, for
 * the first that there is.
 *
 * @throws RoutePoolError `ERR_ROUTEPOOL_OPTION`; `ERR_ROUTEPOOL_MISUSE` once sockets have been opened
 */
export function setPipeReader(reader: PipeReader): void {
  const choice =
    checkChoice('reader', reader, ['auto', 'direct', 'portable']) ??
    wrong('reader', "'auto', 'direct' or 'portable'", reader);
  if (!chooseReader(choice)) throw misuse('the reader must be chosen before the first pipe or server is opened');
}

/** Figures of all pipes and servers of this thread. */
export interface PipeStats {
  /** How they are read; undefined while none was opened. */
  readonly reader: 'direct' | 'portable' | undefined;
  /** Sockets that are open now: pipes, listeners, UDP servers. */
  readonly open: number;
  /** Sockets that were opened, without accepted connections. */
  readonly opened: number;
  /** Connections that were accepted. */
  readonly accepted: number;
  /** Connections that were closed at once, for want of a place or of memory. */
  readonly refused: number;
  /** Relays that were started. */
  readonly relayed: number;
}

/** Figures of all pipes and servers of this thread. */
export function pipeStats(): PipeStats {
  const native = existingSockets()?.native;
  if (native === undefined) return { reader: undefined, open: 0, opened: 0, accepted: 0, refused: 0, relayed: 0 };
  return { reader: native.isDirect() ? 'direct' : 'portable', ...native.totals() };
}
