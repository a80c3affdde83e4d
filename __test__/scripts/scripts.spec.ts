/** The repository's own commands: how they are called, and what they say where they are called wrongly. */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { crateAdvisories, npmAdvisories, verdict } from '../../scripts/release/supply/advisories.mjs';
import { isLower } from '../../scripts/release/supply/versions.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { scripts, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
  version: string;
};
const folder = mkdtempSync(join(tmpdir(), 'routepool-scripts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly status: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

function script(file: string, args: string[], cwd: string = root): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [file, ...args], { cwd, encoding: 'utf8' }, (error, stdout, stderr) =>
      resolve({ status: error === null ? 0 : error.code, stdout, stderr }),
    );
  });
}

/**
 * Looks for a compiler, before anything is installed; takes nothing. The smoke test is run by its path, on machines
 * that have no more.
 */
const OTHERS = ['scripts/build/toolchain.mjs', 'scripts/build/targets/smoke.mjs'];
const files = [
  ...new Set(
    Object.values(scripts).flatMap((command) =>
      [...command.matchAll(/node (scripts\/\S+\.mjs)/g)].map(([, file = '']) => file),
    ),
  ),
].filter((file) => !OTHERS.includes(file));

describe('each script', () => {
  it('is looked at here', () => expect(files.length).toBeGreaterThan(15));

  it.concurrent.each(files)(
    '%s says how it is called, and what is wrong with an argument',
    async (file) => {
      const help = await script(file, ['--help']);
      expect([help.status, help.stderr]).toEqual([0, '']);
      expect(help.stdout).toMatch(/^usage: (npm run [\w:]+|node scripts)[^\n]*\n\n[A-Z][^\n]+\.?\n/);
      const wrong = await script(file, ['--wrong']);
      expect([wrong.status, wrong.stdout]).toEqual([2, '']);
      expect(wrong.stderr).toMatch(/^Unknown option '--wrong'\nusage: [^\n]+\n$/);
    },
    60_000,
  );

  it.concurrent.each([
    ['scripts/release/pack-release.mjs', [], 'An argument is missing\nusage: npm run pack:release -- vX.Y.Z'],
    ['scripts/release/pack-local.mjs', ['a', 'b'], 'Not expected: b\nusage: npm run pack:local DIR'],
    ['scripts/release/sbom.mjs', ['x86_64-unknown-linux-gnu', 'z80'], 'Not one of x86_64-unknown-linux-gnu, '],
    ['scripts/check/nodes.mjs', ['soon'], 'not a version of Node: soon. Expected 22'],
    [
      'scripts/release/publish.mjs',
      ['--from'],
      "Option '--from <value>' argument missing\nusage: npm run publish:release",
    ],
  ])(
    '%s %j',
    async (file, args, message) => {
      const { status, stdout, stderr } = await script(file, args);
      expect([status, stdout]).toEqual([2, '']);
      expect(stderr.slice(0, message.length)).toBe(message);
    },
    60_000,
  );
});

it('npm run sbom describes the target that it is given, and puts the document where it is told', async () => {
  const out = join(folder, 'sbom');
  const { status, stdout, stderr } = await script('scripts/release/sbom.mjs', [
    '--out',
    out,
    '--binaries',
    folder,
    'aarch64-apple-darwin',
  ]);
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(
    /^\S+routepool-aarch64-apple-darwin\.cdx\.json {2}\d+ components, no binary: no checksum of it\n$/,
  );
  expect(JSON.parse(readFileSync(join(out, 'routepool-aarch64-apple-darwin.cdx.json'), 'utf8'))).toMatchObject({
    bomFormat: 'CycloneDX',
  });
}, 60_000);

describe('npm run version:set', () => {
  const rows = [
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.beta',
    '1.0.0-beta',
    '1.0.0-beta.2',
    '1.0.0-beta.11',
    '1.0.0-rc.1',
    '1.0.0',
    '1.0.1',
    '1.2.0',
    '1.10.0',
    '2.0.0',
  ];
  it('knows the order of versions', () => {
    // https://semver.org, section 11, has the first eight.
    for (const [k, one] of rows.entries())
      for (const [l, other] of rows.entries()) expect(isLower(one, other), `${one} < ${other}`).toBe(k < l);
  });

  it('writes a lower one only if it is forced to', async () => {
    const copy = join(folder, 'checkout');
    mkdirSync(copy);
    for (const name of ['package.json', 'package-lock.json', 'Cargo.toml', 'Cargo.lock', 'index.js', 'CHANGELOG.md'])
      cpSync(join(root, name), join(copy, name));
    for (const name of ['scripts', 'crates'])
      cpSync(join(root, name), join(copy, name), {
        recursive: true,
        filter: (from) => !/\/(src|tests|benches)$/.test(from),
      });
    const manifest = join(copy, 'package.json');
    const written = () => (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
    const refused = await script('scripts/release/version-set.mjs', ['0.0.1'], copy);
    expect(refused).toEqual({
      status: 2,
      stdout: '',
      stderr: `0.0.1 is lower than ${version}, which this is: npm and Cargo would take the older release for the newer. If it is meant, add --force.\n`,
    });
    expect(written()).toBe(version);
    expect((await script('scripts/release/version-set.mjs', ['v99.0.0'], copy)).stderr).toMatch(
      /^expected a version such as 1\.2\.3 .* received v99\.0\.0\n$/,
    );
    expect(await script('scripts/release/version-set.mjs', ['0.0.1', '--force'], copy)).toMatchObject({
      status: 0,
      stderr: '',
    });
    expect(written()).toBe('0.0.1');
    expect(await script('scripts/release/version-set.mjs', ['99.0.0'], copy)).toMatchObject({ status: 0, stderr: '' });
    expect(written()).toBe('99.0.0');
  }, 60_000);
});

describe('npm run check:supply-chain', () => {
  const unreachable = crateAdvisories({ status: 1, output: 'error[db]: failed to fetch advisory database https://…' });
  const found = crateAdvisories({ status: 1, output: 'error[vulnerability]: use after free' });
  const clean = crateAdvisories({ status: 0, output: 'advisories ok' });
  const silent = npmAdvisories('');
  const high = npmAdvisories('{ "metadata": { "vulnerabilities": { "high": 1, "critical": 0 } } }');
  const none = npmAdvisories('{ "metadata": { "vulnerabilities": { "high": 0, "critical": 0 } } }');
  it.each([
    ['all asked, nothing found', [clean, none], 0, 0, /in order, advisories included/],
    ['one not asked', [unreachable, none], 0, 3, /1 of 2 databases of advisories NOT CHECKED/],
    ['none asked', [unreachable, silent], 0, 3, /2 of 2 databases of advisories NOT CHECKED/],
    ['a vulnerable crate', [found, none], 1, 1, /known vulnerabilities/],
    ['a vulnerable tool, and the crates not asked', [unreachable, high], 1, 1, /known vulnerabilities/],
  ])('%s', (_what, results, code, required, text) => {
    expect(verdict(results, false)).toEqual({ code, text: expect.stringMatching(text) as string });
    expect(verdict(results, true).code).toBe(required);
  });

  it('of an answer of npm that has no counts', () => expect(npmAdvisories('{ "error": {} }').checked).toBe(false));
});
