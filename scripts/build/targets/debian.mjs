// Files of Debian's packages for another architecture or of another release, unpacked into a folder and not installed:
// apt fetches and verifies them with lists of its own, so that the system's stay as they are. No root is needed.
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, updatePackages } from '../../common/system.mjs';

const KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Where the system's own packages come from: `[address, release]` of each repository of Debian's. */
function repositories() {
  const targets = () =>
    run('apt-get', [
      'indextargets',
      '--format',
      '$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)',
      'Created-By: Packages',
    ])
      .trim()
      .split('\n');
  const debian = () =>
    targets()
      .map((line) => line.split('|'))
      .filter(([origin, , , component]) => origin.startsWith('Debian') && component === 'main');
  let found = debian();
  if (found.length === 0 && process.getuid?.() === 0) {
    updatePackages();
    found = debian();
  }
  if (found.length === 0) throw new Error('apt knows no repository of Debian: run apt-get update');
  return [...new Map(found.map(([, address, release]) => [release, [address, release]])).values()];
}

/** The release itself, without `-updates` and `-security`: the others are beside it. */
function main() {
  return repositories().toSorted((a, b) => a[1].length - b[1].length)[0];
}

/**
 * Unpacks a package into `folder` unless that is there. `architecture` is Debian's name of it; `version` must match
 * exactly; `release` is another one than the system's, by its code name.
 */
export function unpackDebian(name, { architecture, folder, version, release }) {
  if (existsSync(folder)) return folder;
  const work = `${folder}.partial`;
  rmSync(work, { recursive: true, force: true });
  for (const path of ['lists/partial', 'cache/archives/partial', 'sources', 'files'])
    mkdirSync(join(work, path), { recursive: true });
  writeFileSync(join(work, 'status'), '');
  const from = release === undefined ? repositories() : [[main()[0], release]];
  const stanza = ([address, suite]) =>
    `Types: deb\nURIs: ${address}\nSuites: ${suite}\nComponents: main\nArchitectures: ${architecture}\nSigned-By: ${KEYS}\n`;
  writeFileSync(join(work, 'sources', 'debian.sources'), from.map(stanza).join('\n'));
  const options = {
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': join(work, 'sources'),
    'Dir::State::lists': join(work, 'lists'),
    'Dir::State::status': join(work, 'status'),
    'Dir::Cache': join(work, 'cache'),
    'APT::Architecture': architecture,
    'APT::Architectures': architecture,
    // As root, apt would fetch as another user, who cannot write here.
    'APT::Sandbox::User': 'root',
  };
  const apt = (...args) =>
    run('apt-get', ['-qq', ...Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`]), ...args], {
      cwd: work,
    });
  apt('update');
  apt('download', version === undefined ? name : `${name}=${version}`);
  const archive = readdirSync(work).find((file) => file.endsWith('.deb'));
  run('dpkg-deb', ['-x', join(work, archive), join(work, 'files')]);
  run('mv', [join(work, 'files'), folder]);
  rmSync(work, { recursive: true });
  return folder;
}
