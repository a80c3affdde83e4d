// Which crates are inside the addon for a target: what cargo resolves for it, without what only builds, tests or
// generates code.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../../common/system.mjs';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Checksums of the crates' archives, by "name version", as Cargo.lock has them. */
function checksums() {
  const lock = readFileSync(join(root, 'Cargo.lock'), 'utf8');
  return new Map(
    [...lock.matchAll(/name = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "(.+)"/g)].map(
      ([, name, version, sum]) => [`${name} ${version}`, sum],
    ),
  );
}

/**
 * The crates that cargo compiles into the addon, by "name version". `cargo metadata` alone has too many: it adds up the
 * features that any crate of the workspace, tests included, asks for.
 */
function compiledIn(target) {
  const tree = run(
    'cargo',
    [
      'tree',
      '--locked',
      '-p',
      'routepool',
      '-e',
      'normal,no-proc-macro',
      '--target',
      target,
      '--prefix',
      'none',
      '--format',
      '{p}',
    ],
    { cwd: root },
  );
  return new Set(
    tree
      .trim()
      .split('\n')
      .map((line) => /^(\S+) v(\S+)/.exec(line).slice(1).join(' ')),
  );
}

/** Cargo is asked once for each target. */
const known = new Map();

/**
 * The crates of a target's addon, sorted by name: `name`, `version`, `license` (SPDX), `authors`, `repository`,
 * `folder` (its source), `checksum` (SHA-256 of its archive; none for a crate of this repository), `uses` (the keys of
 * the crates it calls), `key`.
 */
export function linkedCrates(target) {
  if (!known.has(target)) known.set(target, resolveCrates(target));
  return known.get(target);
}

function resolveCrates(target) {
  const metadata = JSON.parse(
    run('cargo', ['metadata', '--format-version', '1', '--locked', '--filter-platform', target], { cwd: root }),
  );
  const inside = compiledIn(target);
  const sums = checksums();
  const keyOf = ({ name, version }) => `${name} ${version}`;
  const crates = metadata.packages.filter((crate) => inside.has(keyOf(crate)));
  const keys = new Map(crates.map((crate) => [crate.id, keyOf(crate)]));
  const uses = (id) =>
    metadata.resolve.nodes
      .find((node) => node.id === id)
      .deps.filter(({ pkg, dep_kinds: kinds }) => keys.has(pkg) && kinds.some(({ kind }) => kind === null))
      .map(({ pkg }) => keys.get(pkg));
  if (crates.length !== inside.size)
    throw new Error(`cargo tree and cargo metadata do not agree on what is inside ${target}`);
  return crates
    .map((crate) => ({
      key: keyOf(crate),
      name: crate.name,
      version: crate.version,
      license: crate.license,
      authors: crate.authors,
      repository: crate.repository,
      folder: dirname(crate.manifest_path),
      own: crate.source === null,
      checksum: sums.get(keyOf(crate)),
      uses: uses(crate.id).toSorted(),
    }))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
}
