/** Why the addon could not be loaded, in words, with the command that mends it. Pure: every fact is passed in. */
import { dirname } from 'node:path';
import { PLATFORMS } from './platform.ts';

/** What is known when a load has failed. */
export interface LoadFacts {
  /** The platform of this process: `linux-x64-gnu`. */
  readonly platform: string;
  /** The version of glibc, where that is the C library. */
  readonly glibc: string | undefined;
  /** routepool's version. */
  readonly version: string;
  /** Platform packages found beside routepool, without `routepool-`. */
  readonly installed: readonly string[];
  /** The file that was to be loaded, if one was found. */
  readonly file: string | undefined;
  /** In what it differs from the file that was packed. */
  readonly fault: string | undefined;
  /** The file named by `ROUTEPOOL_BINDING`. */
  readonly override: string | undefined;
  /** Whether Node runs with its permission model. */
  readonly permissionModel: boolean;
  /** Whether this is a checkout of the repository, where the addon is built. */
  readonly checkout: boolean;
  /** Whether routepool's own package is not to be found, as when a bundler has taken its code out of it. */
  readonly bundled: boolean;
  /** What the attempts said. */
  readonly messages: readonly string[];
}

/** The kinds of reasons. */
export type LoadFailureReason =
  | 'addons-disabled'
  | 'override'
  | 'permission'
  | 'bundled'
  | 'old-glibc'
  | 'damaged'
  | 'other-version'
  | 'unsupported-platform'
  | 'other-platform-installed'
  | 'not-installed'
  | 'load-failed';

/** The reason, what happened, and what to do. */
export interface LoadFailure {
  readonly reason: LoadFailureReason;
  readonly message: string;
}

const BUILD = 'build it from source (git clone, then npm install with Rust 1.89 or newer)';

/** Tells the reasons apart; the first that fits is the one to mend first. */
export function explainLoadFailure(facts: LoadFacts): LoadFailure {
  const { platform, version, installed, file, fault, override, checkout, messages } = facts;
  const name = `routepool-${platform}`;
  // npm compares versions, never files: whatever its options, it leaves a package alone whose folder is there.
  const folder = file === undefined ? `node_modules/${name}` : dirname(file);
  const again = checkout
    ? 'Build it again: npm run build'
    : `Delete the folder ${folder}, then run: npm install --include=optional routepool@${version}`;
  const said = (pattern: RegExp) => messages.find((message) => pattern.test(message));
  const subject = override ?? file ?? `the binary for ${platform}`;

  if (said(/loading addons is disabled/i) !== undefined) {
    return facts.permissionModel
      ? {
          reason: 'addons-disabled',
          message:
            'Node runs with its permission model, which does not let addons be loaded. Start it with --allow-addons too (an addon is not held back by --allow-net and its like).',
        }
      : {
          reason: 'addons-disabled',
          message:
            'Node was started with --no-addons, and routepool is an addon. Start it without that option; look into NODE_OPTIONS as well.',
        };
  }
  const denied = said(/Access to this API has been restricted/);
  if (denied !== undefined) {
    return {
      reason: 'permission',
      message: `Node's permission model does not let routepool's own files be read. Start it with --allow-fs-read=PATH for the folder that routepool is in, and with --allow-addons.`,
    };
  }
  const glibc = /GLIBC_([0-9.]+)' not found/.exec(said(/GLIBC_[0-9.]+' not found/) ?? '')?.[1];
  if (glibc !== undefined) {
    const here = facts.glibc === undefined ? 'this system has an older one' : `this system has ${facts.glibc}`;
    return {
      reason: 'old-glibc',
      message: `${subject} needs glibc ${glibc} or newer, and ${here}. Use a newer system or base image, or ${BUILD} on this one.`,
    };
  }
  if (facts.bundled && override === undefined) {
    return {
      reason: 'bundled',
      message:
        "routepool was bundled into another file, away from its addon. Leave it out of the bundle (esbuild: --external:routepool, webpack and vite: externals) and install it where the bundle runs, or name the addon's .node file in ROUTEPOOL_BINDING.",
    };
  }
  if (fault !== undefined) {
    return {
      reason: 'damaged',
      message: `${subject} is damaged: ${fault}. ${again}. (If a tool changed it on purpose, such as strip, patchelf or codesign, name it in ROUTEPOOL_BINDING.)`,
    };
  }
  const lacks = said(/lacks the call/);
  if (lacks !== undefined && override !== undefined) {
    return {
      reason: 'other-version',
      message: `ROUTEPOOL_BINDING names ${override}, which is not the addon of routepool ${version}: ${firstLine(lacks)}. Set it to the path of that version's .node file, or unset it.`,
    };
  }
  if (lacks !== undefined) {
    return {
      reason: 'other-version',
      message: `${subject} is of another version than routepool ${version}: ${firstLine(lacks)}. ${checkout ? again : `Install both at once: npm install routepool@${version}`}`,
    };
  }
  const broken = said(
    /file too short|invalid ELF header|wrong ELF class|not a valid Win32 application|not a mach-o file|slice is not valid mach-o|ELF load command|cannot read file data/i,
  );
  if (override !== undefined) {
    // Node takes a file of any other name for JavaScript, and complains of its syntax.
    const script = !override.endsWith('.node') && said(/Cannot find module/) === undefined;
    const why = script ? 'its name does not end in .node' : (broken ?? said(/./) ?? 'it has no addon');
    return {
      reason: 'override',
      message: `ROUTEPOOL_BINDING names ${override}, which cannot be loaded: ${firstLine(why)}. Set it to the path of routepool's .node file, or unset it.`,
    };
  }
  if (broken !== undefined) {
    return {
      reason: 'damaged',
      message: `${subject} is damaged, or made for another system: ${firstLine(broken)}. ${again}`,
    };
  }
  if (!PLATFORMS.some((known) => known === platform)) {
    return {
      reason: 'unsupported-platform',
      message: `There is no binary of routepool for ${platform}. There are binaries for ${PLATFORMS.join(', ')}. On this system ${BUILD}.`,
    };
  }
  if (checkout && file === undefined && said(/Cannot find module/) !== undefined) {
    return { reason: 'not-installed', message: 'The addon is not built yet. Run: npm run build' };
  }
  if (!installed.includes(platform) && said(/Cannot find module/) !== undefined && file === undefined) {
    const [cpu, libc] = [platform.split('-')[1], platform.split('-')[2]];
    const os = platform.split('-')[0];
    const flags = `--os=${os} --cpu=${cpu}${os === 'linux' ? ` --libc=${libc === 'gnu' ? 'glibc' : 'musl'}` : ''}`;
    if (installed.length > 0) {
      const which = installed.map((other) => `routepool-${other}`).join(', ');
      const they = which.startsWith(`routepool-linux-${cpu}-`)
        ? 'The C library of that one is not the one of this process'
        : 'The folder node_modules seems to come from another system';
      return {
        reason: 'other-platform-installed',
        message: `${name} is not installed, but ${which} is. ${they}. Run npm ci on this system (not a copy of node_modules), or: npm install ${flags} routepool@${version}`,
      };
    }
    return {
      reason: 'not-installed',
      message: `${name}, which has the binary for this system, is not installed. It is an optional dependency, which npm leaves out with --omit=optional, or when the lock file was made on another system. Run: npm install --include=optional routepool@${version}`,
    };
  }
  return {
    reason: 'load-failed',
    message: `${subject} could not be loaded: ${firstLine(messages[0] ?? 'no reason was given')}. ${again}`,
  };
}

function firstLine(text: string): string {
  return (text.split('\n', 1)[0] ?? text).replace(/\.$/, '');
}
