/** The commands by name. They need the addon, unlike the command line itself. */
import { listInterfaces } from '../index.ts';
import { interfacesCommand } from './interfaces-command.ts';
import { natCommand } from './nat-command.ts';
import { stunServerCommand } from './stun-server-command.ts';
import { validateCommand } from './validate-command.ts';
import { watchCommand } from './watch-command.ts';

export { isIP } from '../is-ip.ts';
export { nearestName } from '../nearest-name.ts';

/** Does what the arguments say; gives the exit code. */
type Command = (args: string[]) => Promise<number>;

/** The commands by name. */
export const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['interfaces', interfacesCommand],
  ['stun-server', stunServerCommand],
  ['nat', natCommand],
  ['validate', validateCommand],
  ['watch', watchCommand],
]);

/** Whether there is an interface of that name. */
export function isInterface(name: string): boolean {
  return listInterfaces().includes(name);
}
