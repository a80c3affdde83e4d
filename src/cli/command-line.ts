/** The command line: finds the command and runs it. */
import { readFileSync } from 'node:fs';
import { EXIT } from './exit-codes.ts';
import { HELP_OF } from './help.ts';
import { OutputWatch } from './text/output-stream.ts';
import { UsageError } from './usage-error.ts';

const HELP = `routepool: find out which public address each of your source IPs appears as, and prove which of them work

Usage: routepool [COMMAND] [OPTIONS]

Commands:
  interfaces [NAME…]   what the addresses of this machine leave as (also without any command)
  nat [NAME]           what kind of NAT is on the way, and what it means
  validate BLOCK…      prove for each address of a block that it leaves as itself
  stun-server [IP…]    a STUN server that can also answer from another address (RFC 5780)
  watch                tell when addresses, links, default routes or external addresses change

  routepool COMMAND --help   says more about a command
  routepool --version        prints the version

Try: routepool validate 127.16.0.0/16
`;

async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  const asksForHelp = name === '--help' || name === '-h' || name === 'help';
  if (asksForHelp && rest.length === 0) {
    process.stdout.write(HELP);
    return EXIT.ok;
  }
  if (name === '--version' || name === '-V') {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    process.stdout.write(`${version}\n`);
    return EXIT.ok;
  }
  // Without a command: what is asked for most.
  const wanted = name === undefined || name.startsWith('-') ? 'interfaces' : name;
  const own = wanted === name ? rest : args;
  const help = asksForHelp
    ? (HELP_OF.get(rest[0] ?? '') ?? HELP)
    : own.includes('--help') || own.includes('-h')
      ? HELP_OF.get(wanted)
      : undefined;
  if (help !== undefined) {
    process.stdout.write(help);
    return EXIT.ok;
  }
  // Only now: what is above works without the addon. All of it is read first, since a damaged one could end the process
  // without a word.
  process.env['ROUTEPOOL_CHECK_BINDING'] ??= '1';
  const { COMMANDS, isInterface, isIP, nearestName } = await import('./commands.ts');
  const command = COMMANDS.get(wanted);
  if (!command) {
    const meant = nearestName(wanted, [...COMMANDS.keys()]);
    const hint =
      meant === undefined
        ? hintFor(wanted, isIP(wanted.split(/[/-]/)[0] ?? '') !== 0, isInterface(wanted))
        : `did you mean '${meant}'?`;
    throw new UsageError(`there is no command '${wanted}'; ${hint}`);
  }
  return command(own);
}

/** What is no command may be what a command is given. */
function hintFor(name: string, isAddress: boolean, isInterface: boolean): string {
  if (isAddress) return `did you mean 'routepool validate ${name}'?`;
  return isInterface ? `did you mean 'routepool interfaces ${name}'?` : 'see routepool --help';
}

const watch = new OutputWatch(process.stdout, process.stderr);
try {
  const code = await main(process.argv.slice(2));
  process.exitCode = watch.exitCode ?? code;
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`routepool: ${message}\n`);
  process.exitCode = UsageError.isUsage(error) ? EXIT.usage : EXIT.failure;
}
