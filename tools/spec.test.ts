import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');

const promises = read('../packages/cdc/SPEC.md').matchAll(
  /^(\d+)\. \*\*(.*?)\*\*([\s\S]*?)(?=^\d+\. \*\*|^#|^\S)/gm,
);

describe('every promise of the specification of change streams', () => {
  const all = [...promises].map(([, number, name = '', text = '']) => ({ number, name, text }));

  it('has its number', () => {
    expect(all.map(({ number }) => number)).toEqual(all.map((_, i) => String(i + 1)));
    expect(all.length).toBeGreaterThan(20);
  });

  it.each(all)('$number. $name names tests that there are', ({ text }) => {
    const tests = [...text.replaceAll(/\s+/g, ' ').matchAll(/`(?<file>[\w./-]+\.ts) › (?<title>[^`]+)`/g)];
    expect(tests.length).toBeGreaterThan(0);
    for (const { groups } of tests)
      expect(read(`../packages/dosql/test/${groups?.['file']}`)).toContain(groups?.['title']);
  });
});
