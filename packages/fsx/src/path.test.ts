import { posix } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterPrefix, comparePaths, maxPathBytes, normalisePath, normalisePrefix } from './path.ts';

const text = fc.string({ unit: 'binary', maxLength: 8 }).filter((text) => text.isWellFormed());

function compareBytes(a: string, b: string): number {
  const left = new TextEncoder().encode(a);
  const right = new TextEncoder().encode(b);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (left[i] !== right[i]) return (left[i] ?? 0) - (right[i] ?? 0);
  }
  return left.length - right.length;
}

describe('normalisePath', () => {
  it('takes one leading slash off and changes nothing else', () => {
    expect(normalisePath('/logs/2026 é.json')).toBe('logs/2026 é.json');
    expect(normalisePath('logs/2026 é.json')).toBe('logs/2026 é.json');
  });

  it('names the path and the way out', () => {
    expect(() => normalisePath('a/../b')).toThrow(
      'The path "a/../b" has a ".." segment; give the path in full',
    );
    expect(() => normalisePath('a%2Fb')).toThrow(
      'The path "a%2Fb" has the percent-encoded separator "%2F"; decode the path first',
    );
    expect(() => normalisePath('a\\b')).toThrow('separate segments with "/"');
    expect(() => normalisePath(undefined as unknown as string)).toThrow('is not a string');
    expect(() => normalisePath('y'.repeat(2000))).toThrow(
      /^.{0,300}… \(2000 characters\) is longer than 1024 bytes/,
    );
  });

  it('refuses separators that are encoded more than once', () => {
    for (const path of ['%252e%252e', 'a%25252Fb', '%25%2e'])
      expect(() => normalisePath(path)).toThrow('percent-encoded');
    expect(normalisePath('100%25/a%20b')).toBe('100%25/a%20b');
  });

  it('counts bytes, not characters', () => {
    expect(normalisePath('é'.repeat(maxPathBytes / 2))).toHaveLength(maxPathBytes / 2);
    expect(() => normalisePath('é'.repeat(maxPathBytes / 2 + 1))).toThrow('1024 bytes');
  });

  it('lets nothing through that resolving or decoding could move', () => {
    const piece = fc.constantFrom(
      '.',
      '..',
      '/',
      '\\',
      '%2e',
      '%2E',
      '%2f',
      '%5C',
      '%252e',
      '%25',
      '\0',
      'a',
      ' ',
      'é',
      '。',
    );
    const hostile = fc.array(piece, { minLength: 1, maxLength: 8 }).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(hostile, (path) => {
        let kept: string;
        try {
          kept = normalisePath(path);
        } catch {
          return;
        }
        expect(normalisePath(kept)).toBe(kept);
        let decoded = kept;
        for (let round = 0; round < 4; round++)
          decoded = decoded.replace(/%(25|2e|2f|5c)/gi, (code) => decodeURIComponent(code));
        expect(posix.join('/root', decoded)).toBe(`/root/${decoded}`);
        expect(new URL(`https://host/root/${decoded}?`).pathname.split('/')).toHaveLength(
          kept.split('/').length + 2,
        );
      }),
      { numRuns: 1000 },
    );
  });
});

describe('normalisePrefix', () => {
  it('may be empty or end in an unfinished segment', () => {
    for (const prefix of ['', 'a', 'a/', 'a/b', '.hid', 'a/..b'])
      expect(normalisePrefix(prefix)).toBe(prefix);
    expect(normalisePrefix('/')).toBe('');
    expect(normalisePrefix('/a/')).toBe('a/');
  });

  it('is held to the rules of a path otherwise', () => {
    for (const prefix of ['..', 'a/../', 'a//', '//', './', 'a\\', '%2e'])
      expect(() => normalisePrefix(prefix)).toThrow('The prefix');
  });
});

describe('comparePaths', () => {
  it('orders as the bytes of UTF-8 do', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(comparePaths(a, b))).toBe(Math.sign(compareBytes(a, b)));
      }),
      {
        numRuns: 1000,
        examples: [
          ['\u{1f388}', '\u{ff01}'],
          ['a', 'a/'],
          ['', ''],
          ['\ud7ff', '\u{e000}'],
        ],
      },
    );
  });
});

describe('afterPrefix', () => {
  it('bounds exactly the texts that start with the prefix', () => {
    fc.assert(
      fc.property(text, text, (prefix, other) => {
        const end = afterPrefix(prefix);
        for (const path of [prefix + other, other]) {
          const inside =
            comparePaths(path, prefix) >= 0 && (end === undefined || comparePaths(path, end) < 0);
          expect(inside).toBe(path.startsWith(prefix));
        }
      }),
      {
        numRuns: 1000,
        examples: [
          ['a\u{10ffff}', 'b'],
          ['\u{10ffff}', 'b'],
          ['\ud7ff', '\u{e000}'],
          ['', 'x'],
        ],
      },
    );
  });
});
