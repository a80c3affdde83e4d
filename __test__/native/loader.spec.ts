/** Each way in which the addon cannot be loaded, provoked in a project that has routepool installed. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { explainLoadFailure, type LoadFacts } from '../../src/native/loader/load-failure.ts';
import { Project } from '../helpers/installed.ts';

const PERMISSION = Number(process.versions.node.split('.')[0]) >= 23 ? '--permission' : '--experimental-permission';
const compiler = spawnSync('cc', ['--version']).error === undefined;

let installed: Project;
beforeAll(() => {
  installed = Project.install();
});
afterAll(() => installed.remove());

interface Case {
  readonly name: string;
  readonly provoke?: (project: Project) => void;
  readonly flags?: readonly string[];
  readonly env?: Record<string, string>;
  readonly message: RegExp;
  readonly skip?: boolean;
}

const cases: Case[] = [
  {
    name: 'the package with the binary is missing',
    provoke: (project) => rmSync(project.path('node_modules', project.binaryPackage), { recursive: true }),
    message: /not installed.*npm install --include=optional routepool@\d/s,
  },
  {
    name: 'node_modules was copied from another system',
    provoke: (project) => pretend(project, 'routepool-win32-arm64-msvc'),
    message:
      /not installed, but routepool-win32-arm64-msvc is\. The folder node_modules seems to come from another system\..*npm ci/s,
  },
  {
    name: 'the package for the other C library is installed',
    provoke: (project) => pretend(project, otherLibc(project.binaryPackage)),
    message: /The C library of that one is not the one of this process\..*--libc=(glibc|musl)/s,
    skip: process.platform !== 'linux',
  },
  {
    name: 'the file is cut short',
    provoke: (project) => truncateSync(project.binary, 1000),
    message:
      /\.node is damaged: it has 1000 bytes in place of \d+\. Delete the folder \S+[\\/]routepool-\S+, then run: npm install --include=optional routepool@\d/,
  },
  {
    name: 'the file is something else',
    provoke: (project) => writeFileSync(project.binary, Buffer.alloc(readFileSync(project.binary).length, 'x')),
    message:
      /\.node is damaged: its bytes at 0 are not those that were packed\. Delete the folder .* on purpose, such as strip, patchelf or codesign, name it in ROUTEPOOL_BINDING/,
  },
  {
    name: 'the last part of the file was never written',
    provoke: (project) => damage(project, (file) => file.fill(0, Math.floor(file.length * 0.9))),
    message: /\.node is damaged: its bytes at \d{6,} are not those that were packed\. Delete the folder/,
  },
  {
    name: 'some of the file was never written',
    provoke: (project) =>
      damage(project, (file) => file.fill(0, Math.floor(file.length * 0.5), Math.floor(file.length * 0.57))),
    message: /\.node is damaged: its bytes at \d{6,} are not those that were packed\. Delete the folder/,
  },
  {
    name: 'a little of it is damaged, and all of it is read',
    provoke: damageBetweenSamples,
    env: { ROUTEPOOL_CHECK_BINDING: '1' },
    message: /\.node is damaged: its checksum \(CRC-32\) is [0-9a-f]{8} in place of [0-9a-f]{8}\. Delete the folder/,
  },
  {
    name: 'the file is something else, and its package says nothing of it',
    provoke: (project) => {
      writeFileSync(project.binary, Buffer.alloc(readFileSync(project.binary).length, 'x'));
      withoutContents(project);
    },
    message: /is damaged, or made for another system: .*Delete the folder/,
  },
  {
    name: 'the system has an older glibc',
    provoke: (project) => needNewerGlibc(project),
    message:
      /needs glibc 2\.99 or newer, and this system has 2\.\d+\. Use a newer system or base image, or build it from source/,
    skip: process.platform !== 'linux' || !compiler,
  },
  {
    name: 'the binary is of another version',
    provoke: (project) => writeFileSync(project.path('other.cjs'), 'module.exports = { planSweep() {} };'),
    env: { ROUTEPOOL_BINDING: './other.cjs' },
    message:
      /ROUTEPOOL_BINDING names \S+other\.cjs, which is not the addon of routepool \d\S+: it lacks the call .* or unset it/,
  },
  { name: '--no-addons', flags: ['--no-addons'], message: /started with --no-addons/ },
  {
    name: 'the permission model without addons',
    flags: [PERMISSION, '--allow-fs-read=*'],
    message: /permission model, which does not let addons be loaded\. Start it with --allow-addons too/,
  },
  {
    name: 'a processor without a binary',
    flags: ['--import', 'data:text/javascript,Object.defineProperty(process,"arch",{value:"riscv64"})'],
    message:
      /There is no binary of routepool for \w+-riscv64.*There are binaries for linux-x64-gnu, .*build it from source/,
  },
  {
    name: 'ROUTEPOOL_BINDING names nothing',
    env: { ROUTEPOOL_BINDING: '/no/such/file.node' },
    message:
      /ROUTEPOOL_BINDING names \/no\/such\/file\.node, which cannot be loaded: Cannot find module .* or unset it/,
  },
  {
    name: 'ROUTEPOOL_BINDING names a text',
    provoke: (project) => writeFileSync(project.path('notes.txt'), 'a: b: c'),
    env: { ROUTEPOOL_BINDING: './notes.txt' },
    message: /names \S+notes\.txt, which cannot be loaded: its name does not end in \.node\. Set it/,
  },
];

/** Puts the package of another platform in place of this one's. */
function pretend(project: Project, name: string): void {
  const [own, other] = [project.path('node_modules', project.binaryPackage), project.path('node_modules', name)];
  renameSync(own, other);
  const manifest = JSON.parse(readFileSync(join(other, 'package.json'), 'utf8')) as object;
  writeFileSync(join(other, 'package.json'), JSON.stringify({ ...manifest, name }));
}

function otherLibc(name: string): string {
  return name.endsWith('-gnu') ? name.replace(/-gnu$/, '-musl') : name.replace(/-musl$/, '-gnu');
}

/** An addon that is linked against a symbol version that no glibc has. */
function needNewerGlibc(project: Project): void {
  const folder = mkdtempSync(join(tmpdir(), 'routepool-glibc-'));
  const file = (name: string, text: string) => writeFileSync(join(folder, name), text);
  const cc = (...args: string[]) => execFileSync('cc', ['-shared', '-nostdlib', '-fPIC', ...args], { cwd: folder });
  file('libc.c', 'void from_the_future(void) {}\n');
  file('libc.map', 'GLIBC_2.99 { global: from_the_future; };\n');
  file('addon.c', 'void from_the_future(void);\nvoid napi_register_module_v1(void) { from_the_future(); }\n');
  cc('-Wl,-soname,libc.so.6', '-Wl,--version-script=libc.map', '-o', 'libc.so.6', 'libc.c');
  cc('-o', 'addon.node', 'addon.c', './libc.so.6');
  copyFileSync(join(folder, 'addon.node'), project.binary);
  withoutContents(project);
  rmSync(folder, { recursive: true });
}

/** Takes out of the package what it says of its binary. */
function withoutContents(project: Project): void {
  const { contents: _contents, ...others } = manifestOf(project);
  writeFileSync(project.path('node_modules', project.binaryPackage, 'package.json'), JSON.stringify(others));
}

function manifestOf(project: Project): { contents: { places: number[]; samples: string } } {
  return JSON.parse(readFileSync(project.path('node_modules', project.binaryPackage, 'package.json'), 'utf8')) as {
    contents: { places: number[]; samples: string };
  };
}

/** Changes the binary, whose size stays. Another file in its place: the installed one may be linked from the cache. */
function damage(project: Project, change: (file: Buffer) => void): void {
  const file = readFileSync(project.binary);
  change(file);
  rmSync(project.binary);
  writeFileSync(project.binary, file);
}

/** A page that no sample is in. */
function damageBetweenSamples(project: Project): void {
  const [from = 0, to = 0] = manifestOf(project).contents.places.slice(7, 9);
  damage(project, (file) => file.fill(0x5a, Math.floor((from + to) / 2), Math.floor((from + to) / 2) + 4096));
}

describe('the addon cannot be loaded', () => {
  for (const { name, provoke, flags = [], env = {}, message, skip = false } of cases) {
    it.skipIf(skip)(name, () => {
      const project = installed.copy();
      try {
        provoke?.(project);
        const text = `import('routepool').then(() => console.log('loaded'), (e) => console.log(JSON.stringify([e.name, e.code, e.message])))`;
        const { stdout, status, signal } = project.node([...flags, '--input-type=module', '-e', text], env);
        expect({ status, signal }).toEqual({ status: 0, signal: null });
        const [kind, code, said] = JSON.parse(stdout) as [string, string, string];
        expect([kind, code]).toEqual(['RoutePoolError', 'ERR_ROUTEPOOL_BINDING']);
        expect(said).toMatch(message);
      } finally {
        project.remove();
      }
    });
  }

  it('the command reads all of the binary before it loads it: a damaged one would end the process without a word', () => {
    const project = installed.copy();
    damageBetweenSamples(project);
    const { stdout, stderr, status, signal } = project.node(['node_modules/routepool/dist/cli/main.js', '--offline']);
    expect({ status, signal, stdout }).toEqual({ status: 1, signal: null, stdout: '' });
    expect(stderr).toMatch(
      /^routepool: \S+\.node is damaged: its checksum \(CRC-32\) is [0-9a-f]{8} in place of [0-9a-f]{8}\. Delete the folder [^\n]+\n$/,
    );
    project.remove();
  });

  it('ROUTEPOOL_BINDING names the file to load', () => {
    const project = installed.copy();
    const moved = project.path('elsewhere.node');
    cpSync(project.binary, moved);
    rmSync(project.path('node_modules', project.binaryPackage), { recursive: true });
    const { stdout } = project.node(
      [
        '--input-type=module',
        '-e',
        `import { listInterfaces } from 'routepool'; console.log(listInterfaces().length > 0)`,
      ],
      { ROUTEPOOL_BINDING: moved },
    );
    expect(stdout).toBe('true\n');
    project.remove();
  });
});

describe('what a package says of its binary', () => {
  it('is its size, its checksum, and samples that are no filling', () => {
    const { contents } = manifestOf(installed) as {
      contents: { bytes: number; crc32: string; places: number[]; samples: string };
    };
    const file = readFileSync(installed.binary);
    expect([contents.bytes, contents.crc32]).toEqual([file.length, crc32(file).toString(16).padStart(8, '0')]);
    expect(contents.places).toHaveLength(16);
    for (const [k, at] of contents.places.entries()) {
      const sample = file.toString('hex', at, at + 8);
      expect(contents.samples.slice(16 * k, 16 * (k + 1))).toBe(sample);
      expect(sample, `at ${at}`).not.toMatch(/^(..)\1{7}$/);
      expect((contents.places[k + 1] ?? file.length) - at, `after ${at}`).toBeLessThan(file.length * 0.07);
    }
  });
});

describe('reasons that this machine cannot provoke', () => {
  const facts: LoadFacts = {
    platform: 'linux-x64-musl',
    glibc: undefined,
    version: '1.2.3',
    installed: ['linux-x64-musl'],
    file: '/app/routepool.linux-x64-musl.node',
    fault: undefined,
    override: undefined,
    permissionModel: false,
    checkout: false,
    bundled: false,
    messages: [],
  };
  it.each([
    [
      'a checkout without a build',
      { checkout: true, installed: [], file: undefined, messages: ["Cannot find module './x.node'"] },
      'not-installed',
      /npm run build$/,
    ],
    [
      'what nobody has thought of',
      { messages: ['Error relocating: boom: symbol not found'] },
      'load-failed',
      /could not be loaded: Error relocating/,
    ],
    [
      'a bundle away from its package',
      { bundled: true, installed: [], file: undefined, messages: ["Cannot find module '/index.js'"] },
      'bundled',
      /--external:routepool/,
    ],
    [
      'the binary of another version',
      { messages: ["it lacks the call 'x'"] },
      'other-version',
      /is of another version than routepool 1\.2\.3.*npm install routepool@1\.2\.3$/,
    ],
    [
      'files that may not be read',
      { messages: ['Access to this API has been restricted'] },
      'permission',
      /--allow-fs-read/,
    ],
    [
      'Windows',
      { messages: ['\\\\?\\C:\\x.node is not a valid Win32 application.'] },
      'damaged',
      /made for another system/,
    ],
  ] as const)('%s', (_, change, reason, message) => {
    const failure = explainLoadFailure({ ...facts, ...change });
    expect(failure.reason).toBe(reason);
    expect(failure.message).toMatch(message);
  });
});
