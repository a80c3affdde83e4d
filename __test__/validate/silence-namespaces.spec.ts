/**
 * A working source is never called dead, however a network loses packets. `npm run check:silence` has all rows, and
 * runs each ten times.
 */
import { describe, expect, it } from 'vitest';
import { runRow } from '../lab/silence-lab.ts';
import { whyNoNamespaces } from '../lab/namespaces.ts';
import { SILENCE_ROWS } from '../lab/silence-rows.ts';

const no = whyNoNamespaces('nft');
if (no) console.warn(`SKIPPED: the tests with networks that lose packets unevenly, because ${no}`);

/** They take two minutes in all; a row that takes longer than this hangs. */
const HANGS = 180_000;

describe.skipIf(no)('a working source is found, or unknown with a reason', () => {
  const rows = SILENCE_ROWS.filter(({ inTests }) => inTests).map(
    (row) => [`IPv${row.family} ${row.name}: ${row.why}`, row] as const,
  );
  it.each(rows)(
    '%s',
    async (_what, row) => {
      const { wrong, unknown, okShare } = await runRow(row);
      expect(wrong.slice(0, 10)).toEqual([]);
      expect(okShare, `unknown: ${JSON.stringify(unknown)}`).toBeGreaterThanOrEqual(row.found);
    },
    HANGS,
  );
});
