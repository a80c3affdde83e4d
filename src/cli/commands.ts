/** The commands by name. They need the addon, unlike the command line itself. */
import { listInterfaces } from '../index.ts';
import { interfacesCommand } from './commands/interfaces.ts';
import { natCommand } from './commands/nat.ts';
import { stunServerCommand } from './commands/stun-server.ts';
import { validateCommand } from './commands/validate.ts';
import { watchCommand } from './commands/watch.ts';

export { isIP } from '../address/is-ip.ts';
export { nearestName } from '../options/nearest-name.ts';

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
