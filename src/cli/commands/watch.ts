/** `routepool watch`. */
import { once } from 'node:events';
import type { NetworkChange } from '../../watch/change.ts';
import { watch } from '../../index.ts';
import type { WatchOptions } from '../../watch/options.ts';
import { describeChange } from '../text/describe-change.ts';
import { EXIT } from '../exit-codes.ts';
import { inCommandWords, numberOf, parseOptions } from '../parse-options.ts';
import { Style } from '../text/style.ts';
import { UsageError } from '../usage-error.ts';

const OPTIONS = {
  external: { type: 'boolean' },
  interval: { type: 'string' },
  server: { type: 'string', multiple: true },
  timeout: { type: 'string' },
  poll: { type: 'string' },
  count: { type: 'string' },
  json: { type: 'boolean' },
} as const;

const WORDS = {
  'external.intervalMs': '--interval (in milliseconds)',
  'servers': '--server',
  'timeoutMs': '--timeout',
  'pollMs': '--poll',
};

/** Runs the command; gives the exit code. */
export function watchCommand(args: string[]): Promise<number> {
  return inCommandWords(OPTIONS, WORDS, () => runCommand(args));
}

async function runCommand(args: string[]): Promise<number> {
  const { values, positionals } = parseOptions('watch', args, OPTIONS);
  if (positionals.length > 0)
    throw new UsageError(
      `routepool watch takes no argument but received '${positionals[0]}'; see routepool watch --help`,
    );
  const servers = values.server;
  if (!values.external && (values.interval !== undefined || servers !== undefined || values.timeout !== undefined)) {
    throw new UsageError('--interval, --server and --timeout need --external');
  }
  const seconds = numberOf('--interval', values.interval);
  const count = numberOf('--count', values.count) ?? Number.POSITIVE_INFINITY;
  if (values.count !== undefined && !(Number.isInteger(count) && count > 0))
    throw new UsageError(`expected a positive integer for --count but received '${values.count}'`);
  const options: WatchOptions = {
    pollMs: numberOf('--poll', values.poll),
    external: values.external
      ? {
          intervalMs: seconds === undefined ? undefined : seconds * 1_000,
          servers: servers,
          timeoutMs: numberOf('--timeout', values.timeout),
        }
      : undefined,
  };
  const run = watch(options);
  const end = () => void run.close();
  // A second signal ends the process as usual.
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.once(signal, end);
  // Whoever watches the stream tells its errors.
  process.stdout.once('error', end);
  if (!values.json) {
    const how = run.counters().method === 'netlink' ? '' : `, looked at each ${values.poll ?? 2_000} ms`;
    process.stderr.write(`watching the interfaces of this machine${how}; Ctrl-C ends\n`);
  }
  const print = values.json ? asJson : inWords(new Style(process.stdout));
  let left = count;
  for await (const change of run) {
    if (!process.stdout.write(`${print(change)}\n`) && !process.stdout.errored)
      await Promise.race([once(process.stdout, 'drain'), once(run, 'close')]).catch(() => undefined);
    if (--left === 0) break;
  }
  for (const signal of signals) process.removeListener(signal, end);
  process.stdout.removeListener('error', end);
  return EXIT.ok;
}

function asJson(change: NetworkChange): string {
  return JSON.stringify({ time: new Date().toISOString(), ...change });
}

function inWords(style: Style): (change: NetworkChange) => string {
  return (change) => {
    const now = new Date();
    const time = [now.getHours(), now.getMinutes(), now.getSeconds()]
      .map((part) => String(part).padStart(2, '0'))
      .join(':');
    return `${style.dim(time)} ${describeChange(change, style)}`;
  };
}
