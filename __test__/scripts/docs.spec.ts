/**
 * The documents tell the truth: their commands print what is printed there, their links lead somewhere, and what they
 * say of error codes is what the code says. (`scripts/docs/run-examples.mjs` runs their JavaScript.)
 * `ROUTEPOOL_WRITE_DOCS=1` writes outputs anew.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blocksOf, DOCUMENTS } from '../../scripts/docs/doc-blocks.mjs';
import { DocsLab } from '../lab/docs-lab.ts';
import { whyNoNamespaces } from '../lab/namespaces.ts';

const write = process.env['ROUTEPOOL_WRITE_DOCS'] !== undefined;
const skip = whyNoNamespaces('nft', 'mount');
if (skip !== undefined) console.warn(`commands of the documents: skipped, since ${skip}`);

/** What differs from run to run: times, rates, tries, seeds, ports. Addresses, counts and texts must be the same. */
function settled(line: string): string {
  return line
    .replaceAll(/[\d.,]+(?= (?:µs|ms|s|min)\b)/g, '#')
    .replaceAll(/[\d,]+ a second/g, '# a second')
    .replaceAll(/\d+(?: to \d+)? tries/g, '# tries')
    .replaceAll(/\b(seed|port|from port) \d+/g, '$1 #')
    .replaceAll(/; [\d.]+ % lost/g, '')
    .replaceAll(/^(elapsedMs): [\d.]+$/g, '$1: #')
    .replaceAll(
      /"(\w*(?:Ms|Port|PerSecond|At)|seed|median|p99|max|port|at|received|probesSent|last|smallest|receiveBuffer)":"?[\d.]+"?/g,
      '"$1":#',
    )
    .replaceAll(/^(\d+(?:\.\d+){3},\w[\w-]*,[^,]*,)\d+(,.*,)[\d.]+$/g, '$1#$2#')
    .replaceAll(/\s+$/g, '');
}

/** Whether a text has these lines, where a line of `…` stands for any others. */
function matches(actual: string[], expected: string[]): boolean {
  if (expected.length === 0) return actual.length === 0;
  const [first = '', ...rest] = expected;
  if (first.trim() === '…') return actual.some((_, i) => matches(actual.slice(i), rest)) || rest.length === 0;
  return actual.length > 0 && settled(actual[0] ?? '') === settled(first) && matches(actual.slice(1), rest);
}

/**
 * The lines of an output, without the note that a busy machine adds: that answers were lost in it and asked for again.
 */
const linesOf = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => !line.startsWith('  The kernel dropped'));

describe.each(DOCUMENTS)('%s', (file) => {
  const text = readFileSync(file, 'utf8');
  const blocks = blocksOf(file, text);

  it('has JSON that can be read', () => {
    for (const block of blocks) {
      if (block.kind === 'not run' || block.language !== 'json') continue;
      const isOne = /^[[{]\n/.test(block.code) || !block.code.trim().includes('\n');
      for (const json of isOne ? [block.code] : block.code.trim().split('\n')) if (json !== '…') JSON.parse(json);
    }
  });

  it('has links that lead somewhere', () => {
    const wrong = links(text).filter((link) => !leads(file, link));
    expect(wrong).toEqual([]);
  });

  const shells = blocks.filter((block) => block.kind === 'shell');
  describe.skipIf(skip !== undefined || shells.length === 0)('commands', () => {
    let lab: DocsLab;
    const fresh = new Map<number, string>();
    beforeAll(async () => {
      lab = await DocsLab.create();
    });
    afterAll(() => {
      lab?.close();
      if (!write) return;
      let written = readFileSync(file, 'utf8');
      for (const [i, output] of [...fresh].toSorted(([a], [b]) => b - a))
        written = `${written.slice(0, blocks[i]?.start)}${output}${written.slice(blocks[i]?.end)}`;
      writeFileSync(file, written);
    });

    for (const [i, block] of blocks.entries()) {
      if (block.kind !== 'shell') continue;
      const shown = blocks[i + 1]?.of === i ? blocks[i + 1] : undefined;
      const run = (): [number | null, string] => {
        const { status, stdout, stderr } = lab.run(block.code);
        return [status, `${stderr}${stdout}`];
      };
      it(`line ${block.line}: ${block.code.trim().split('\n')[0]}`, () => {
        // Random hosts of a block stand for it in `routepool interfaces`: now and then one is among those that the
        // gateway filters.
        const tries = shown !== undefined && !write && /routepool *(#|$)/m.test(block.code) ? 4 : 1;
        let [status, actual] = run();
        for (let i = 1; i < tries && !matches(linesOf(actual), linesOf(shown?.code ?? '')); i++)
          [status, actual] = run();
        // 3 says that some sources are not ok: what the example is about.
        if (status !== 0 && !(status === 3 && shown !== undefined) && !(shown?.code.startsWith('routepool: ') ?? false))
          expect.fail(`${block.code} ended with ${status}: ${actual}`);
        if (shown === undefined || matches(linesOf(actual), linesOf(shown.code))) return;
        if (write && !shown.code.includes('…\n')) fresh.set(i + 1, `${linesOf(actual).join('\n')}\n`);
        else expect(linesOf(actual).map(settled)).toEqual(linesOf(shown.code).map(settled));
      });
    }
  });
});

it('JavaScript in the documents has the right types', () => {
  const folder = 'target/doc-blocks';
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const rootNames = DOCUMENTS.flatMap((file) => blocksOf(file))
    .filter(({ kind }) => kind === 'run' || kind === 'types')
    .map(({ file, line, language, code }) => {
      const name = join(folder, `${file.replaceAll(/[/.]/g, '-')}-${line}.${language === 'ts' ? 'mts' : 'mjs'}`);
      writeFileSync(name, code);
      return name;
    });
  expect(rootNames.length).toBeGreaterThan(10);
  // What JavaScript cannot say (the type of a parameter, that something is there) is no mistake in it.
  const options: ts.CompilerOptions = {
    ...ts.convertCompilerOptionsFromJson(
      { target: 'es2023', lib: ['esnext'], module: 'nodenext', types: ['node'] },
      '.',
    ).options,
    strict: true,
    noImplicitAny: false,
    strictNullChecks: false,
    strictFunctionTypes: false,
    allowJs: true,
    checkJs: true,
    noEmit: true,
    skipLibCheck: true,
  };
  const program = ts.createProgram(rootNames, options);
  const said = ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const line =
      file === undefined || start === undefined
        ? ''
        : `${file.fileName} line ${file.getLineAndCharacterOfPosition(start).line + 1}: `;
    return `${line}${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
  });
  expect(said).toEqual([]);
});

it('error codes and reasons in the documents are those of the code', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/docs/codes.mjs', '--check'], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(status, stdout).toBe(0);
});

/** The targets of links and pictures, code left out. */
function links(text: string): string[] {
  const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g), ...prose.matchAll(/(?:src|href)="([^"]+)"/g)].map(
    ([, link = '']) => link,
  );
}

/**
 * Whether a relative link names a file that there is, and a heading in it. Others are not followed: nothing here asks
 * the network.
 */
function leads(from: string, link: string): boolean {
  if (link.startsWith('https://')) return URL.canParse(link);
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? from : join(dirname(from), path);
  if (!existsSync(target)) return false;
  return anchor === undefined || (statSync(target).isFile() && anchors(readFileSync(target, 'utf8')).has(anchor));
}

/** The anchors that GitHub makes of headings. */
function anchors(text: string): Set<string> {
  const seen = new Map<string, number>();
  const names = [...text.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => {
    const name = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-');
    const times = seen.get(name) ?? 0;
    seen.set(name, times + 1);
    return times === 0 ? name : `${name}-${times}`;
  });
  return new Set(names);
}

it('every guide is among the contents, and on the site', () => {
  const site = JSON.parse(readFileSync('typedoc.json', 'utf8')) as { projectDocuments: string[] };
  const contents = readFileSync('docs/README.md', 'utf8');
  for (const file of DOCUMENTS.filter((name) => name.startsWith('docs'))) {
    expect(site.projectDocuments).toContain(file);
    if (file !== 'docs/README.md') expect(contents).toContain(`(${file.slice('docs/'.length)})`);
  }
});
