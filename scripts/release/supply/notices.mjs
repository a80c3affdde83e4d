// The notices that the licences of the crates inside a binary ask for: who holds the copyright, and the text of the
// licence. A choice of licences ("MIT OR Apache-2.0") is made in the order of `PREFERRED`; crates with the same text
// share it.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { linkedCrates } from './linked.mjs';

/** Licences that are taken where a crate offers a choice, the first that it offers. All are in deny.toml's list. */
const PREFERRED = ['MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', 'Zlib', 'Apache-2.0'];

/** How the file with a licence's text may be called. */
const FILES = {
  'MIT': /^licen[sc]e([-.]mit)?([-.](txt|md))?$/i,
  'ISC': /^licen[sc]e([-.]isc)?([-.](txt|md))?$/i,
  'Apache-2.0': /^licen[sc]e([-.]apache(-2\.0)?)?([-.](txt|md))?$/i,
  'BSD-2-Clause': /^licen[sc]e([-.]bsd)?([-.](txt|md))?$/i,
  'BSD-3-Clause': /^licen[sc]e([-.]bsd)?([-.](txt|md))?$/i,
  'Zlib': /^licen[sc]e([-.]zlib)?([-.](txt|md))?$/i,
  'Unicode-3.0': /^licen[sc]e([-.]unicode)([-.](txt|md))?$/i,
};

/** Words of each text, so that a file called LICENSE is not taken for what it isn't. */
const WORDS = {
  'MIT': /permission is hereby granted, free of charge/i,
  'ISC': /permission to use, copy, modify, and\/or distribute|permission to use, copy, modify, and distribute/i,
  'Apache-2.0': /apache license/i,
  'BSD-2-Clause': /redistribution and use in source and binary forms/i,
  'BSD-3-Clause': /redistribution and use in source and binary forms/i,
  'Zlib': /this software is provided 'as-is'/i,
  'Unicode-3.0': /unicode license v3/i,
};

const MIT = (holders) => `MIT License

Copyright (c) ${holders}

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
`;

/** The licences that a SPDX expression asks to be met: of each "or" one, of each "and" all. */
export function chosen(expression) {
  const clauses = expression.replaceAll('/', ' OR ').split(/\s+AND\s+/);
  return clauses.map((clause) => {
    const offered = clause
      .replaceAll(/[()]/g, '')
      .split(/\s+OR\s+/)
      .map((name) => name.trim());
    const taken = PREFERRED.find((name) => offered.includes(name)) ?? (offered.length === 1 ? offered[0] : undefined);
    if (taken === undefined || !(taken in WORDS)) throw new Error(`no notice is known for the licence ${expression}`);
    return taken;
  });
}

/**
 * The text of a licence in a crate's source. Some crates name the licence and carry no text: MIT's is written out for
 * them.
 */
function textOf(crate, license) {
  const names = readdirSync(crate.folder)
    .filter((name) => FILES[license].test(name))
    .toSorted((a, b) => b.length - a.length);
  for (const name of names) {
    const text = readFileSync(join(crate.folder, name), 'utf8').replaceAll('\r\n', '\n').trim();
    if (WORDS[license].test(text)) return text;
  }
  if (license !== 'MIT') throw new Error(`${crate.key} is under ${license}, and its source has no such text`);
  return MIT(
    crate.authors.length > 0
      ? crate.authors.map((author) => author.replace(/\s*<.*>/, '')).join(', ')
      : `the authors of ${crate.name}`,
  ).trim();
}

/** The notices for a target's binary. */
export function noticesOf(target) {
  const texts = new Map();
  for (const crate of linkedCrates(target).filter(({ own }) => !own)) {
    for (const license of chosen(crate.license)) {
      const text = textOf(crate, license);
      const entry = texts.get(text) ?? { license, crates: [] };
      entry.crates.push(crate.key);
      texts.set(text, entry);
    }
  }
  const std = MIT('The Rust Project Developers').trim();
  const shared = texts.get(std) ?? { license: 'MIT', crates: [] };
  shared.crates.push("Rust's standard library");
  texts.set(std, shared);
  const parts = [...texts].map(
    ([text, { license, crates }]) => `${'='.repeat(80)}\n${crates.join(', ')}\n(${license})\n\n${text}\n`,
  );
  return `The binary in this package contains the works below, under their own licences.\nroutepool itself: see LICENSE.\n\n${parts.join('\n')}`;
}
