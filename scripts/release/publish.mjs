// npm run publish:release [-- --dry-run]: publishes what `npm run pack:release` packed, binaries first and routepool
// last, so that whoever gets routepool finds its binary. A run that stopped half-way is taken up again: what the
// registry already has, with the same contents, is left as it is. Registry and credentials are npm's own configuration.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { readArguments } from '../common/arguments.mjs';
import { read, root } from './pack-packages.mjs';

const { values } = readArguments({
  usage: 'npm run publish:release [-- [--dry-run] [--from DIR]]',
  about: 'Publishes what pack:release packed, binaries first. A run that stopped half-way is taken up again.',
  options: {
    'from': {
      type: 'string',
      default: join(root, 'target/release-packages'),
      about: 'where the tarballs are (target/release-packages)',
    },
    'dry-run': { type: 'boolean', default: false, about: 'says what would be published, and publishes nothing' },
  },
});
const npm = (args, options) =>
  spawnSync('npm', args, { encoding: 'utf8', shell: process.platform === 'win32', ...options });

function stop(message) {
  console.error(message);
  process.exit(1);
}

/** The integrity of a published version; undefined if there is none. */
function published(name, version) {
  const { status, stdout, stderr } = npm(['view', `${name}@${version}`, 'dist.integrity', '--json', '--prefer-online']);
  if (status === 0) return stdout.trim() === '' ? undefined : JSON.parse(stdout);
  let code;
  try {
    ({ code } = JSON.parse(stdout).error);
  } catch {
    // No JSON: npm itself failed, and said why.
  }
  if (code === 'E404') return undefined;
  return stop(
    `Nothing more was published: the registry could not be asked about ${name}@${version}.\n${stderr.trim()}`,
  );
}

if (!existsSync(join(values.from, 'packages.json')))
  stop(
    `Nothing was published: ${values.from} has no packages.json. Pack first (npm run pack:release -- vX.Y.Z), or name the folder: --from DIR.`,
  );
const packages = read(join(values.from, 'packages.json'));
for (const { name, filename, integrity } of packages) {
  const is = `sha512-${createHash('sha512')
    .update(readFileSync(join(values.from, filename)))
    .digest('base64')}`;
  if (is !== integrity)
    stop(`Nothing was published: ${filename} is not the file that packages.json describes (${name}). Pack again.`);
}

for (const { name, version, filename, integrity } of packages) {
  const there = published(name, version);
  if (there === integrity) {
    console.log(`${name}@${version}  is published already`);
    continue;
  }
  if (there !== undefined) {
    stop(
      `${name}@${version} is published with other contents (${there}, here ${integrity}). A version is never replaced: release the next one.`,
    );
  }
  // A version with a hyphen is a pre-release: who asks for routepool must not get it.
  const args = ['publish', `./${filename}`, '--access', 'public', '--tag', version.includes('-') ? 'next' : 'latest'];
  if (values['dry-run']) {
    console.log(`${name}@${version}  would be published: npm ${args.join(' ')}`);
    continue;
  }
  const { status } = npm(args, { cwd: values.from, stdio: ['inherit', 'inherit', 'inherit'] });
  if (status !== 0)
    stop(
      `${name}@${version} was not published (npm says why above). Run this again when that is mended: it goes on from here.`,
    );
  console.log(`${name}@${version}  published`);
}
