import { describe, expect, it } from 'vitest';
import { globMatcher, likeMatcher } from './pattern.ts';
import { compareText, realText } from './scalar.ts';
import { dateText, parseInstant, timestampText, timeText } from './time.ts';

describe('text of values', () => {
  it.each([
    [0.1, '0.1'],
    [-0, '0.0'],
    [100, '100.0'],
    [1 / 3, '0.33333333333333332'],
    [1e16, '10000000000000000.0'],
    [1e17, '1.0e+17'],
    [1.5e-5, '1.5e-05'],
    [0.0001, '0.0001'],
    [-42131644456674.45, '-42131644456674.453'],
    [Number.NEGATIVE_INFINITY, '-Inf'],
  ])('prints %d as SQLite does', (value, text) => {
    expect(realText(value)).toBe(text);
  });

  it('orders text by code points', () => {
    const texts = ['', 'a', 'ab', 'b', '\u{7ff}', '\u{ffff}', '\u{10000}', '\u{10ffff}'];
    expect(texts.toReversed().sort(compareText)).toEqual(texts);
  });
});

describe('times', () => {
  it.each([
    ['2026-01-01', 1_767_225_600_000, 0],
    ['2026-01-01T00:00:00Z', 1_767_225_600_000, 0],
    ['2026-01-01 02:00+02:00', 1_767_225_600_000, 0],
    ['1969-12-31T23:59:59.999999999Z', -1, 999_999],
    ['2024-02-29', 1_709_164_800_000, 0],
  ])('reads %s', (text, ms, ns) => {
    expect(parseInstant(text)).toEqual({ ms, ns });
  });

  it.each(['2025-02-29', '2026-13-01', '2026-1-1', 'now', '2026-01-01T25:00', ''])(
    'does not read %s',
    (text) => {
      expect(parseInstant(text)).toBeUndefined();
    },
  );

  it('writes as many digits as there are', () => {
    expect(timestampText(-1, 'ms', true)).toBe('1969-12-31T23:59:59.999Z');
    expect(timestampText(1_000_001, 'us', false)).toBe('1970-01-01T00:00:01.000001');
    expect(timestampText(-1n, 'ns', true)).toBe('1969-12-31T23:59:59.999999999Z');
    expect(timeText(43_200_000_000, 'us')).toBe('12:00:00');
    expect(dateText(-719_528)).toBe('0000-01-01');
  });
});

describe('patterns', () => {
  it('take no longer than the text times the pattern', () => {
    const text = 'a'.repeat(5000);
    expect(likeMatcher(`${'%a'.repeat(40)}%b`, undefined)(text)).toBe(false);
    expect(globMatcher(`${'*a'.repeat(40)}*b`)(text)).toBe(false);
  });
});
