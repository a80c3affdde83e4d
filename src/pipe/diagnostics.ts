/** Channels of `node:diagnostics_channel`. */
import { channel, type Channel } from 'node:diagnostics_channel';

/**
 * `routepool:pipe`: `{ event: 'open' | 'close', pipe, error? }`, and `{ event: 'failed', destination, error }` for a pipe that could
 * not be opened. Costs nothing while nobody subscribes.
 */
export const pipeChannel: Channel = channel('routepool:pipe');
