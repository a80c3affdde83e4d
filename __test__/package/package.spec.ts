/**
 * The package as it is published: what is in it, what it costs to import, and every way to use it from a project of its
 * own.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Project } from '../helpers/installed.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const bin = (name: string) => createRequire(import.meta.url).resolve(name);
const PERMISSION = Number(process.versions.node.split('.')[0]) >= 23 ? '--permission' : '--experimental-permission';
const SWEEP = `validate('127.16.0.0/22').summary().then(({ counts }) => console.log(counts.ok))`;

/** A file costs about as much as 30,000 bytes of JavaScript, and those 0.4 ms. */
const IMPORTED_FILES = 1;
const IMPORTED_BYTES = 330_000;

let project: Project;
beforeAll(() => {
  project = Project.install();
});
afterAll(() => project.remove());

function prints(expected: string, ...args: string[]): void {
  const { stdout, stderr } = project.node(args);
  expect({ stdout, stderr: stderr.replaceAll(/^\(node.*|^\(Use `node.*/gm, '').trim() }).toEqual({
    stdout: `${expected}\n`,
    stderr: '',
  });
}

describe('an installed package', () => {
  it('works from ES modules', () =>
    prints('1024', '--input-type=module', '-e', `import { validate } from 'routepool'; ${SWEEP}`));

  it('works from CommonJS', () =>
    prints('1024', project.write('main.cjs', `const { validate } = require('routepool'); ${SWEEP}`)));

  it('works in a worker', () => {
    const worker = `import { parentPort } from 'node:worker_threads'; import { validate } from 'routepool'; parentPort.postMessage((await validate('127.16.0.0/22').summary()).counts.ok)`;
    project.write('worker.mjs', worker);
    prints(
      '1024',
      project.write(
        'main.mjs',
        `import { Worker } from 'node:worker_threads'; new Worker('./worker.mjs').on('message', console.log)`,
      ),
    );
  });

  it("works under Node's permission model", () => {
    prints(
      '1024',
      PERMISSION,
      '--allow-addons',
      `--allow-fs-read=${project.folder}/*`,
      project.write('allowed.cjs', `const { validate } = require('routepool'); ${SWEEP}`),
    );
  });

  it('has the command', () => {
    const { stdout, status } = spawnSync(
      project.path('node_modules/.bin/routepool'),
      ['validate', '127.16.0.0/22', '--json'],
      { encoding: 'utf8' },
    );
    expect([status, (JSON.parse(stdout) as { summary: { counts: { ok: number } } }).summary.counts.ok]).toEqual([
      0, 1024,
    ]);
  });

  it.each(['nodenext', 'bundler'])('has types for "moduleResolution": "%s"', (resolution) => {
    project.write(
      'main.ts',
      `import { validate, type Verdict } from 'routepool';\nexport async function* dead(): AsyncGenerator<Verdict> {\n  for await (const verdict of validate('127.0.0.1')) if (verdict.status !== 'ok') yield verdict;\n}\n// @ts-expect-error a number is no block\nvalidate(7);\n`,
    );
    const module = resolution === 'nodenext' ? 'nodenext' : 'esnext';
    project.write(
      'tsconfig.json',
      JSON.stringify({
        compilerOptions: {
          strict: true,
          noEmit: true,
          target: 'es2023',
          module,
          moduleResolution: resolution,
          types: ['node'],
          typeRoots: [`${root}/node_modules/@types`],
        },
        files: ['main.ts'],
      }),
    );
    const { stdout } = project.node([bin('typescript/bin/tsc'), '-p', 'tsconfig.json']);
    expect(stdout).toBe('');
  });

  it('is left alone by a bundler that is told that it is external', () => {
    project.write('app.ts', `import { validate } from 'routepool'; ${SWEEP}`);
    execFileSync(
      bin('esbuild/bin/esbuild'),
      ['app.ts', '--bundle', '--platform=node', '--format=esm', '--packages=external', '--outfile=app.mjs'],
      { cwd: project.folder, stdio: 'ignore' },
    );
    prints('1024', 'app.mjs');
  });

  describe.each(['cjs', 'esm'])('bundled with everything else into one file (%s)', (format) => {
    const name = `bundle.${format === 'cjs' ? 'cjs' : 'mjs'}`;
    beforeAll(() => {
      project.write('whole.ts', `import { validate } from 'routepool'; ${SWEEP}`);
      execFileSync(
        bin('esbuild/bin/esbuild'),
        ['whole.ts', '--bundle', '--platform=node', `--format=${format}`, `--outfile=${name}`],
        { cwd: project.folder, stdio: 'ignore' },
      );
    });

    it('finds its addon where that is installed', () => prints('1024', name));

    it('says elsewhere why there is no addon, and what to do', () => {
      const elsewhere = mkdtempSync(join(tmpdir(), 'routepool-bundle-'));
      copyFileSync(project.path(name), join(elsewhere, name));
      const { status, stdout, stderr } = spawnSync(process.execPath, [name], { cwd: elsewhere, encoding: 'utf8' });
      rmSync(elsewhere, { recursive: true });
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toMatch(
        /^RoutePoolError: routepool was bundled into another file, away from its addon\. Leave it out of the bundle \(esbuild: --external:routepool/m,
      );
      expect(stderr).toMatch(/code: 'ERR_ROUTEPOOL_BINDING'/);
    });
  });
});

describe('what is published', () => {
  const manifest = () =>
    JSON.parse(readFileSync(project.path('node_modules/routepool/package.json'), 'utf8')) as Record<string, unknown>;

  it('runs nothing when it is installed, and needs nothing but its binary', () => {
    expect(manifest()).not.toHaveProperty('scripts');
    expect(manifest()).not.toHaveProperty('dependencies');
    expect(Object.keys(manifest()['optionalDependencies'] as object).toSorted()).toEqual([
      'routepool-darwin-arm64',
      'routepool-darwin-x64',
      'routepool-linux-arm64-gnu',
      'routepool-linux-arm64-musl',
      'routepool-linux-x64-gnu',
      'routepool-linux-x64-musl',
      'routepool-win32-arm64-msvc',
      'routepool-win32-x64-msvc',
    ]);
  });

  it('is understood by every kind of importer', () => {
    const tarball = project.path('tarballs', `routepool-${String(manifest()['version'])}.tgz`);
    const publint = project.node([`${root}/node_modules/.bin/publint`, 'run', tarball, '--strict']);
    expect(publint.stdout + publint.stderr).toMatch(/All good!/);
    const attw = project.node([
      `${root}/node_modules/.bin/attw`,
      tarball,
      '--profile',
      'esm-only',
      '--format',
      'table-flipped',
      '--no-color',
    ]);
    expect({ status: attw.status, output: attw.status === 0 ? '' : attw.stdout }).toEqual({ status: 0, output: '' });
  });

  it('has what its README and guides link to', () => {
    const folder = project.path('node_modules/routepool');
    const guides = readdirSync(join(folder, 'docs'))
      .filter((name) => name.endsWith('.md'))
      .map((name) => join('docs', name));
    const links = ['README.md', ...guides].flatMap((file) =>
      [...readFileSync(join(folder, file), 'utf8').matchAll(/\]\((?!https:|#)([^)#]+)/g)].map(([, link = '']) =>
        join(dirname(file), link),
      ),
    );
    expect(links.length).toBeGreaterThan(20);
    expect(links.filter((link) => !existsSync(join(folder, link)))).toEqual([]);
  });

  it('is small', () => {
    expect(statSync(project.binary).size).toBeLessThan(3_100_000);
    for (const name of ['routepool', project.binaryPackage]) {
      expect(
        statSync(project.path('tarballs', `${name}-${String(manifest()['version'])}.tgz`)).size,
        name,
      ).toBeLessThan(1_500_000);
    }
  });

  it('loads few modules of Node when it is imported: what most calls do not need waits for the first that does', () => {
    const loaded = (text: string): string[] => {
      const script = `${text}; const { builtinModules } = await import('node:module'); const loaded = new Set(process.moduleLoadList); console.log(JSON.stringify(builtinModules.filter((name) => loaded.has(\`NativeModule \${name}\`))))`;
      return JSON.parse(project.node(['--input-type=module', '-e', script]).stdout) as string[];
    };
    const allowed = ['diagnostics_channel', 'events', 'fs', 'module', 'os', 'path', 'url', 'util'];
    // Not imported: the facade that importing `node:fs` makes loads the streams. But a file is: Node loads something
    // for the first.
    project.write('empty.mjs', '');
    const without = loaded(
      `import './empty.mjs'; ${allowed.map((name) => `process.getBuiltinModule('node:${name}')`).join(';')}`,
    );
    expect(without).not.toContain('stream');
    expect(loaded(`import 'routepool'`).filter((name) => !without.includes(name))).toEqual([]);
    // The comparison sees what is loaded.
    expect(loaded(`import 'node:https'`).filter((name) => !without.includes(name))).toContain('tls');
  });

  it('reads few files, and not too much JavaScript, when it is imported', () => {
    const files = new Map<string, number>();
    const follow = (file: string): void => {
      if (files.has(file)) return;
      const text = readFileSync(file, 'utf8');
      files.set(file, text.length);
      for (const [, next = ''] of text.matchAll(/^(?:import|export|\})[^;'"]*["'](\.\.?\/[^"']+)["']/gm))
        follow(join(dirname(file), next));
    };
    follow(project.path('node_modules/routepool/dist/index.js'));
    expect(files.size, [...files.keys()].join(' ')).toBeLessThanOrEqual(IMPORTED_FILES);
    const bytes = [...files.values()].reduce((sum, size) => sum + size, 0);
    expect(bytes).toBeLessThan(IMPORTED_BYTES);
    // The entry alone would be a few: it did follow.
    expect(bytes).toBeGreaterThan(100_000);
  });

  it('opens nothing and starts nothing when it is imported', () => {
    // Node reads modules on threads of its own, so a module that is empty comes first; and node:util of newer Nodes
    // opens standard error, to see whether it has colours.
    project.write('empty.mjs', '');
    const state = `import { readdirSync } from 'node:fs'; import { setImmediate } from 'node:timers/promises'; const state = async () => { await setImmediate(); return JSON.stringify([readdirSync('/proc/self/fd').length, readdirSync('/proc/self/task').length, process.getActiveResourcesInfo()]) };`;
    const text = `${state} await import('./empty.mjs'); await import('node:util'); await state(); const before = await state(); await import('routepool'); const after = await state(); console.log(before === after ? 'same' : [before, after])`;
    if (process.platform === 'linux') prints('same', '--input-type=module', '-e', text);
  });
});
