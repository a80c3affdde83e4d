/** The sources that are not ok, grouped by what was found, kept small however many there are. */
import { describeVerdict, type Verdict } from '../../index.ts';
import { describeNoReply } from '../../validate/verdict.ts';

/** Sources named for each group: enough to recognise a pattern, few enough to read. */
const NAMED = 10;

/** Different findings told apart. */
const GROUPS = 20;

interface Group {
  readonly status: string;
  readonly text: string;
  count: number;
  /** How many times the sources were probed, at least and at most; 0 until one says so. */
  asked: { least: number; most: number };
  readonly addresses: Sorted;
}

/** Groups verdicts by their description. */
export class Findings {
  readonly #groups = new Map<string, Group>();

  /** Adds a verdict that is not ok. */
  add(verdict: Verdict): void {
    // Silent sources are one finding, however often each was probed.
    let text = verdict.status === 'no-reply' ? verdict.status : describeVerdict(verdict);
    // A 1:1 translation has a text for each source: those beyond the first few are summed up.
    if (!this.#groups.has(text) && this.#groups.size >= GROUPS) text = `${verdict.status}, in further ways`;
    let group = this.#groups.get(text);
    if (group === undefined) {
      group = { status: verdict.status, text, count: 0, asked: { least: 0, most: 0 }, addresses: new Sorted() };
      this.#groups.set(text, group);
    }
    group.count++;
    const { asked } = verdict;
    if (asked > 0) {
      const { least, most } = group.asked;
      group.asked = { least: Math.min(least || asked, asked), most: Math.max(most, asked) };
    }
    group.addresses.add(verdict.ip, verdict.index);
  }

  /**
   * The groups, largest first: how many sources, what was found, and some of the sources with neighbours drawn
   * together.
   */
  groups(): { status: string; text: string; count: number; examples: string[]; more: number }[] {
    const groups = [...this.#groups.values()].toSorted((a, b) => b.count - a.count);
    return groups.map(({ status, text: own, count, asked, addresses }) => {
      const { ranges, covered } = addresses.ranges(NAMED);
      const text = own === 'no-reply' ? describeNoReply(asked.least, asked.most) : own;
      return { status, text, count, examples: ranges, more: count - covered };
    });
  }
}

/** Sources by index; neighbouring indices are neighbouring addresses. */
class Sorted {
  /** Index and address. Bounded: of more than this many only the first seen are kept. */
  readonly #seen: { index: number; ip: string }[] = [];
  static readonly #MOST = 20_000;

  add(ip: string, index: number): void {
    if (this.#seen.length < Sorted.#MOST) this.#seen.push({ index, ip });
  }

  ranges(most: number): { ranges: string[]; covered: number } {
    this.#seen.sort((a, b) => a.index - b.index);
    const ranges: string[] = [];
    let covered = 0;
    for (let from = 0; from < this.#seen.length && ranges.length < most;) {
      let to = from;
      while (this.#seen[to + 1] !== undefined && this.#seen[to + 1]?.index === (this.#seen[to]?.index ?? 0) + 1) to++;
      const [first, last] = [this.#seen[from]?.ip ?? '', this.#seen[to]?.ip ?? ''];
      ranges.push(from === to ? first : `${first}-${last}`);
      covered += to - from + 1;
      from = to + 1;
    }
    return { ranges, covered };
  }
}
