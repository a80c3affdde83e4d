/** The command line: finds the command and runs it. */
import { readFileSync } from 'node:fs';
import { listInterfaces } from '../interface-facts.ts';
import { isIP } from '../is-ip.ts';
import { nearestName } from '../nearest-name.ts';
import { EXIT } from './exit-codes.ts';
import { INTERFACES_HELP, interfacesCommand } from './interfaces-command.ts';
import { NAT_HELP, natCommand } from './nat-command.ts';
import { OutputWatch } from './output-stream.ts';
import { STUN_SERVER_HELP, stunServerCommand } from './stun-server-command.ts';
import { UsageError } from './usage-error.ts';
import { VALIDATE_HELP, validateCommand } from './validate-command.ts';
import { WATCH_HELP, watchCommand } from './watch-command.ts';

const HELP = `routepool: which external IP each of your IPs leaves as, and which of them really work

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

const COMMANDS: Record<string, { help: string; run: (args: string[]) => Promise<number> }> = {
  interfaces: { help: INTERFACES_HELP, run: interfacesCommand },
  'stun-server': { help: STUN_SERVER_HELP, run: stunServerCommand },
  nat: { help: NAT_HELP, run: natCommand },
  validate: { help: VALIDATE_HELP, run: validateCommand },
  watch: { help: WATCH_HELP, run: watchCommand },
};

async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === '--help' || name === '-h' || name === 'help') {
    const command = rest[0] === undefined ? undefined : COMMANDS[rest[0]];
    process.stdout.write(command?.help ?? HELP);
    return EXIT.ok;
  }
  if (name === '--version' || name === '-V') {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
    process.stdout.write(`${version}\n`);
    return EXIT.ok;
  }
  // Without a command: what is asked for most.
  if (name === undefined || name.startsWith('-')) return interfacesCommand(args);
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) {
    const meant = nearestName(name, Object.keys(COMMANDS));
    const hint = meant === undefined ? hintFor(name) : `did you mean '${meant}'?`;
    throw new UsageError(`there is no command '${name}'; ${hint}`);
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(command.help);
    return EXIT.ok;
  }
  return command.run(rest);
}

/** What is no command may be what a command is given. */
function hintFor(name: string): string {
  if (isIP(name.split(/[/-]/)[0] ?? '') !== 0) return `did you mean 'routepool validate ${name}'?`;
  return listInterfaces().includes(name) ? `did you mean 'routepool interfaces ${name}'?` : 'see routepool --help';
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
