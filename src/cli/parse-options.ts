/** Options of a command, with errors that say what to write instead. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { RoutePoolError } from '../errors/errors.ts';
import { nearestName } from '../options/nearest-name.ts';
import { UsageError } from './usage-error.ts';

type Options = NonNullable<ParseArgsConfig['options']>;

type Parsed<T extends Options> = ReturnType<
  typeof parseArgs<{ args: string[]; options: T; allowPositionals: true; strict: true }>
>;

/** Reads the arguments of `routepool COMMAND`. */
export function parseOptions<T extends Options>(command: string, args: string[], options: T): Parsed<T> {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // With a short form Node writes '-p, --port <value>'.
    const name = /'(?:-\w, )?(--?[^\s'=]+)/.exec(message)?.[1];
    if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' && name !== undefined) {
      const meant = nearestName(
        name,
        Object.keys(options).map((option) => `--${option}`),
      );
      const hint = meant === undefined ? `see routepool ${command} --help` : `did you mean ${meant}?`;
      throw new UsageError(`unknown option ${name}; ${hint}`, { cause: error });
    }
    if (code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') {
      if (message.includes('does not take'))
        throw new UsageError(`the option ${name} takes no value`, { cause: error });
      const next = args[args.indexOf(name ?? '') + 1];
      const hint = next?.startsWith('-') ? `; for a value that begins with a dash write ${name}=${next}` : '';
      throw new UsageError(`the option ${name} needs a value${hint}`, { cause: error });
    }
    throw error;
  }
}

/** A number, or undefined for an option that was not given. */
export function numberOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = text.trim() === '' ? Number.NaN : Number(text.replaceAll('_', ''));
  if (!Number.isFinite(value)) throw new UsageError(`expected a number for ${option} but received '${text}'`);
  return value;
}

/**
 * Runs a command; errors of the API then name options as the command has them: `--rate` for \`ratePerSecond\`.
 *
 * @param names what the command calls options that it calls otherwise
 */
export async function inCommandWords<T>(
  options: Options,
  names: Readonly<Record<string, string>>,
  run: () => Promise<T>,
): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof RoutePoolError) {
      const own = (quoted: string, name: string) =>
        names[name] ?? (Object.hasOwn(options, name) ? `--${name}` : quoted);
      error.message = error.message.replaceAll(/`([a-zA-Z.]+)`/g, own);
    }
    throw error;
  }
}
