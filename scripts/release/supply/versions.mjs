// The version, everywhere it is written: what npm, Cargo and the generated loader take it from.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const CARGO = /(\[workspace\.package\]\n(?:[^[]*\n)?version = ")([^"]+)/;
const LOADER = /(bindingPackageVersion !== '|expected )(\d[\w.+-]*)(?=' &&| but got)/g;

/** A version as npm and Cargo both take it (https://semver.org); no build metadata, since npm drops it. */
export const VERSION =
  /^(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-(?:0|[1-9]\d*|\d*[a-zA-Z-][\dA-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][\dA-Za-z-]*))*)?$/;

/** Whether a version comes before another (https://semver.org, section 11). */
export function isLower(one, other) {
  const parts = (version) => {
    const [, numbers, pre] = /^([\d.]+)(?:-(.+))?$/.exec(version);
    // A release comes after its pre-releases, and a number before a word.
    return [
      ...numbers.split('.').map(Number),
      ...(pre === undefined
        ? [Number.POSITIVE_INFINITY]
        : pre.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part))),
    ];
  };
  const [a, b] = [parts(one), parts(other)];
  for (let k = 0; k < Math.max(a.length, b.length); k += 1) {
    const [x, y] = [a[k], b[k]];
    if (x === y) continue;
    if (x === undefined || y === undefined) return x === undefined;
    if (x === Number.POSITIVE_INFINITY || y === Number.POSITIVE_INFINITY) return y === Number.POSITIVE_INFINITY;
    if (typeof x !== typeof y) return typeof x === 'number';
    return x < y;
  }
  return false;
}

/** The names of the workspace's own crates. */
const crates = (root) =>
  readdirSync(join(root, 'crates')).map(
    (folder) => /^name = "([^"]+)"/m.exec(readFileSync(join(root, 'crates', folder, 'Cargo.toml'), 'utf8'))[1],
  );

/** Each file that has the version, with how to find it and how to write another. */
const places = [
  {
    file: 'package.json',
    read: (text) => [JSON.parse(text).version],
    write: (text, version) => text.replace(/^( {2}"version": ")[^"]+/m, `$1${version}`),
  },
  {
    file: 'package-lock.json',
    read: (text) => [JSON.parse(text).version, JSON.parse(text).packages[''].version],
    write: (text, version) => {
      const lock = JSON.parse(text);
      lock.version = version;
      lock.packages[''].version = version;
      return `${JSON.stringify(lock, null, 2)}\n`;
    },
  },
  {
    file: 'Cargo.toml',
    read: (text) => [CARGO.exec(text)?.[2]],
    write: (text, version) => text.replace(CARGO, `$1${version}`),
  },
  {
    file: 'Cargo.lock',
    read: (text, root) =>
      crates(root).map((name) => new RegExp(`name = "${name}"\nversion = "([^"]+)`).exec(text)?.[1]),
    write: (text, version, root) =>
      crates(root).reduce(
        (all, name) => all.replace(new RegExp(`(name = "${name}"\nversion = ")[^"]+`), `$1${version}`),
        text,
      ),
  },
  {
    file: 'index.js',
    read: (text) => [...new Set([...text.matchAll(LOADER)].map(([, , version]) => version))],
    write: (text, version) => text.replaceAll(LOADER, `$1${version}`),
  },
];

/** What each place says. */
function versions(root) {
  return Object.fromEntries(
    places.map(({ file, read }) => [file, [...new Set(read(readFileSync(join(root, file), 'utf8'), root))].join(', ')]),
  );
}

/** What is wrong with the versions: a line for each file that does not say `version`. */
export function versionMismatches(root, version) {
  return Object.entries(versions(root))
    .filter(([, found]) => found !== version)
    .map(
      ([file, found]) =>
        `${file} says version ${found || 'nothing'}, and package.json ${version}: npm run version:set -- ${version}`,
    );
}

/** The files with another version in them, by name. */
export function withVersion(root, version) {
  return Object.fromEntries(
    places.map(({ file, write }) => [file, write(readFileSync(join(root, file), 'utf8'), version, root)]),
  );
}
