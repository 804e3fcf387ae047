import { describe, expect, it } from 'vitest';
import { decimal } from './decimal.ts';
import { Random } from '../../../test/support/random.ts';
import { seeds } from '../../../test/support/seeds.ts';

const utf8 = new TextEncoder();

function read(text: string): number {
  const bytes = utf8.encode(`,${text},`);
  return decimal(bytes, 1, bytes.length - 1);
}

describe('a decimal number', () => {
  it.each([
    '0',
    '-0',
    '0.0',
    '1',
    '-1',
    '.5',
    '1.',
    '00.10',
    '0.1',
    '0.30000000000000004',
    '9007199254740993',
    '9007199254740992',
    '9007199254740991.5',
    '9223372036854775807',
    '0.0000000000000000000001',
    '123456789012345678.9',
    '1000000000000000000.0',
    '0000000000000000000000000.5',
    '4503599627370496.5',
    '4503599627370497.5',
    '2.2250738585072014',
  ])('%s is the nearest double, or left to others', (text) => {
    const value = read(text);
    expect(Number.isNaN(value) || Object.is(value, Number(text)), `${value}`).toBe(true);
  });

  it.each([
    '',
    '-',
    '.',
    '-.',
    '1e5',
    '1.2.3',
    '+1',
    ' 1',
    '12345678901234567890',
    'x',
    '0.12345678901234567890123',
    '--1',
  ])('%j is left to others', (text) => expect(read(text)).toBeNaN());

  it.each(seeds(20_261_121))('is the nearest double, seed %i', (seed) => {
    const random = new Random(seed);
    let left = 0;
    const count = 100_000;
    for (let i = 0; i < count; i++) {
      const digits = random.times(1 + random.int(19), () => random.int(10)).join('');
      const point = random.int(digits.length + 1);
      const text = random.chance(0.3)
        ? String(random.next() * 10 ** random.int(12))
        : `${random.chance(0.5) ? '-' : ''}${digits.slice(0, point)}.${digits.slice(point)}`;
      const value = read(text);
      if (Number.isNaN(value)) left++;
      else if (!Object.is(value, Number(text))) expect(`${text} ${value}`).toBe(`${text} ${Number(text)}`);
    }
    expect(left / count).toBeLessThan(0.02);
  });

  it('is never wrong next to the middle of two doubles', () => {
    // An integer above 2^53 with a half between two doubles, and its neighbours.
    for (let i = 0; i < 20_000; i++) {
      const middle = 2n ** 60n + 128n + 256n * BigInt(i * 7919);
      for (const integer of [middle - 1n, middle, middle + 1n])
        for (const text of [
          String(integer),
          `${integer}.`,
          `${String(integer).slice(0, 4)}.${String(integer).slice(4)}`,
        ]) {
          const value = read(text);
          if (!Number.isNaN(value) && !Object.is(value, Number(text)))
            expect(`${text} ${value}`).toBe(`${Number(text)}`);
        }
    }
  });
});
