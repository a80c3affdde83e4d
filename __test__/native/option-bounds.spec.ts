/** Bounds of numbers that the engine takes are in its table alone; what TypeScript asks for must be there. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { optionBounds } from '../../src/native/binding.ts';
import { checkBounded, requireBounded } from '../../src/native/option-bounds.ts';

const src = fileURLToPath(new URL('../../src', import.meta.url));

describe('bounds of options', () => {
  it('are asked for by names that the table has, and each of its rows is', () => {
    const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
    const code = files.map((file) => readFileSync(`${src}/${file}`, 'utf8')).join('\n');
    const calls = code.matchAll(/\b(?:checkBounded|requireBounded)\(\s*'([^']+)'/g);
    const asked = Array.from(calls, ([, option]) => option);
    const rows = optionBounds().map(({ option }) => option);
    expect([...new Set(asked)].toSorted()).toEqual(rows.toSorted());
  });

  it.each(optionBounds().map((bounds) => [bounds.option, bounds] as const))(
    '%s is taken within them, and refused with them',
    (option, { min, max, integer }) => {
      expect([checkBounded(option, min), checkBounded(option, max)]).toEqual([min, max]);
      const text = `expected ${integer ? 'an integer' : 'a number'} from ${min} to ${max} for \`${option}\``;
      for (const value of [min - 1, max * 2, Number.NaN, String(min), ...(integer ? [min + 0.5] : [])]) {
        const refused = expect.objectContaining({ code: 'ERR_ROUTEPOOL_OPTION', option }) as Error;
        expect(() => checkBounded(option, value), String(value)).toThrowError(refused);
        expect(() => checkBounded(option, value), String(value)).toThrow(text);
      }
    },
  );

  it('tell a number that may be left out from one that may not', () => {
    expect(checkBounded('port', undefined)).toBeUndefined();
    expect(() => requireBounded('port', undefined)).toThrow('an integer from 0 to 65535 for `port`');
  });
});
