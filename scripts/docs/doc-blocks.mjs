// The code blocks of the documents, and what becomes of each. A remark in a comment before a block says what cannot be
// seen from it:
//   <!-- not run: REASON -->      nothing can run it here
//   <!-- types only: REASON -->   JavaScript that is type-checked and not run
// Without one: `js` and `ts` are type-checked and run, `sh` is run in the documents' network, `json` must parse, and a
// block of `text` is what the `sh` block before it prints.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** All documents for users, from the root of the repository. */
export const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'SECURITY.md',
  'bench/README.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .toSorted()
    .map((name) => join('docs', name)),
];

/** The blocks of a document, as doc-blocks.d.mts has them. Throws for one that would be left out unseen. */
export function blocksOf(file, text = readFileSync(file, 'utf8')) {
  const blocks = [];
  const fence = /(?:^<!-- ([^\n]*?) -->\n\n?)?^```([^\n]*)\n([\s\S]*?)^```$/gm;
  for (const match of text.matchAll(fence)) {
    const [whole, remark, language = '', code = ''] = match;
    const end = match.index + whole.length - 3;
    const line = text.slice(0, end - code.length).split('\n').length;
    const [, mark, reason] = /^(not run|types only): (.+)$/.exec(remark ?? '') ?? [];
    const last = blocks.at(-1);
    const isBeside = last !== undefined && text.slice(last.end + 3, match.index).trim() === '';
    const output = language === '' || language === 'text' || language === 'json';
    const kind =
      mark === 'not run'
        ? 'not run'
        : mark === 'types only'
          ? 'types'
          : language === 'js' || language === 'ts'
            ? 'run'
            : language === 'sh'
              ? 'shell'
              : output && isBeside && last.kind === 'shell'
                ? 'output'
                : output && language !== 'json' && isBeside && last.kind === 'not run'
                  ? 'not run'
                  : language === 'json'
                    ? 'data'
                    : undefined;
    if (kind === undefined)
      throw new Error(
        `${file}:${line}: a block (${language || 'without a language'}) that nothing runs or checks; say why in a comment before it`,
      );
    blocks.push({
      file,
      line,
      language,
      code,
      start: end - code.length,
      end,
      kind,
      reason: reason ?? last?.reason,
      of: kind === 'output' ? blocks.length - 1 : undefined,
    });
  }
  return blocks;
}
