// The public types, as etc/routepool.api.md has them: a change must be seen in review. `npm run check:api -- --write`
// writes them down.
import { mkdirSync } from 'node:fs';
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor';
import { readArguments } from '../common/arguments.mjs';

const {
  values: { write },
} = readArguments({
  usage: 'npm run check:api [-- --write]',
  about: 'Compares the public types with etc/routepool.api.md.',
  options: { write: { type: 'boolean', default: false, about: 'writes them down instead' } },
});
mkdirSync('target/api', { recursive: true });
const { succeeded, apiReportChanged } = Extractor.invoke(ExtractorConfig.loadFileAndPrepare('api-extractor.json'), {
  localBuild: write,
  messageCallback: (message) => {
    // Said below in words of our own.
    if (message.messageId.startsWith('console-')) message.handled = true;
  },
});
if (apiReportChanged && !write) {
  console.error(
    'The public types are others than etc/routepool.api.md has. If that is meant: npm run check:api -- --write, and commit it.',
  );
  process.exit(1);
}
if (!succeeded) process.exit(1);
console.log('public types: as etc/routepool.api.md has them');
