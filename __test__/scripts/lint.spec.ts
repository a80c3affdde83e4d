/**
 * What `npm run lint` refuses: files as nobody should write them must fail the very command that the repository is
 * checked with.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
/** The parts of `npm run lint` that look at TypeScript, JavaScript and Markdown, each as it stands there. */
const commands = Object.fromEntries(
  `${scripts['lint:ts']} && ${scripts['lint:format']}`
    .split(' && ')
    .map((command) => [command.split(' ', 2).join(' '), command]),
);

/** A checkout with the configuration of this one, and nothing else. */
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'routepool-lint-'));
  for (const file of ['package.json', '.oxlintrc.json', '.prettierrc.json', '.prettierignore']) {
    cpSync(join(root, file), join(folder, file));
  }
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a part of the lint, with these files in the folder `src`. */
function lint(name: string, files: Record<string, string>): { status: number | null; output: string } {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, 'src', file)), { recursive: true });
    writeFileSync(join(folder, 'src', file), text);
  }
  const [tool = '', ...args] = (commands[name] ?? expect.unreachable(`npm run lint does not run ${name}`)).split(' ');
  const { status, stdout, stderr } =
    tool === 'node'
      ? spawnSync(
          process.execPath,
          [join(root, args[0] ?? ''), ...Object.keys(files).map((file) => join('src', file))],
          { cwd: folder, encoding: 'utf8' },
        )
      : spawnSync(join(root, 'node_modules/.bin', tool), args, {
          cwd: folder,
          encoding: 'utf8',
          shell: process.platform === 'win32',
        });
  return { status, output: stdout + stderr };
}

const LINT = 'oxlint --deny-warnings';
const FORMAT = 'prettier --check';
const LENGTH = 'node scripts/check/line-length.mjs';

describe('npm run lint', () => {
  it('runs all that is tried here', () => {
    expect(scripts['lint']).toContain('npm run lint:ts');
    expect(scripts['lint']).toContain('npm run lint:format');
    expect(Object.keys(commands)).toEqual([LINT, FORMAT, LENGTH]);
    expect(scripts['test']).toMatch(/^npm run lint &&/);
  });

  it('fails on a ring of value imports, and takes one of types', () => {
    const ring = {
      'a.ts': "import { b } from './b.ts';\nexport const a = (): number => b();\n",
      'b.ts': "import { c } from './deep/c.ts';\nexport const b = (): number => c();\n",
      'deep/c.ts': "import { a } from '../a.ts';\nexport const c = (): number => a();\n",
    };
    const { status, output } = lint(LINT, ring);
    expect([status, output]).toEqual([1, expect.stringContaining('import(no-cycle)')]);
    const types = {
      ...ring,
      'deep/c.ts': "import type { a } from '../a.ts';\nexport type A = typeof a;\nexport const c = (): number => 1;\n",
    };
    expect(lint(LINT, types)).toMatchObject({ status: 0 });
  });

  it.each([
    ['TypeScript', 'a.ts', 'export const a = [1,2]\n', 'export const a = [1, 2];\n'],
    ['JavaScript', 'a.mjs', 'export const a = "a";\n', "export const a = 'a';\n"],
    ['Markdown', 'a.md', '*  a\n*  b\n', '- a\n- b\n'],
    ['a paragraph of more than 120 columns', 'a.md', `${'a word '.repeat(20)}\n`, `${'a word '.repeat(15)}a\n`],
  ])('fails on unformatted %s', (_, file, wrong, right) => {
    const { status, output } = lint(FORMAT, { [file]: wrong });
    expect([status, output]).toEqual([1, expect.stringContaining(file)]);
    expect(lint(FORMAT, { [file]: right })).toMatchObject({ status: 0 });
  });

  it.each([
    ['a comment', `// ${'a '.repeat(58)}`, 'a'],
    ['a docstring', `/** ${'a '.repeat(56)}`, '*/'],
    ['code', `export const a = ${'1 + '.repeat(25)}`, '1;'],
  ])('fails on %s of more than 120 columns', (_, start, end) => {
    const line = (columns: number) => `${start.padEnd(columns - end.length)}${end}\n`;
    expect(lint(LENGTH, { 'a.ts': `\n${line(121)}` })).toEqual({
      status: 1,
      output: expect.stringContaining('a.ts:2: 121 columns') as string,
    });
    expect(lint(LENGTH, { 'a.ts': line(120) })).toEqual({ status: 0, output: '' });
  });

  it('takes a text that is longer: a message that is torn apart is not found by whoever searches for it', () => {
    expect(lint(LENGTH, { 'a.ts': `export const a = '${'a'.repeat(200)}';\n` })).toEqual({ status: 0, output: '' });
    expect(lint(LENGTH, { 'a.ts': `f('${'a'.repeat(90)}', ${'b, '.repeat(20)});\n` })).toMatchObject({ status: 1 });
  });
});

describe('rings of Rust modules', () => {
  const script = join(root, 'scripts/check/rust-rings.mjs');
  /** What the script says of a crate with these files in its folder `src`. */
  function rings(files: Record<string, string>): { status: number | null; output: string } {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, 'one/src', file)), { recursive: true });
      writeFileSync(join(folder, 'one/src', file), text);
    }
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, 'one'], { cwd: folder, encoding: 'utf8' });
    return { status, output: stdout + stderr };
  }
  const room = {
    'lib.rs': 'pub mod room;\n',
    'room.rs': 'mod plan;\nmod run;\npub use plan::{Plan, Request};\n',
    'room/run.rs': 'use super::plan::Plan;\n',
  };

  it('are looked for by npm run lint', () => {
    expect(scripts['lint:rust']).toContain('node scripts/check/rust-rings.mjs');
    expect(scripts['lint']).toContain('npm run lint:rust');
  });

  it.each([
    ['by super', 'use super::run::Run;\n'],
    ['by crate', 'use crate::{Error, room::{run::{self, Run}}};\n'],
    ['without use', 'fn start() -> super::run::Run {}\n'],
    ['from a module inside of it', 'mod inner {\n    use super::super::run::Run;\n}\n'],
  ])('are found: %s', (_, plan) => {
    const { status, output } = rings({ ...room, 'room/plan.rs': plan });
    expect([status, output]).toEqual([
      1,
      expect.stringMatching(/a ring of modules in room: (run -> plan|plan -> run)/),
    ]);
  });

  it('are found by way of a contents page', () => {
    const files = { ...room, 'room/plan.rs': 'use super::run::Run;\n', 'room/run.rs': 'use super::Plan;\n' };
    expect(rings(files)).toMatchObject({ status: 1 });
  });

  it.each([
    ['one way alone', 'use std::run::Run;\nuse super::other::Thing;\n'],
    ['in a comment', '// use super::run::Run;\n/// See [`super::run::Run`].\n'],
    ['for tests', '#[cfg(test)]\nmod tests {\n    use super::super::run::Run;\n}\n'],
    ['a module and one below it', 'mod part;\nuse part::Part;\n'],
  ])('are no rings: %s', (_, plan) => {
    const files = { ...room, 'room/plan.rs': plan, 'room/plan/part.rs': 'use super::Plan;\n' };
    expect(rings(files)).toEqual({ status: 0, output: '' });
  });
});

describe('the rooms of src', () => {
  /**
   * From the bottom to the top: values are imported from rooms further to the left, or from the same room. Types are
   * free.
   */
  const ORDER = [
    ['errors'],
    ['defaults', 'duration', 'node-modules', 'diagnostics'],
    ['address'],
    ['options'],
    ['native'],
    ['servers'],
    ['pipe'],
    ['http'],
    ['routes'],
    ['nat'],
    ['interface'],
    ['daemon', 'watch', 'validate', 'stun-server'],
    ['index'],
    ['cli', 'testing'],
  ];
  const roomOf = (file: string) => (file.split('/')[1] ?? '').replace('.ts', '');
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `src/${file.replaceAll('\\', '/')}`);
  const imports = files.flatMap((file) =>
    [
      ...readFileSync(join(root, file), 'utf8').matchAll(
        /^(?:import|export) (?!type )(?:(\{[^}]*\}) from )?'(\.[^']+)';/gm,
      ),
    ]
      .filter(
        ([, names = '']) =>
          names === '' ||
          names
            .replaceAll(/[{}\s]/g, ' ')
            .split(',')
            .some((name) => name.trim() !== '' && !name.trim().startsWith('type ')),
      )
      .map(([, , path = '']) => [file, normalize(join(dirname(file), path)).replaceAll('\\', '/')] as const),
  );

  it('are all there, and no others', () => {
    expect([...new Set(files.map(roomOf))].toSorted()).toEqual(ORDER.flat().toSorted());
    expect(imports.length).toBeGreaterThan(300);
  });

  it('import values from the rooms below them', () => {
    const rank = (file: string) => ORDER.findIndex((rooms) => rooms.includes(roomOf(file)));
    const wrong = imports.filter(([from, to]) => roomOf(from) !== roomOf(to) && rank(to) >= rank(from));
    expect(wrong.map(([from, to]) => `${from} imports ${to}`)).toEqual([]);
  });
});
