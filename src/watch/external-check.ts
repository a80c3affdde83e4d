/** Asks now and then what addresses leave as, for a watch. */
import { asError } from '../errors/errors.ts';
import type { CallSite } from '../errors/call-site.ts';
import type { NativeLoad, NativeWatch } from '../native/binding.ts';
import { INTERVAL_JITTER, PUBLIC_CHECK_GAP_MS } from '../defaults.ts';
import { Interface } from '../interface/interface.ts';
import { listInterfaces } from '../interface/facts.ts';
import type { ExternalChange } from './change.ts';
import type { CheckedExternalOptions } from './options.ts';

/** Who is told. */
export interface ExternalListener {
  readonly compare: NativeWatch['externals'];
  /**
   * Whether it has taken what it was told; undefined once it is gone. While it is slow nobody is asked: it is told the
   * difference later.
   */
  readonly keepsUp: () => boolean | undefined;
  readonly tell: (changes: readonly ExternalChange[]) => void;
}

/**
 * Checks external addresses when it is told to, and at an interval. Only one check is under way at a time; what comes
 * meanwhile is one more check afterwards. The first one is what later ones are compared with.
 */
export class ExternalCheck {
  readonly #options: CheckedExternalOptions;
  readonly #listener: ExternalListener;
  readonly #abort = new AbortController();
  readonly #origin: CallSite;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #again = false;
  #used = false;
  #last = Number.NEGATIVE_INFINITY;
  /** Checks that are over. */
  checks = 0;
  /** Interfaces that could not be asked for, as when a server's name did not resolve. */
  failures = 0;
  /** Why, the last time. */
  lastError: Error | undefined;

  constructor(options: CheckedExternalOptions, origin: CallSite, listener: ExternalListener) {
    this.#options = options;
    this.#origin = origin;
    this.#listener = listener;
  }

  /** Somebody uses the watch, or nobody does: then nobody is asked. */
  use(used: boolean): void {
    if (used === this.#used) return;
    this.#used = used;
    if (used && this.checks === 0) this.request();
    else this.#schedule(this.#options.intervalMs);
  }

  /** Check soon: something has changed. */
  request(): void {
    if (this.#abort.signal.aborted || !this.#used) return;
    const keepsUp = this.#listener.keepsUp();
    if (keepsUp === undefined) return this.close();
    if (this.#running || !keepsUp) {
      this.#again = true;
      return;
    }
    const gap = this.#options.isPublic ? this.#last + PUBLIC_CHECK_GAP_MS - performance.now() : 0;
    if (gap > 0) this.#schedule(gap, 0);
    else void this.#check();
  }

  /** The listener has caught up. */
  resume(): void {
    if (this.#again && !this.#running) this.#onceMore();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#abort.abort();
  }

  #schedule(afterMs: number | undefined, jitter: number = INTERVAL_JITTER): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (afterMs === undefined || !this.#used || this.#abort.signal.aborted) return;
    // The watch itself keeps the process alive, or does not.
    this.#timer = setTimeout(() => this.request(), afterMs * (1 + jitter * Math.random())).unref();
  }

  async #check(): Promise<void> {
    clearTimeout(this.#timer);
    this.#running = true;
    this.#last = performance.now();
    const results = await Promise.all(this.#interfaces().map((name) => this.#checkOne(name)));
    this.#running = false;
    if (this.#abort.signal.aborted) return;
    const isFirst = this.checks++ === 0;
    if (!isFirst) this.#listener.tell(results.flat());
    if (this.#again) this.#onceMore();
    else this.#schedule(this.#options.intervalMs);
  }

  #onceMore(): void {
    this.#again = false;
    this.request();
  }

  #interfaces(): readonly string[] {
    const all = listInterfaces({ details: true });
    const { interfaces } = this.#options;
    const wanted = all.filter((facts) =>
      interfaces === undefined
        ? facts.up && facts.kind !== 'loopback' && (facts.gateways.length > 0 || facts.blocks.length > 0)
        : interfaces.includes(facts.name),
    );
    return wanted.map((facts) => facts.name);
  }

  async #checkOne(name: string): Promise<ExternalChange[]> {
    let load: NativeLoad | undefined;
    try {
      const options = { ...this.#options.load, signal: this.#abort.signal };
      const nic = await Interface.loadFor(name, options, this.#origin, (found) => (load = found));
      if (load === undefined || this.#abort.signal.aborted) return [];
      return this.#listener.compare(load).flatMap((found) => {
        const family = found.family === 6 ? 6 : 4;
        const route = nic.rp[family].routes[found.route];
        if (route === undefined) return [];
        const { locals, previous, external } = found;
        return [
          {
            type: 'external-changed',
            interface: name,
            family,
            locals,
            previous: previous ?? undefined,
            external,
            certainty: route.certainty,
            route,
          },
        ];
      });
    } catch (error) {
      // The interface may have gone, the resolver be out of reach: the next change or interval asks again.
      this.failures++;
      this.lastError = asError(error);
      return [];
    }
  }
}
