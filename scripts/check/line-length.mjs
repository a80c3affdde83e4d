// npm run lint: that no line of TypeScript or JavaScript is longer than the formatter's 120 columns, which breaks code
// and no comments. A line may be longer for a text alone (a string, a template, a regular expression): one that is torn
// apart is not found by whoever searches for the message that he sees. Markdown is the formatter's.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import ts from 'typescript';
import { readArguments } from '../common/arguments.mjs';

const COLUMNS = 120;
/** What may stand behind a text: `, async () => {` of a test. */
const TAIL = 16;

const { operands } = readArguments({
  usage: 'node scripts/check/line-length.mjs [FILE…]',
  about: `Finds lines of more than ${COLUMNS} columns in files, by default in all of the repository.`,
  operands: [0, Number.POSITIVE_INFINITY],
});
const generated = new Set(['index.js', 'index.d.ts']);
const listed = () => execFileSync('git', ['ls-files'], { encoding: 'utf8' }).split('\n');
const files =
  operands.length > 0 ? operands : listed().filter((file) => /\.[cm]?[jt]s$/.test(file) && !generated.has(file));

/** The places of a file that are text to a reader of code: from, to. */
function textsOf(file, source) {
  const found = [];
  const visit = (node) => {
    const isText = ts.isStringLiteralLike(node) || ts.isTemplateExpression(node) || ts.isRegularExpressionLiteral(node);
    if (isText) found.push([node.getStart(), node.getEnd()]);
    else ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true));
  return found;
}

let long = 0;
for (const file of files) {
  const source = readFileSync(file, 'utf8');
  const lines = source.split('\n');
  if (lines.every((line) => line.length <= COLUMNS)) continue;
  const texts = textsOf(file, source);
  let start = 0;
  for (const [i, line] of lines.entries()) {
    const end = start + line.length;
    const limit = start + COLUMNS;
    // Of a line with such a text only what stands behind it is the formatter's to break.
    const isText = texts.some(([from, to]) => from < limit && to >= limit - TAIL);
    if (line.length > COLUMNS && !isText) {
      console.error(`${file}:${i + 1}: ${line.length} columns, more than ${COLUMNS}`);
      long += 1;
    }
    start = end + 1;
  }
}
if (long > 0) process.exit(1);
