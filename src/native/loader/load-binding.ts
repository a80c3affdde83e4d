/**
 * Loads the addon: the file that `ROUTEPOOL_BINDING` names, or this platform's, or what the generated loader finds. If
 * that fails, the error says which of the many reasons it was, and the command that mends it.
 */
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RoutePoolError } from '../../errors/errors.ts';
import { explainLoadFailure } from './load-failure.ts';
import { packedBinary, quickFault, wholeFault, type PackedBinary } from './packed-binary.ts';
import { linuxLibc, platformName, PLATFORMS, quickPlatformName } from './platform.ts';

/** This file, or the bundle that it has become part of: in one of CommonJS esbuild leaves `import.meta` empty. */
function ownFile(): string {
  const url = import.meta.url as string | undefined;
  if (url?.startsWith('file:')) return fileURLToPath(url);
  return typeof __filename === 'string' ? __filename : resolve('bundle.js');
}

const here = ownFile();
const require = createRequire(here);

/** The package's folder: the depth of this file differs between src and what is published. */
function packageFolder(): string {
  let folder = dirname(here);
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder);
  return folder;
}

const root = packageFolder();

/**
 * Loads the addon and gives a function that takes its calls out of it by name: a binary of another version is then
 * noticed at once, and not when the call that it lacks is made.
 *
 * @throws {RoutePoolError} `ERR_ROUTEPOOL_BINDING`, here and from the function
 */
export function loadBinding<T extends object>(): <K extends keyof T & string>(name: K) => T[K] {
  const named = process.env['ROUTEPOOL_BINDING'];
  const override = named ? resolve(named) : undefined;
  let loaded: T;
  try {
    // The generated loader knows more names of files than are published, and takes longer than all the rest.
    loaded = require(override ?? ownBinary() ?? join(root, 'index.js')) as T;
  } catch (error) {
    throw failure(error, override);
  }
  return (name) => {
    if (loaded[name] === undefined) throw failure(new Error(`it lacks the call '${name}'`), override);
    return loaded[name];
  };
}

/** The binary for this platform: what was built in a checkout, or what its package has. */
function ownBinary(): string | undefined {
  const platform = quickPlatformName();
  if (platform === undefined) return undefined;
  const built = join(root, `routepool.${platform}.node`);
  if (existsSync(built)) return built;
  const packed = packedBinary(require, platform);
  // Before it is loaded: that could end the process.
  const fault = packed && faultOf(packed, process.env['ROUTEPOOL_CHECK_BINDING'] ? wholeFault : quickFault);
  if (fault !== undefined) throw new Error(fault);
  return packed?.file;
}

function faultOf(packed: PackedBinary, look: (packed: PackedBinary) => string | undefined): string | undefined {
  try {
    return look(packed);
  } catch {
    // Not there, or not to be read: the load says so.
    return undefined;
  }
}

function failure(error: unknown, override: string | undefined): RoutePoolError {
  const libc = linuxLibc();
  const platform = platformName(libc);
  const messages = [...chain(error)];
  const own = version();
  const packed = override === undefined ? packedBinary(require, platform) : undefined;
  const { message } = explainLoadFailure({
    platform,
    glibc: libc?.name === 'glibc' ? libc.version : undefined,
    version: own ?? 'here',
    bundled: own === undefined,
    installed: PLATFORMS.filter((name) => isInstalled(name)),
    file: loadedFile(messages) ?? packed?.file,
    fault: packed && faultOf(packed, wholeFault),
    override,
    permissionModel: (process as { permission?: unknown }).permission !== undefined,
    checkout: existsSync(join(root, 'Cargo.toml')),
    messages,
  });
  return new RoutePoolError('ERR_ROUTEPOOL_BINDING', message, { cause: error });
}

/** The messages of an error and all its causes, but those about files that only a build for browsers would have. */
function* chain(error: unknown): Generator<string> {
  for (let next: unknown = error; next instanceof Error; next = next.cause) {
    if (!/wasi|Cannot find native binding/.test(next.message)) yield next.message;
  }
}

/** The file that the dynamic loader's messages begin with. */
function loadedFile(messages: readonly string[]): string | undefined {
  const own = messages.map((message) => /(?:^|required by )\(?(\S+\.node)\b/.exec(message)?.[1]);
  return own.find((file) => file !== undefined && !file.startsWith('.'));
}

function isInstalled(platform: string): boolean {
  try {
    require.resolve(`routepool-${platform}/package.json`);
    return true;
  } catch {
    return false;
  }
}

/** Undefined where this file is not in its package any more. */
function version(): string | undefined {
  try {
    return (require('routepool/package.json') as { version: string }).version;
  } catch {
    return undefined;
  }
}
