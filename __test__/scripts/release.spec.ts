/**
 * A release: what makes it be refused, what is packed, and that publishing it can be taken up again where it stopped.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { binaryFault, describeBinary } from '../../scripts/release/supply/binary.mjs';
import { billOf } from '../../scripts/release/supply/bill.mjs';
import { linkedCrates } from '../../scripts/release/supply/linked.mjs';
import { chosen } from '../../scripts/release/supply/notices.mjs';
import { notesOf, releaseSet } from '../../scripts/release/supply/release-set.mjs';
import { VERSION, versionMismatches, withVersion } from '../../scripts/release/supply/versions.mjs';
import { packPackages } from '../../scripts/release/pack-packages.mjs';
import { headers, newGlibc, unsigned } from '../helpers/headers.ts';
import { NpmRegistry } from '../helpers/npm-registry.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (...path: string[]): string => readFileSync(join(root, ...path), 'utf8');
const { version } = JSON.parse(read('package.json')) as { version: string };
const own = readdirSync(root).find((name) => /^routepool\..+\.node$/.test(name)) ?? 'routepool.none.node';
const ownPlatform = own.slice('routepool.'.length, -'.node'.length);
const targetOf: Record<string, string> = {
  'linux-x64-gnu': 'x86_64-unknown-linux-gnu',
  'linux-arm64-gnu': 'aarch64-unknown-linux-gnu',
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'routepool-release-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the version', () => {
  it('is the same in every file that has it', () => expect(versionMismatches(root, version)).toEqual([]));

  it('is written into each of them', () => {
    const copy = join(folder, 'versions');
    mkdirSync(copy);
    cpSync(join(root, 'crates'), join(copy, 'crates'), {
      recursive: true,
      filter: (from) => !/\/(src|tests)$/.test(from),
    });
    for (const [file, content] of Object.entries(withVersion(root, '9.8.7-rc.1')))
      writeFileSync(join(copy, file), content);
    expect(versionMismatches(copy, '9.8.7-rc.1')).toEqual([]);
    expect(versionMismatches(copy, version)).toHaveLength(5);
    // Nothing but versions is another: written back, each file is what it was.
    for (const [file, content] of Object.entries(withVersion(copy, version))) expect(content, file).toBe(read(file));
  });

  it.each(['1.2.3', '0.1.0-beta.1', '10.20.30'])('may be %s', (text) => expect(text).toMatch(VERSION));
  it.each(['1.2', 'v1.2.3', '1.2.3+build', '01.2.3', '1.2.3-01', ''])('may not be %j', (text) =>
    expect(text).not.toMatch(VERSION),
  );
});

describe('the lock files', () => {
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { integrity?: string; resolved?: string; link?: boolean }>;
  };
  const entries = Object.entries(packages).filter(([name, { link }]) => name !== '' && link !== true);

  it('know the contents of every npm package', () => {
    expect(entries.length).toBeGreaterThan(100);
    expect(entries.filter(([, { integrity }]) => integrity?.startsWith('sha512-') !== true)).toEqual([]);
  });

  it('name no host: packages come from the registry that npm is configured for', () => {
    expect(entries.filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  });

  it('know the contents of every crate, and have none from elsewhere', () => {
    const crates = read('Cargo.lock').split('[[package]]').slice(1);
    const foreign = crates.filter((crate) => crate.includes('\nsource = '));
    expect(foreign.length).toBeGreaterThan(50);
    expect(
      foreign.filter((crate) => !/\nchecksum = "[0-9a-f]{64}"/.test(crate) || !/\nsource = "registry\+/.test(crate)),
    ).toEqual([]);
  });
});

describe("a binary's header", () => {
  it('tells what a binary is', () => {
    expect(Object.entries(headers).map(([platform, file]) => [platform, binaryFault(file, platform, 17)])).toEqual(
      Object.keys(headers).map((platform) => [platform, undefined]),
    );
  });

  it('tells each binary from that of every other platform', () => {
    for (const [platform, file] of Object.entries(headers)) {
      const fits = Object.keys(headers).filter((other) => binaryFault(file, other, 17) === undefined);
      expect(fits).toEqual([platform]);
    }
  });

  it.runIf(existsSync(join(root, own)))('is read from a real binary as it is', () => {
    const [system, cpu, libc] = ownPlatform.split('-');
    expect(describeBinary(readFileSync(join(root, own)))).toMatchObject(
      system === 'linux' ? { system, cpu, libc } : { system, cpu },
    );
  });

  const linux = headers['linux-x64-gnu'] ?? Buffer.alloc(0);
  const executable = Buffer.from(linux);
  executable.writeUInt16LE(2, 16);
  it.each([
    ['a glibc above the floor', 'linux-x64-gnu', newGlibc, /needs glibc 2\.34/],
    ['no signature on arm64', 'darwin-arm64', unsigned, /no code signature/],
    ['a program in place of a library', 'linux-x64-gnu', executable, /no shared object/],
    ['a library that is no addon', 'linux-x64-gnu', linux.subarray(0, 64), /napi_register_module_v1 is missing/],
    ['text', 'linux-x64-gnu', Buffer.from('<html>'.repeat(20)), /no binary/],
    ['nothing', 'win32-x64-msvc', Buffer.alloc(0), /no binary/],
  ] as const)('refuses %s', (_what, platform, file, why) => expect(binaryFault(file, platform, 17)).toMatch(why));
});

describe('a set of binaries', () => {
  const set = (change: (folder: string) => void, tag = `v${version}`): string[] => {
    const binaries = mkdtempSync(join(folder, 'set-'));
    for (const [platform, file] of Object.entries(headers))
      writeFileSync(join(binaries, `routepool.${platform}.node`), file);
    change(binaries);
    // Whether this version has its section in the changelog yet is not what these rows are about.
    return releaseSet(root, binaries, tag).wrong.filter((line: string) => !line.startsWith('CHANGELOG.md'));
  };

  it('is taken when it is whole', () => expect(set(() => undefined)).toEqual([]));
  it('is refused with a binary missing', () =>
    expect(set((at) => rmSync(join(at, 'routepool.darwin-x64.node')))).toEqual([
      expect.stringMatching(/^missing: .*darwin-x64/),
    ]));
  it('is refused with another tag', () =>
    expect(set(() => undefined, 'v9.9.9')).toEqual([expect.stringMatching(/the tag is v9\.9\.9/)]));
  it('is refused without a tag', () =>
    expect(releaseSet(root, folder, undefined).wrong[0]).toMatch(/the tag is missing/));
  it("is refused with one platform's binary under another's name", () => {
    const swapped = set((at) =>
      cpSync(join(at, 'routepool.linux-arm64-musl.node'), join(at, 'routepool.linux-x64-musl.node')),
    );
    expect(swapped).toEqual([expect.stringMatching(/linux-x64-musl\.node: it is for linux-arm64-musl/)]);
  });

  const changelog =
    '# Changelog\n\n## Unreleased\n\n- next\n\n## 1.2.0 - 2026-01-02\n\n### Added\n\n- this\n\n## 1.1.0\n';
  it.each([
    ['1.2.0', '### Added\n\n- this'],
    ['1.1.0', ''],
    ['1.2', ''],
    ['1.2.0-rc.1', ''],
  ])('has the notes of %s alone', (name, notes) => expect(notesOf(changelog, name)).toBe(notes));
});

describe('the bill of materials', () => {
  const target = targetOf[ownPlatform];

  it.runIf(target !== undefined)('names every crate whose code is in the binary', () => {
    // Panic messages name the source files that they are from.
    const binary = readFileSync(join(root, own), 'latin1');
    const seen = new Set(
      [...binary.matchAll(/registry[\\/]src[\\/][^\\/\0]+[\\/]([\w-]+)-(\d+\.\d+\.\d+[\w.-]*)[\\/]/g)].map(
        ([, name, number]) => `${name} ${number}`,
      ),
    );
    const listed = linkedCrates(target).map(({ key }: { key: string }) => key);
    expect(seen.size).toBeGreaterThan(5);
    expect([...seen].filter((crate) => !listed.includes(crate))).toEqual([]);
  });

  it('has no crate that only tests or builds', () => {
    const listed = new Set(linkedCrates('x86_64-unknown-linux-gnu').map(({ name }: { name: string }) => name));
    for (const name of ['napi', 'tokio', 'routepool-core', 'routepool-udp']) expect(listed, name).toContain(name);
    for (const name of ['proptest', 'netlink-packet-route', 'tempfile', 'syn', 'napi-derive', 'napi-build'])
      expect(listed, name).not.toContain(name);
  });

  it("has another platform's crates for another platform", () => {
    const names = (triple: string): string[] => linkedCrates(triple).map(({ name }: { name: string }) => name);
    expect(names('x86_64-pc-windows-msvc')).toContain('windows-sys');
    expect(names('x86_64-pc-windows-msvc')).not.toContain('netlink-sys');
    expect(names('x86_64-unknown-linux-musl')).toContain('netlink-sys');
  });

  it('refers to nothing that it does not list', () => {
    const bill = billOf('aarch64-apple-darwin', version) as {
      metadata: { component: { 'bom-ref': string } };
      components: { 'bom-ref': string }[];
      dependencies: { ref: string; dependsOn: string[] }[];
    };
    const refs = new Set([bill.metadata.component, ...bill.components].map((component) => component['bom-ref']));
    expect(
      bill.dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn]).filter((ref) => !refs.has(ref)),
    ).toEqual([]);
    expect(refs.size).toBe(bill.components.length + 1);
  });

  it.each([
    ['MIT OR Apache-2.0', ['MIT']],
    ['Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT', ['MIT']],
    ['(MIT OR Apache-2.0) AND Unicode-3.0', ['MIT', 'Unicode-3.0']],
    ['ISC', ['ISC']],
    ['MIT/Apache-2.0', ['MIT']],
  ])('of a choice of licences, %s, takes one', (expression, taken) => expect(chosen(expression)).toEqual(taken));
  it.each(['GPL-3.0', 'GPL-3.0 OR AGPL-3.0', 'MIT AND GPL-2.0'])('refuses %s', (expression) =>
    expect(() => chosen(expression)).toThrow(/no notice is known/),
  );
});

describe.runIf(existsSync(join(root, own)) && ownPlatform in headers)('publishing', () => {
  const REPOSITORY = 'https://git.example/routepool';
  let packages: string;
  /** The last two of them. */
  let few: string;
  let registry: NpmRegistry;
  let npmrc: string;

  beforeAll(() => {
    const binaries = join(folder, 'binaries');
    mkdirSync(binaries);
    for (const [platform, file] of Object.entries(headers))
      writeFileSync(join(binaries, `routepool.${platform}.node`), file);
    cpSync(join(root, own), join(binaries, own));
    packages = join(folder, 'packages');
    const files = readdirSync(binaries).map((name) => join(binaries, name));
    const packed = packPackages(files, packages, { repository: REPOSITORY }) as {
      name: string;
      filename: string;
      integrity: string;
    }[];
    writeFileSync(
      join(packages, 'packages.json'),
      JSON.stringify(packed.map(({ name, filename, integrity }) => ({ name, version, filename, integrity }))),
    );
    few = join(folder, 'few');
    cpSync(packages, few, { recursive: true });
    writeFileSync(
      join(few, 'packages.json'),
      JSON.stringify((JSON.parse(readFileSync(join(few, 'packages.json'), 'utf8')) as object[]).slice(-2)),
    );
  }, 120_000);

  beforeEach(async () => {
    registry = await NpmRegistry.start();
    npmrc = join(folder, 'npmrc');
    writeFileSync(
      npmrc,
      `registry=${registry.url}\n${registry.url.slice('http:'.length)}:_authToken=none\nfetch-retries=0\naudit=false\nfund=false\nupdate-notifier=false\n`,
    );
  });
  afterEach(() => registry.stop());

  /** Runs a command beside this process's registry: not spawnSync, which would keep it from answering. */
  async function run(
    command: string,
    args: string[],
    cwd: string,
  ): Promise<{ status: number | null; stdout: string; stderr: string }> {
    const env = {
      ...process.env,
      npm_config_userconfig: npmrc,
      npm_config_registry: registry.url,
      npm_config_cache: join(folder, 'cache'),
    };
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
    const [stdout, stderr, status] = await Promise.all([text(child.stdout), text(child.stderr), exit]);
    return { status, stdout, stderr };
  }
  const publish = (...args: string[]) =>
    run(process.execPath, ['scripts/release/publish.mjs', '--from', packages, ...args], root);
  const count = (output: string, what: string): number =>
    output.split('\n').filter((line) => line.endsWith(what)).length;

  it('goes on where it stopped, routepool last; what was published can be installed and works', async () => {
    registry.healthyFor = 3;
    const ill = await publish();
    expect([ill.status, registry.published.length]).toEqual([1, 3]);
    expect(ill.stderr).toMatch(/was not published .* Run this again/);
    expect(registry.published).not.toContain('routepool');

    registry.healthyFor = Number.POSITIVE_INFINITY;
    const well = await publish();
    expect([well.status, well.stderr.match(/npm error.*/g)]).toEqual([0, null]);
    expect([count(well.stdout, 'is published already'), count(well.stdout, '  published')]).toEqual([3, 6]);
    expect(registry.published).toHaveLength(9);
    expect(registry.published.at(-1)).toBe('routepool');
    expect(registry.tags('routepool')).toEqual({ latest: version });

    const again = await publish('--from', few);
    expect([again.status, count(again.stdout, 'is published already'), registry.published.length]).toEqual([0, 2, 9]);

    const project = mkdtempSync(join(folder, 'project-'));
    writeFileSync(join(project, 'package.json'), '{ "name": "project", "private": true, "type": "module" }\n');
    const installed = await run('npm', ['install', 'routepool'], project);
    expect([installed.status, installed.stderr]).toEqual([0, '']);
    expect(readdirSync(join(project, 'node_modules')).filter((name) => !name.startsWith('.'))).toEqual([
      'routepool',
      `routepool-${ownPlatform}`,
    ]);
    const example = /^```js\n(.*?)^```/ms.exec(read('README.md'))?.[1] ?? '';
    expect(example).toMatch(/from 'routepool'/);
    writeFileSync(join(project, 'example.mjs'), example);
    const ran = spawnSync(process.execPath, ['example.mjs'], { cwd: project, encoding: 'utf8', timeout: 50_000 });
    expect([ran.status, ran.stderr]).toEqual([0, '']);
    expect(ran.stdout).not.toBe('');
    const notices = readFileSync(
      join(project, `node_modules/routepool-${ownPlatform}/THIRD-PARTY-NOTICES.txt`),
      'utf8',
    );
    for (const name of ['tokio', 'napi', 'libloading', "Rust's standard library"]) expect(notices).toContain(name);
    const manifest = JSON.parse(readFileSync(join(project, 'node_modules/routepool/package.json'), 'utf8')) as {
      repository: unknown;
    };
    expect(manifest.repository).toEqual({ type: 'git', url: 'git+https://git.example/routepool.git' });
  }, 180_000);

  it('says what it would do with --dry-run, and does nothing', async () => {
    const { status, stdout } = await publish('--from', few, '--dry-run');
    expect([status, count(stdout, '--tag latest'), registry.published]).toEqual([0, 2, []]);
  }, 60_000);

  it('stops where a version is published with other contents', async () => {
    const [first] = JSON.parse(readFileSync(join(packages, 'packages.json'), 'utf8')) as {
      name: string;
      filename: string;
      integrity: string;
    }[];
    if (first === undefined) throw new Error('nothing was packed');
    const stranger = mkdtempSync(join(folder, 'stranger-'));
    writeFileSync(join(stranger, 'package.json'), JSON.stringify({ name: first.name, version }));
    expect((await run('npm', ['publish', stranger], stranger)).status).toBe(0);
    const { status, stderr } = await publish();
    expect([status, registry.published]).toEqual([1, [first.name]]);
    expect(stderr).toMatch(/is published with other contents .* never replaced/);
  }, 60_000);

  it('refuses a tarball that was changed after it was packed', async () => {
    const changed = join(folder, 'changed');
    cpSync(packages, changed, { recursive: true });
    writeFileSync(join(changed, `routepool-${version}.tgz`), 'x', { flag: 'a' });
    const { status, stderr } = await run(process.execPath, ['scripts/release/publish.mjs', '--from', changed], root);
    expect([status, registry.published]).toEqual([1, []]);
    expect(stderr).toMatch(/is not the file that packages\.json describes/);
  }, 60_000);

  it('packs the same bytes from the same files', () => {
    const again = join(folder, 'again');
    packPackages([join(folder, 'binaries', own)], again, { repository: REPOSITORY });
    for (const name of [`routepool-${ownPlatform}-${version}.tgz`, `routepool-${version}.tgz`]) {
      expect(readFileSync(join(again, name)).equals(readFileSync(join(packages, name))), name).toBe(true);
    }
  }, 60_000);
});
