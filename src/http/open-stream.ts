/** A stream at once, and its pipe as soon as that is connected. */
import type { LookupFunction } from '../options/check.ts';
import type { Route } from '../routes/route.ts';
import { pipeOpen } from '../pipe/pipe-open.ts';
import { PipeStream } from '../pipe/stream.ts';

/** What `http` and undici say of a connection. */
export interface OpenStreamOptions {
  readonly lookup?: LookupFunction | undefined;
  readonly noDelay?: boolean | undefined;
  readonly keepAlive?: boolean | undefined;
  readonly keepAliveInitialDelay?: number | undefined;
}

/**
 * Connects to host and port by a route. What goes wrong is an `error` of the stream; destroying it gives the connection
 * up.
 */
export function openStream(
  dest: readonly [host: string, port: number],
  route: Route,
  options: OpenStreamOptions,
): PipeStream {
  const { lookup, noDelay, keepAlive, keepAliveInitialDelay } = options;
  const stream = new PipeStream((signal) => pipeOpen('tcp', dest, route, { signal, lookup }));
  if (noDelay !== undefined) stream.setNoDelay(noDelay);
  if (keepAlive !== undefined) stream.setKeepAlive(keepAlive, keepAliveInitialDelay);
  return stream;
}
