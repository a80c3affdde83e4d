// npm run check:workflows: lints the workflows with actionlint, compiled into target/tools where Go is and the command
// is not; audits their security with zizmor, from PyPI; makes sure that every npm script they call is there, and that
// each action is named by its commit.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readArguments } from '../common/arguments.mjs';
import { pythonTool } from '../common/python-tool.mjs';
import { has, run } from '../common/system.mjs';

readArguments({
  usage: 'npm run check:workflows',
  about: 'Lints the workflows, and checks that what they call is there.',
});

const ACTIONLINT = 'github.com/rhysd/actionlint/cmd/actionlint@v1.7.12';
const folder = join('.github', 'workflows');
const files = readdirSync(folder).map((name) => join(folder, name));
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'));
const called = files.flatMap((file) =>
  [...readFileSync(file, 'utf8').matchAll(/npm run (?:-s )?([\w:-]+)/g)].map(([, name]) => [file, name]),
);
const missing = called.filter(([, name]) => !(name in scripts));
if (missing.length > 0) {
  for (const [file, name] of missing) console.error(`${file} calls npm run ${name}, which package.json has not`);
  process.exit(1);
}
console.log(`workflows: ${called.length} calls of npm scripts, each is there`);

// A tag can be moved by whoever may write to that repository; a commit cannot. The tag stands beside it for people, and
// for dependabot.
const loose = files.flatMap((file) =>
  [...readFileSync(file, 'utf8').matchAll(/uses: (.+)/g)]
    .filter(([, action]) => !/^[\w-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(action))
    .map(([, action]) => `${file} uses ${action}`),
);
if (loose.length > 0) {
  console.error(`${loose.join('\n')}\nName the commit, and the tag behind it: uses: OWNER/NAME@COMMIT # v1.2.3`);
  process.exit(1);
}

const own = resolve('target', 'tools', 'bin');
let command = 'actionlint';
if (!has(command)) {
  command = join(own, 'actionlint');
  if (!existsSync(command) && has('go')) run('go', ['install', ACTIONLINT], { env: { ...process.env, GOBIN: own } });
}
if (command !== 'actionlint' && !existsSync(command)) {
  console.log('workflows: actionlint SKIPPED, neither it nor Go (which compiles it) is here');
} else {
  run(command, ['-color=false', ...files], { inherit: true });
  console.log(`workflows: ${files.join(' and ')} pass actionlint`);
}

// Offline: what it would ask GitHub (whether a commit has a known vulnerability) is not asked.
run(pythonTool('zizmor', 'zizmor==1.32.0'), ['--offline', '--no-progress', '--quiet', '.github'], { inherit: true });
console.log('workflows: zizmor has nothing to say about them');
