/** `routepool` and `routepool interfaces`: what this machine's interfaces look like from outside. */
import { listInterfaces, type InterfaceFacts, loadInterfaces } from '../../index.ts';
import type { LoadOptions } from '../../servers/options.ts';
import { EXIT } from '../exit-codes.ts';
import { describeFacts, describeInterface } from '../text/describe-interface.ts';
import { inCommandWords, numberOf, parseOptions } from '../parse-options.ts';
import { Style } from '../text/style.ts';
import { UsageError } from '../usage-error.ts';

const OPTIONS = {
  server: { type: 'string', multiple: true },
  timeout: { type: 'string' },
  offline: { type: 'boolean' },
  json: { type: 'boolean' },
} as const;

/** Runs the command; gives the exit code. */
export function interfacesCommand(args: string[]): Promise<number> {
  return inCommandWords(OPTIONS, { timeoutMs: '--timeout', servers: '--server' }, () => runCommand(args));
}

async function runCommand(args: string[]): Promise<number> {
  const { values, positionals } = parseOptions('interfaces', args, OPTIONS);
  const style = new Style(process.stdout);
  const print = (text: string) => void process.stdout.write(text);
  if (values.offline) {
    const wanted = wantedFacts(positionals);
    print(
      values.json
        ? `${JSON.stringify(wanted, null, 2)}\n`
        : wanted.map((facts) => describeFacts(facts, style)).join('\n'),
    );
    return EXIT.ok;
  }
  const options: LoadOptions = { servers: values.server, timeoutMs: numberOf('--timeout', values.timeout) };
  const { loaded, failed } = await loadInterfaces(positionals.length > 0 ? positionals : undefined, options);
  const first = failed[0];
  // A wrong option fails all alike, and is the caller's to mend.
  if (first !== undefined && loaded.length === 0) throw first.error;
  if (values.json) {
    const failures = failed.map(({ name, error }) => ({ name, message: error.message }));
    print(
      `${JSON.stringify({ interfaces: loaded.map((nic) => nic.toJSON({ detail: true })), failed: failures }, null, 2)}\n`,
    );
  } else {
    print(loaded.map((nic) => describeInterface(nic, style)).join('\n'));
    if (loaded.length === 0) print('No interface of this machine is up, apart from loopback.\n');
    for (const { name, error } of failed) process.stderr.write(`routepool: ${name}: ${error.message}\n`);
  }
  return failed.length === 0 ? EXIT.ok : EXIT.failure;
}

/** The interfaces of these names or addresses; all without any. */
function wantedFacts(wanted: readonly string[]): InterfaceFacts[] {
  const all = listInterfaces({ details: true });
  const holds = (facts: InterfaceFacts, text: string) =>
    facts.name === text || facts.addresses.some(({ ip }) => ip === text);
  const unknown = wanted.find((text) => !all.some((facts) => holds(facts, text)));
  if (unknown !== undefined) {
    const known = all.map(({ name }) => name).join(', ');
    throw new UsageError(
      `there is no interface '${unknown}', and none that holds such an address; the interfaces are: ${known}`,
    );
  }
  return all.filter((facts) => wanted.length === 0 || wanted.some((text) => holds(facts, text)));
}
