/** `routepool validate`. */
import type { Family } from '../../address/family.ts';
import type { ValidateOptions } from '../../validate/options.ts';
import { validate } from '../../index.ts';
import type { ValidationRun } from '../../validate/run.ts';
import { type VerdictStatus, STATUSES } from '../../validate/verdict.ts';
import { EXIT } from '../exit-codes.ts';
import { Findings } from '../text/findings.ts';
import { type Format, outputFor } from '../text/output.ts';
import { inCommandWords, numberOf, parseOptions } from '../parse-options.ts';
import { ProgressBar } from '../text/progress-bar.ts';
import { report } from '../text/report.ts';
import { Style } from '../text/style.ts';
import { expandTargets } from '../targets.ts';
import { UsageError } from '../usage-error.ts';

const OPTIONS = {
  'server': { type: 'string', multiple: true },
  'interface': { type: 'string' },
  'ipv4': { type: 'boolean', short: '4' },
  'ipv6': { type: 'boolean', short: '6' },
  'rate': { type: 'string' },
  'passes': { type: 'string' },
  'timeout': { type: 'string' },
  'hosts': { type: 'string' },
  'sample': { type: 'string' },
  'seed': { type: 'string' },
  'receive-buffer': { type: 'string' },
  'sockets': { type: 'string' },
  'state': { type: 'string' },
  'json': { type: 'boolean' },
  'ndjson': { type: 'boolean' },
  'csv': { type: 'boolean' },
  'only': { type: 'string', multiple: true },
  'quiet': { type: 'boolean' },
} as const;

interface Call {
  blocks: string[];
  family: Family | undefined;
  servers: string[] | undefined;
  options: ValidateOptions;
  format: Format;
  only: ReadonlySet<VerdictStatus> | undefined;
  quiet: boolean;
}

/** What the command calls the options of the API that it calls otherwise. */
const NAMES: Readonly<Record<string, string>> = {
  'ratePerSecond': '--rate',
  'timeoutMs': '--timeout',
  'receiveBuffer': '--receive-buffer',
  'sample.perPrefix': '--sample',
  'sample.hosts': '--sample',
};

/** Runs the command; gives the exit code. */
export async function validateCommand(args: string[]): Promise<number> {
  return inCommandWords(OPTIONS, NAMES, () => runCommand(args));
}

async function runCommand(args: string[]): Promise<number> {
  const call = parse(args);
  const run = validate(await expandTargets(call.blocks, call.family, call.servers), call.options);
  const style = new Style(process.stdout);
  const bar = call.quiet ? undefined : ProgressBar.for(process.stderr, run);
  const interrupted = stopOnInterrupt(run, bar);
  const output = outputFor(call.format, process.stdout, call.only, () => run.stop());
  const findings = new Findings();
  try {
    await output.begin();
    for await (const batch of run.batches()) {
      for (let i = 0; i < batch.length; i++) {
        const status = batch.status(i);
        const wanted = output.wants(status);
        if (status === 'ok' && !wanted) continue;
        const verdict = batch.at(i);
        if (verdict === undefined) continue;
        if (status !== 'ok') findings.add(verdict);
        if (wanted) output.verdict(verdict);
      }
      await output.flush();
    }
    const summary = await run.summary();
    bar?.end();
    await output.end(summary);
    const notes = call.format === 'text' && call.only === undefined ? process.stdout : process.stderr;
    if (notes === process.stdout || !call.quiet) {
      notes.write(report(summary, findings, notes === process.stdout ? style : new Style(process.stderr), call.quiet));
    }
    return summary.allOk && !summary.stopped ? EXIT.ok : EXIT.someNot;
  } finally {
    bar?.end();
    interrupted();
    run.stop();
  }
}

/** First interrupt: finish with what there is. Second: leave at once. */
function stopOnInterrupt(run: ValidationRun, bar: ProgressBar | undefined): () => void {
  let asked = false;
  const onSignal = () => {
    if (asked) process.exit(EXIT.interrupted);
    asked = true;
    bar?.end();
    process.stderr.write('routepool: stopping; interrupt again to leave at once\n');
    run.stop();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return () => process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
}

function parse(args: string[]): Call {
  const { values, positionals } = parseOptions('validate', args, OPTIONS);
  if (positionals.length === 0)
    throw new UsageError('name a block to validate, for example: routepool validate 127.16.0.0/16');
  const formats = (['json', 'ndjson', 'csv'] as const).filter((format) => values[format]);
  if (formats.length > 1) throw new UsageError(`--${formats.join(' and --')} cannot be used together: choose one`);
  const several = values.server?.find((server) => server.includes(','));
  if (several !== undefined)
    throw new UsageError(`expected one server for --server but received '${several}': name --server twice`);
  const list = positionals.find((block) => block.includes(','));
  if (list !== undefined)
    throw new UsageError(`expected one block in each argument but received '${list}': put a space between them`);
  const options: ValidateOptions = {
    servers: values.server,
    interface: values.interface,
    ratePerSecond: numberOf('--rate', values.rate),
    passes: numberOf('--passes', values.passes),
    timeoutMs: numberOf('--timeout', values.timeout),
    hosts: values.hosts as ValidateOptions['hosts'],
    sample: sample(values.sample),
    seed: values.seed,
    receiveBuffer: numberOf('--receive-buffer', values['receive-buffer']),
    sockets: values.sockets as ValidateOptions['sockets'],
    state: values.state,
  };
  if (values.ipv4 && values.ipv6) throw new UsageError('-4 and -6 cannot be used together: one run takes one family');
  const family = values.ipv6 ? 6 : values.ipv4 ? 4 : undefined;
  return {
    blocks: positionals,
    family,
    servers: values.server,
    options,
    format: formats[0] ?? 'text',
    only: only(values.only),
    quiet: values.quiet ?? false,
  };
}

function sample(text: string | undefined): ValidateOptions['sample'] {
  if (text === undefined) return undefined;
  const match = /^\/?(\d+)(?::(\d+))?$/.exec(text);
  if (!match)
    throw new UsageError(`expected LEN or LEN:HOSTS for --sample, for example 64 or 64:2, but received '${text}'`);
  return { perPrefix: Number(match[1]), hosts: Number(match[2] ?? 1) };
}

function only(texts: readonly string[] | undefined): ReadonlySet<VerdictStatus> | undefined {
  if (texts === undefined) return undefined;
  const names = texts.flatMap((text) => text.split(',')).map((name) => name.trim());
  for (const name of names) {
    if (!STATUSES.some((status) => status === name)) {
      throw new UsageError(`expected statuses (${STATUSES.join(', ')}) for --only but received '${name}'`);
    }
  }
  return new Set(names as VerdictStatus[]);
}
