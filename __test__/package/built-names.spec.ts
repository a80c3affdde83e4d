/** The package as it is published: what bundling could change. */
import { describe, expect, it } from 'vitest';

const isClass = (value: unknown): value is { name: string } =>
  typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));

describe('the built package', () => {
  // `util.inspect`, stacks and errors show them: a bundler may write `class _Pipe`.
  it.each(['index', 'testing/index'])('names its classes as it exports them: %s', async (file) => {
    const built = (await import(new URL(`../../dist/${file}.js`, import.meta.url).href)) as Record<string, unknown>;
    const classes = Object.entries(built).filter(([, value]) => isClass(value));
    expect(classes.length).toBeGreaterThan(1);
    for (const [exported, value] of classes) expect((value as { name: string }).name, exported).toBe(exported);
  });
});
