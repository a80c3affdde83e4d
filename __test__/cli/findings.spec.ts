/** What was found, grouped. */
import { describe, expect, it } from 'vitest';
import { Findings } from '../../src/cli/text/findings.ts';
import { verdictAt } from '../../src/validate/verdict.ts';

const NO_REPLY = 3;

/** The verdict on 10.0.0.`index`, which never replied to so many probes. */
function silent(index: number, asked: number) {
  const bytes = new Uint8Array(48);
  bytes.set([10, 0, 0, index]);
  bytes.set([index, 0, 0, 0, NO_REPLY, 0, 0, asked], 32);
  return verdictAt(bytes, 0);
}

describe('silent sources', () => {
  it.each([
    [[5, 5], 'in 5 tries '],
    [[7, 0, 4, 12], 'in 4 to 12 tries '],
    [[0, 0], ''],
  ])('are one finding, probed %j times', (asked, tries) => {
    const findings = new Findings();
    for (const [index, times] of asked.entries()) findings.add(silent(index, times));
    expect(findings.groups()).toEqual([
      {
        status: 'no-reply',
        text: `no answer ${tries}while sources beside it answered: filtered, or no route back`,
        count: asked.length,
        examples: [`10.0.0.0-10.0.0.${asked.length - 1}`],
        more: 0,
      },
    ]);
  });
});
