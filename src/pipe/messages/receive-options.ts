/** How a message is waited for, as users write it. */
import { checkNames, checkNumber, wrong } from '../../options/check.ts';
import { matcher, MessageText, type Message, type MessagePattern } from './message-filter.ts';
import type { Wait } from './message-queue.ts';

/** How one message is waited for. Everything is optional. */
export interface ReceiveOptions {
  /**
   * Milliseconds after which nothing has come, 0 to 2,147,483,647: the result is then `undefined`. 0 takes only what is
   * there already. By default the pipe's `recvTimeoutMs`, and without that there is no limit.
   */
  timeoutMs?: number | undefined;
  /** Takes only messages like this; the others wait for somebody else, in their order. */
  filter?: MessagePattern | undefined;
  /** Gives up; the promise then rejects with an AbortError. */
  signal?: AbortSignal | undefined;
}

/** The longest time that timers of Node take. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` */
export function checkReceive(options: ReceiveOptions | undefined, defaultMs: number | undefined): Wait<Message> {
  if (options === undefined) return { timeoutMs: defaultMs };
  const given = checkNames(options, ['timeoutMs', 'filter', 'signal'], { timeout: 'timeoutMs' });
  const { filter, signal, timeoutMs } = given;
  if (signal !== undefined && !(signal instanceof AbortSignal)) wrong('signal', 'an AbortSignal', signal);
  return {
    timeoutMs:
      timeoutMs === Infinity ? undefined : (checkNumber('timeoutMs', timeoutMs, 0, MAX_TIMER_MS, false) ?? defaultMs),
    filter: checkFilter(filter),
    signal: signal as AbortSignal | undefined,
  };
}

/** @throws RoutePoolError `ERR_ROUTEPOOL_OPTION` for `filter` */
function checkFilter(filter: unknown): ((message: Message) => boolean) | undefined {
  if (filter === undefined) return undefined;
  if (typeof filter !== 'function' && !(filter instanceof RegExp)) wrong('filter', 'a RegExp or a function', filter);
  const isMeant = matcher(filter, undefined);
  return (message) => isMeant(message, new MessageText(message.data));
}
