/** Channels of `node:diagnostics_channel`: what is asked of STUN servers, and pipes. */
import { channel, type Channel } from 'node:diagnostics_channel';

/** What asks: `Interface.load`, `Route.observe`, `Interface.loadNat`, a validation. */
export type ProbeKind = 'load' | 'observe' | 'nat' | 'validate';

/**
 * `routepool:probe`: `{ event: 'start', kind, subject }` when something is asked for, and
 * `{ event: 'end', kind, subject, result }` or `{ event: 'failed', kind, subject, error }` when that is over; never one
 * for each packet or address. The result of a validation is its last progress. Costs nothing while nobody subscribes.
 */
export const probeChannel: Channel = channel('routepool:probe');

/** Does the work, and tells of its start and its end if somebody listens. */
export async function probed<T>(kind: ProbeKind, subject: unknown, work: () => Promise<T>): Promise<T> {
  if (!probeChannel.hasSubscribers) return work();
  probeChannel.publish({ event: 'start', kind, subject });
  try {
    const result = await work();
    probeChannel.publish({ event: 'end', kind, subject, result });
    return result;
  } catch (error) {
    probeChannel.publish({ event: 'failed', kind, subject, error });
    throw error;
  }
}

/**
 * `routepool:pipe`: `{ event: 'open' | 'close', pipe, error? }`, and `{ event: 'failed', destination, error }` for a
 * pipe that could not be opened. Costs nothing while nobody subscribes.
 */
export const pipeChannel: Channel = channel('routepool:pipe');
