/** A watch in a namespace, and what it has told. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { NetworkChange, WatchCounters, WatchOptions } from '../../src/index.ts';
import type { Namespace } from './namespaces.ts';

const script = fileURLToPath(new URL('./watch.mjs', import.meta.url));

/** How long a fact is waited for, in milliseconds. */
const PATIENCE = 30_000;

type Told = NetworkChange & { text?: string };
type Line = Told | { ready: true } | { counters: WatchCounters };

export class Watching {
  /** All changes so far, oldest first. */
  readonly changes: Told[] = [];
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #counters: WatchCounters[] = [];
  #isReady = false;
  #errors = '';
  #hasEnded = false;
  #look: () => void = () => undefined;

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.stderr.on('data', (chunk) => (this.#errors += String(chunk)));
    child.once('close', () => {
      this.#hasEnded = true;
      this.#look();
    });
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = JSON.parse(text) as Line;
      if ('ready' in line) this.#isReady = true;
      else if ('counters' in line) this.#counters.push(line.counters);
      else this.changes.push(line);
      this.#look();
    });
  }

  /** Begins to watch; what happens after this has resolved is told. */
  static async start(space: Namespace, options: WatchOptions = {}): Promise<Watching> {
    const watching = new Watching(space.spawn([process.execPath, script, JSON.stringify(options)]));
    await watching.#until('ready', () => watching.#isReady);
    return watching;
  }

  /** Waits until what was told since `from` fulfils something; gives it. */
  async until(what: string, fulfilled: (changes: Told[]) => boolean, from = 0): Promise<Told[]> {
    await this.#until(what, () => fulfilled(this.changes.slice(from)));
    return this.changes.slice(from);
  }

  /** What it has done so far. */
  async counters(): Promise<WatchCounters> {
    const known = this.#counters.length;
    this.#child.stdin.write('counters\n');
    await this.#until('counters', () => this.#counters.length > known);
    const last = this.#counters.at(-1);
    if (last === undefined) throw new Error('no counters');
    return last;
  }

  /** Asks for counters until they fulfil something. */
  async untilCounters(fulfilled: (counters: WatchCounters) => boolean): Promise<WatchCounters> {
    const end = Date.now() + PATIENCE;
    for (;;) {
      const counters = await this.counters();
      if (fulfilled(counters)) return counters;
      if (Date.now() > end) throw new Error(`in vain: ${JSON.stringify(counters)}`);
    }
  }

  signal(name: NodeJS.Signals): void {
    // nsenter has become the program itself.
    this.#child.kill(name);
  }

  #until(what: string, fulfilled: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = () => {
        reject(
          new Error(
            `waited in vain for ${what}; told so far: ${JSON.stringify(this.changes.slice(-20))} ${this.#errors}`,
          ),
        );
        clearTimeout(timer);
        this.#look = () => undefined;
      };
      const timer = setTimeout(fail, PATIENCE);
      this.#look = () => {
        if (this.#hasEnded && !fulfilled()) return fail();
        if (!fulfilled()) return;
        clearTimeout(timer);
        this.#look = () => undefined;
        resolve();
      };
      this.#look();
    });
  }
}

/** A change in a few words, for comparing. */
export function inShort(change: Told): string {
  switch (change.type) {
    case 'address-added':
    case 'address-removed':
      return `${change.interface} ${change.type === 'address-added' ? '+' : '-'}${change.ip}/${change.prefixLength}`;
    case 'block-added':
    case 'block-removed':
      return `${change.interface} ${change.type === 'block-added' ? '+' : '-'}[${change.block.ip}/${change.block.cidr}]`;
    case 'default-changed':
      return `IPv${change.family} ${change.previous?.gateway ?? 'none'} > ${change.now?.gateway ?? 'none'}`;
    case 'interface-renamed':
      return `${change.previous} > ${change.interface}`;
    case 'external-changed':
      return `${change.locals.map(({ ip, cidr }) => `${ip}/${cidr}`).join('+')}: ${change.previous?.ip} > ${change.external.ip} (${change.certainty})`;
    case 'resumed':
      return 'resumed';
    default:
      return `${change.interface} ${change.type.slice('interface-'.length)}`;
  }
}
