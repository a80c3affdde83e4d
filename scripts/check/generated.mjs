// index.js and index.d.ts are generated and committed; this says when they are not what the build makes.
import { spawnSync } from 'node:child_process';
import { readArguments } from '../common/arguments.mjs';

readArguments({
  usage: 'npm run check:generated',
  about: 'Checks that index.js and index.d.ts are committed as the build makes them.',
});

const files = ['index.js', 'index.d.ts'];
const { status, stdout, error } = spawnSync('git', ['diff', '--stat', '--', ...files], { encoding: 'utf8' });
if (error || status !== 0) {
  console.log('generated files: not compared (this is no git checkout)');
} else if (stdout.trim() !== '') {
  console.error(`These files are generated, and the build made others than are committed. Commit them:\n${stdout}`);
  process.exit(1);
} else {
  console.log(`generated files: ${files.join(' and ')} are as the build makes them`);
}
