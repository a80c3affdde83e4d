// Writes what the documents say of error codes and reasons from the tables in the code: `npm run docs:codes`. With
// `--check` it writes nothing, and fails if a document is stale, if a code is thrown that the table lacks, or the table
// has one that nothing throws.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import ts from 'typescript';
import { format, resolveConfig } from 'prettier';
import { readArguments } from '../common/arguments.mjs';

const {
  values: { check },
} = readArguments({
  usage: 'npm run docs:codes [-- --check]',
  about: 'Writes what the documents say of error codes and reasons, from the code.',
  options: { check: { type: 'boolean', default: false, about: 'writes nothing, and fails where a document is stale' } },
});

// Read from the sources, so that no build can be older than the documents.
const tables = `export { ERROR_CODES } from './src/errors/error-codes.ts'; export { BAD_REPLIES, REFUSALS, UNKNOWNS } from './src/validate/verdict.ts';`;
const { outputFiles } = buildSync({
  stdin: { contents: tables, resolveDir: '.' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  write: false,
});
const { BAD_REPLIES, ERROR_CODES, REFUSALS, UNKNOWNS } = await import(
  `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`
);

/** What a newcomer meets: the README has these alone. */
const COMMON = [
  'ERR_ROUTEPOOL_NOT_LOCAL',
  'ERR_ROUTEPOOL_SERVER_SILENT',
  'ERR_ROUTEPOOL_SERVER_REFUSED',
  'ERR_ROUTEPOOL_RESOLVE',
  'ERR_ROUTEPOOL_NO_ROUTE',
  'ERR_ROUTEPOOL_BINDING',
];

/** Every file of a folder with this ending that is shipped. */
function sources(folder, ending) {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter((name) => name.endsWith(ending) && !/[/\\]tests?([/\\.]|\.rs$)/.test(name));
}

/** Code to the files that throw it. */
function thrown() {
  const files = new Map();
  const add = (code, file) => files.set(code, [...(files.get(code) ?? []), file]);
  for (const file of sources('src', '.ts')) {
    for (const [, code] of readFileSync(file, 'utf8').matchAll(/new RoutePoolError\(\s*'(\w+)'/g)) add(code, file);
  }
  // Rust: a variant has its code in one place, and is made elsewhere. Tests stand at the end of a file.
  const engine = 'crates/core/src/error.rs';
  const variants = [
    ...readFileSync(engine, 'utf8').matchAll(/Self::(\w+)(?:\(_\)| \{ \.\. \}) => "(ERR_ROUTEPOOL_\w+)"/g),
  ];
  if (variants.length === 0) throw new Error(`${engine} has its codes in another form than this script reads`);
  for (const file of [...sources('crates/core/src', '.rs'), ...sources('crates/binding/src', '.rs')]) {
    const code = readFileSync(file, 'utf8').split('#[cfg(test)]')[0] ?? '';
    for (const [, variant, name] of variants) {
      const made =
        variant === 'Option'
          ? /\boption_error\(|Error::Option \{ option/
          : new RegExp(`\\bError::${variant}\\b(?!\\(_)`);
      if (file !== engine && made.test(code)) add(name, file);
    }
    if (file !== engine) for (const [, name] of code.matchAll(/"(ERR_ROUTEPOOL_\w+)"/g)) add(name, file);
  }
  return files;
}

/**
 * Code to the public functions whose `@throws` names it: what documents say of a function and of a code is the same
 * sentence.
 */
function documented() {
  const entries = ['src/index.ts', 'src/testing/index.ts'];
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile('tsconfig.json', ts.sys.readFile).config,
    ts.sys,
    '.',
  );
  const program = ts.createProgram(entries, { ...options, noEmit: true });
  const checker = program.getTypeChecker();
  const where = new Map();
  const note = (node, name) => {
    const tags = ts.getJSDocTags(node);
    if (tags.some((tag) => tag.tagName.text === 'internal')) return;
    for (const tag of tags.filter((one) => one.tagName.text === 'throws')) {
      for (const [code] of tag.getText().matchAll(/ERR_ROUTEPOOL_\w+/g))
        where.set(code, (where.get(code) ?? new Set()).add(name));
    }
  };
  for (const entry of entries) {
    for (const found of checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(entry)))) {
      const symbol = found.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(found) : found;
      const prefix = entry.includes('testing') ? 'testing.' : '';
      for (const node of symbol.declarations ?? []) {
        if (ts.isFunctionDeclaration(node)) note(node, `${prefix}${found.name}()`);
        if (!ts.isClassDeclaration(node)) continue;
        note(node, `${prefix}${found.name}`);
        for (const member of node.members) {
          const name = member.name?.getText() ?? '';
          const call = ts.isGetAccessor(member) ? name : `${name}()`;
          note(
            member,
            ts.isConstructorDeclaration(member)
              ? `new ${prefix}${found.name}()`
              : name.startsWith('[')
                ? `${prefix}${found.name}: for await`
                : `${prefix}${found.name}.${call}`,
          );
        }
      }
    }
  }
  return where;
}

const files = thrown();
const where = documented();
const faults = [];
for (const [code, by] of files)
  if (!(code in ERROR_CODES)) faults.push(`${code} is thrown by ${by[0]}, and src/errors/error-codes.ts lacks it`);
for (const code of Object.keys(ERROR_CODES)) {
  if (!files.has(code)) faults.push(`${code} is in src/errors/error-codes.ts, and nothing throws it`);
  if (!where.has(code) && code !== 'ERR_ROUTEPOOL_INTERNAL' && code !== 'ERR_ROUTEPOOL_BINDING')
    faults.push(`${code} is in no @throws of a public function`);
}
for (const code of where.keys())
  if (!(code in ERROR_CODES)) faults.push(`${code} is in a @throws, and src/errors/error-codes.ts lacks it`);

const places = (code) =>
  [...(where.get(code) ?? [])]
    .toSorted()
    .map((name) => `\`${name}\``)
    .join(', ');
const ANYWHERE = { ERR_ROUTEPOOL_BINDING: 'the first call of anything', ERR_ROUTEPOOL_INTERNAL: 'anything' };
const full = Object.entries(ERROR_CODES).flatMap(([code, { what, advice }]) => [
  `### ${code}`,
  '',
  what,
  '',
  `**What to do:** ${advice}`,
  '',
  `Thrown or rejected by: ${ANYWHERE[code] ?? places(code)}`,
  '',
]);
const rows = (head, entries) => [
  `| ${head.join(' | ')} |`,
  `|${'---|'.repeat(head.length)}`,
  ...entries.map((cells) => `| ${cells.join(' | ')} |`),
];
const named = (texts) => Object.entries(texts).map(([name, text]) => [`\`${name}\``, text]);
const reasons = [
  ...rows(['`bad-reply` for the reason', 'what it means'], named(BAD_REPLIES)),
  '',
  ...rows(['`unknown` for the reason', 'what it means'], named(UNKNOWNS)),
  '',
  ...rows(['`send-error`, `bind-error` with the code', 'what it means'], named(REFUSALS)),
];
/** As `npm run format` leaves it. */
const formatted = async (file, text) => format(text, { ...(await resolveConfig(file)), filepath: file });
const parts = {
  'error codes': { 'docs/troubleshooting.md': full },
  'common error codes': {
    'README.md': rows(
      ['code', 'what happened', 'what to do'],
      COMMON.map((code) => [`\`${code}\``, ERROR_CODES[code].what, ERROR_CODES[code].advice]),
    ),
  },
  'reasons': { 'docs/validate.md': reasons },
};
for (const [part, documents] of Object.entries(parts)) {
  for (const [file, lines] of Object.entries(documents)) {
    const text = readFileSync(file, 'utf8');
    const [begin, end] = [`<!-- ${part}, from the code: npm run docs:codes -->\n`, `\n<!-- end of ${part} -->`];
    const [from, to] = [text.indexOf(begin), text.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`${file} has no place for ${part}: ${begin}`);
    const written = `${text.slice(0, from)}${begin}\n${lines.join('\n').trimEnd()}\n${text.slice(to)}`;
    const fresh = await formatted(file, written);
    if (fresh === (await formatted(file, text))) continue;
    if (check) faults.push(`${file} is not what the code says: npm run docs:codes`);
    else {
      writeFileSync(file, fresh);
      console.log(`${file}: ${part} written`);
    }
  }
}
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}
console.log(
  `${Object.keys(ERROR_CODES).length} error codes: each is thrown, each that is thrown is documented${check ? ', and the documents are as the code says' : ''}`,
);
