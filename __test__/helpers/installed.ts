/** routepool as users have it: packed, and installed offline into an empty project. */
import { execFileSync, spawnSync, type ExecFileSyncOptions, type SpawnSyncReturns } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A project that depends on routepool. */
export class Project {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /**
   * Packs the checkout and installs the tarballs without a network; or those of a release, in the folder
   * ROUTEPOOL_TEST_PACKAGES.
   */
  static install(): Project {
    const folder = mkdtempSync(join(tmpdir(), 'routepool-project-'));
    const quiet: ExecFileSyncOptions = { stdio: ['ignore', 'pipe', 'pipe'] };
    const packed = process.env['ROUTEPOOL_TEST_PACKAGES'];
    if (packed === undefined) {
      execFileSync(process.execPath, ['scripts/release/pack-local.mjs', join(folder, 'tarballs')], {
        cwd: root,
        ...quiet,
      });
    } else {
      const wanted = new RegExp(`^routepool-(${process.platform}-${process.arch}(-gnu|-msvc)?-)?\\d.*\\.tgz$`);
      cpSync(packed, join(folder, 'tarballs'), {
        recursive: true,
        filter: (from) => from === packed || wanted.test(basename(from)),
      });
    }
    writeFileSync(join(folder, 'package.json'), '{ "name": "project", "private": true }\n');
    const tarballs = readdirSync(join(folder, 'tarballs')).map((name) => join('tarballs', name));
    execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', ...tarballs.map((name) => `./${name}`)], {
      cwd: folder,
      ...quiet,
    });
    return new Project(folder);
  }

  /** A copy that may be damaged. */
  copy(): Project {
    const folder = mkdtempSync(join(tmpdir(), 'routepool-project-'));
    cpSync(this.folder, folder, { recursive: true });
    return new Project(folder);
  }

  /** A path inside it. */
  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  /** The package with the binary. */
  get binaryPackage(): string {
    const name = readdirSync(this.path('node_modules')).find((folder) => folder.startsWith('routepool-'));
    if (name === undefined) throw new Error('the package with the binary is not installed');
    return name;
  }

  /** The binary. */
  get binary(): string {
    const name = this.binaryPackage;
    return this.path('node_modules', name, `routepool.${name.slice('routepool-'.length)}.node`);
  }

  write(name: string, text: string): string {
    writeFileSync(this.path(name), text);
    return name;
  }

  /** Runs node in it. */
  node(args: string[], env: Record<string, string> = {}): SpawnSyncReturns<string> {
    return spawnSync(process.execPath, args, {
      cwd: this.folder,
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...process.env, ...env },
    });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
