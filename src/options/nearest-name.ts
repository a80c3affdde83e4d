/** The known name that a misspelt one is closest to. */

/** Shorter than this, a beginning or a word is shared by chance. */
const TELLING = 3;

/**
 * The closest of `known`, if it is near enough to be meant: one that begins alike, else one with that word, else by
 * spelling.
 */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  return (
    known.find((candidate) => beginAlike(name, candidate)) ??
    known.find((candidate) => sharesWord(name, candidate)) ??
    nearestSpelling(name, known)
  );
}

/** Whether one of them is the beginning of the other: `rate` of `ratePerSecond`, `server` of `servers`. */
function beginAlike(name: string, candidate: string): boolean {
  const [short, long] = [name, candidate].map(letters).toSorted((a, b) => a.length - b.length) as [string, string];
  return short.length >= TELLING && long.startsWith(short);
}

/**
 * Whether the name is a word of the candidate, or the other way round: `buffer` of `receiveBuffer`. A plural is the
 * same word.
 */
function sharesWord(name: string, candidate: string): boolean {
  return (
    letters(name).length >= TELLING &&
    (words(candidate).includes(singular(letters(name))) || words(name).includes(singular(letters(candidate))))
  );
}

/** Without case and what stands between words, such as the dashes of a command's options. */
function letters(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9.]/g, '');
}

function words(name: string): string[] {
  return name.split(/[^A-Za-z0-9]+|(?=[A-Z])/).map((word) => singular(word.toLowerCase()));
}

function singular(word: string): string {
  return word.replace(/s$/, '');
}

function nearestSpelling(name: string, known: readonly string[]): string | undefined {
  const ranked = known.map((candidate) => ({
    candidate,
    distance: distance(name.toLowerCase(), candidate.toLowerCase()),
  }));
  ranked.sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= Math.max(2, Math.floor(name.length / 3)) ? best.candidate : undefined;
}

/** Levenshtein distance, one row at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
