import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');

describe('every test that the guide to security names', () => {
  const text = read('../docs/guides/security.md').replaceAll(/\s+/g, ' ');
  const named = [...text.matchAll(/`(?<file>[\w./-]+\.ts) › (?<title>[^`]+)`/g)].map(({ groups }) => ({
    file: groups?.['file'] ?? '',
    title: groups?.['title'] ?? '',
  }));

  it('is found by this test', () => {
    expect(named.length).toBeGreaterThan(30);
    expect(text.match(/›/g)).toHaveLength(named.length);
  });

  it.each(named)('$file › $title', ({ file, title }) => {
    const found = ['../packages/dosql/', '../'].find((root) =>
      existsSync(new URL(root + file, import.meta.url)),
    );
    expect(read(`${found}${file}`)).toContain(title);
  });
});
