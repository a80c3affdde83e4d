// How much of the Rust code the compiler does not check: node scripts/check/unsafe-lines.mjs [CRATE…]
// For each file with `unsafe`: its blocks (functions and implementations too) and the lines on which they stand, from
// the word to the closing brace, without comments and empty lines.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments } from '../common/arguments.mjs';

const { operands } = readArguments({
  usage: 'node scripts/check/unsafe-lines.mjs [CRATE…]',
  about: 'Counts the lines of unsafe code in crates, by default in all of the folder crates.',
  operands: [0, Number.POSITIVE_INFINITY],
});
const crates = operands.length > 0 ? operands : readdirSync('crates').map((name) => join('crates', name));

/** The code without what could be taken for some: comments, strings and characters; line ends stay. */
const bare = (code) =>
  code.replace(/\/\/.*|b?"(?:\\[^]|[^"\\])*"|b?'(?:\\.|[^'\\])'/g, (text) => text.replace(/[^\n]/g, ''));

/** The blocks and lines of a file. */
function count(code) {
  const lines = code.split('\n').map((line) => line.trim() !== '');
  const inside = new Set();
  let blocks = 0;
  // A type of functions has no braces: nothing is done there.
  for (const { index, 0: head } of code.matchAll(/\bunsafe\b[^{};,=]*(?:\([^{};]*\)[^{};,=]*)?\{/g)) {
    blocks += 1;
    let end = index + head.length;
    for (let depth = 1; depth > 0 && end < code.length; end++) {
      depth += code[end] === '{' ? 1 : code[end] === '}' ? -1 : 0;
    }
    const [from, to] = [index, end].map((at) => code.slice(0, at).split('\n').length - 1);
    for (let line = from; line <= to; line++) if (lines[line]) inside.add(line);
  }
  return { blocks, lines: inside.size };
}

for (const crate of crates) {
  const sum = { blocks: 0, lines: 0 };
  for (const name of readdirSync(join(crate, 'src'), { recursive: true }).toSorted()) {
    if (!name.endsWith('.rs')) continue;
    const found = count(bare(readFileSync(join(crate, 'src', name), 'utf8')));
    if (found.blocks === 0) continue;
    sum.blocks += found.blocks;
    sum.lines += found.lines;
    console.log(`${String(found.lines).padStart(6)} lines ${String(found.blocks).padStart(4)} blocks  ${name}`);
  }
  console.log(`${String(sum.lines).padStart(6)} lines ${String(sum.blocks).padStart(4)} blocks  ${crate}`);
}
