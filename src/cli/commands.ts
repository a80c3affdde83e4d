/** The commands by name. They need the addon, unlike the command line itself. */
import { listInterfaces } from '../interface-facts.ts';
import { INTERFACES_HELP, interfacesCommand } from './interfaces-command.ts';
import { NAT_HELP, natCommand } from './nat-command.ts';
import { STUN_SERVER_HELP, stunServerCommand } from './stun-server-command.ts';
import { VALIDATE_HELP, validateCommand } from './validate-command.ts';
import { WATCH_HELP, watchCommand } from './watch-command.ts';

/** What a command is. */
export interface Command {
  readonly help: string;
  readonly run: (args: string[]) => Promise<number>;
}

/** The commands by name. */
export const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ['interfaces', { help: INTERFACES_HELP, run: interfacesCommand }],
  ['stun-server', { help: STUN_SERVER_HELP, run: stunServerCommand }],
  ['nat', { help: NAT_HELP, run: natCommand }],
  ['validate', { help: VALIDATE_HELP, run: validateCommand }],
  ['watch', { help: WATCH_HELP, run: watchCommand }],
]);

/** Whether there is an interface of that name. */
export function isInterface(name: string): boolean {
  return listInterfaces().includes(name);
}
