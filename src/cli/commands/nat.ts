/** `routepool nat`: what kind of NAT an interface is behind. */
import { Interface } from '../../index.ts';
import { isIP } from '../../address/is-ip.ts';
import type { LoadNatOptions } from '../../nat/options.ts';
import type { NatProfile } from '../../nat/report.ts';
import { describeNat, describeRun, evidenceTable } from '../text/describe-nat.ts';
import { EXIT } from '../exit-codes.ts';
import { inCommandWords, numberOf, parseOptions } from '../parse-options.ts';
import { Style } from '../text/style.ts';
import { UsageError } from '../usage-error.ts';

const OPTIONS = {
  'server': { type: 'string', multiple: true },
  'from': { type: 'string' },
  'portal': { type: 'string' },
  'profile': { type: 'string' },
  'lifetime': { type: 'boolean' },
  'lifetime-max': { type: 'string' },
  'hairpin': { type: 'boolean' },
  'no-tcp': { type: 'boolean' },
  'evidence': { type: 'boolean' },
  'json': { type: 'boolean' },
} as const;

/** What the command calls the options of the API that it calls otherwise. */
const NAMES: Readonly<Record<string, string>> = {
  servers: '--server',
  lifetimeMaxMs: '--lifetime-max',
  tcp: '--no-tcp',
};

/** Runs the command; gives the exit code. */
export function natCommand(args: string[]): Promise<number> {
  return inCommandWords(OPTIONS, NAMES, () => runCommand(args));
}

async function runCommand(args: string[]): Promise<number> {
  const { values, positionals } = parseOptions('nat', args, OPTIONS);
  const [which, ...more] = positionals;
  if (more.length > 0)
    throw new UsageError(`expected one interface but received ${positionals.join(' ')}: call routepool nat for each`);
  const several = values.server?.find((server) => server.includes(','));
  if (several !== undefined)
    throw new UsageError(`expected one server for --server but received '${several}': name --server twice`);
  if (values['lifetime-max'] !== undefined && !values.lifetime)
    throw new UsageError('--lifetime-max says how long to wait with --lifetime: name that too');
  const options: LoadNatOptions = {
    servers: values.server,
    portal: values.portal,
    profile: values.profile as NatProfile | undefined,
    lifetime: values.lifetime,
    lifetimeMaxMs: numberOf('--lifetime-max', values['lifetime-max']),
    hairpin: values.hairpin,
    tcp: values['no-tcp'] ? false : undefined,
    from: values.from ?? (which !== undefined && isIP(which) !== 0 ? which : undefined),
  };
  const nic = Interface.find(which);
  const ended = new AbortController();
  const interrupted = stopOnInterrupt(ended);
  try {
    const nat = await nic.loadNat({ ...options, stop: ended.signal });
    const style = new Style(process.stdout);
    if (values.json) {
      process.stdout.write(`${JSON.stringify({ interface: nic.name, ...nat.toJSON({ detail: true }) }, null, 2)}\n`);
    } else {
      process.stdout.write(`${describeNat(nic.name, nat, style)}\n${describeRun(nat, style)}`);
      if (values.evidence) process.stdout.write(`\n${evidenceTable(nat.evidence)}`);
    }
    if (ended.signal.aborted) {
      process.stderr.write('routepool: stopped: what was found until then is above\n');
      return EXIT.someNot;
    }
    // Who names servers of one family asks about that family.
    const families = nat.families.filter(
      ({ connectivity }) => values.server === undefined || connectivity.value !== 'no-server',
    );
    if (families.every(({ connectivity, numbers }) => connectivity.value !== 'ok' && numbers.assumed))
      return EXIT.failure;
    return families.every(({ numbers }) => !numbers.assumed) ? EXIT.ok : EXIT.someNot;
  } catch (error) {
    if (!ended.signal.aborted) throw error;
    process.stderr.write('routepool: stopped before anything was asked\n');
    return EXIT.someNot;
  } finally {
    interrupted();
  }
}

/** First interrupt: stop, with what was found. Second: leave at once. */
function stopOnInterrupt(ended: AbortController): () => void {
  const onSignal = () => {
    if (ended.signal.aborted) process.exit(EXIT.interrupted);
    process.stderr.write('routepool: stopping; interrupt again to leave at once\n');
    ended.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return () => process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
}
