import { describe, expect, it } from 'vitest';
import { Random } from '../../test/support/random.ts';
import { KeyNumbers } from './group-key.ts';
import { RowNumbers } from './group-rows.ts';
import { fromScalars, plainType, toScalars, type Values } from './values.ts';
import { encodeText, type Scalar } from './scalar.ts';
import type { BytesVector } from './vector.ts';

function texts(values: readonly (string | null)[]): Values {
  const parts = values.map((value) => encodeText(value ?? ''));
  let size = 0;
  const offsets = Uint32Array.from([0, ...parts.map(({ length }) => (size += length))]);
  const data = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  const nulls = Uint8Array.from(values, (value) => (value === null ? 1 : 0));
  const vector: BytesVector = { kind: 'bytes', length: values.length, nulls, data, offsets };
  return { ...plainType('text'), vector };
}

/** Integers, some beyond what a double counts where `isWide`. */
function integers(values: readonly (bigint | null)[], isWide: boolean): Values {
  if (!isWide) return fromScalars(values);
  const nulls = values.includes(null)
    ? Uint8Array.from(values, (value) => (value === null ? 1 : 0))
    : undefined;
  const words = BigInt64Array.from(values, (value) => value ?? 0n);
  return { ...plainType('integer'), vector: { kind: 'bigint', length: values.length, nulls, values: words } };
}

function text(scalar: Scalar | undefined): string {
  return scalar === null || scalar === undefined ? 'null' : `${typeof scalar}:${String(scalar)}`;
}

/** A model of numbers in the order of appearance. */
class Model {
  readonly keys = new Map<string, number>();

  add(key: string): number {
    const known = this.keys.get(key) ?? this.keys.size;
    this.keys.set(key, known);
    return known;
  }
}

const seed = 77;

describe('numbers of rows', () => {
  for (const odd of ['nothing', 'nulls', 'reals'] as const)
    it(`are those of the order of appearance, with ${odd} at the end (seed ${seed})`, () => {
      const random = new Random(seed);
      const rows = new RowNumbers(3);
      const model = new Model();
      for (let batch = 0; batch < 12; batch++) {
        const isOdd = odd !== 'nothing' && batch >= 8;
        // A REAL beyond 2^53 may equal an integer.
        const isWide = batch % 3 === 2 && !(isOdd && odd === 'reals');
        const first = random.times(4000, (): bigint | null => {
          if (isOdd && odd === 'nulls' && random.chance(0.1)) return null;
          const small = BigInt(random.int(30_000)) - 1000n;
          return isWide && random.chance(0.5) ? small * 2n ** 48n : small;
        });
        const second = random.times(4000, () => (random.chance(0.1) ? null : `t${random.int(3)}`));
        const third = random.times(4000, () => random.int(3) / 4 - 0.25);
        const own =
          isOdd && odd === 'reals'
            ? fromScalars(first.map((value) => Number(value) + 0.5))
            : integers(first, isWide);
        const scalars = toScalars(own);
        const numbers = rows.add([own, texts(second), fromScalars(third)], 4000);
        for (let i = 0; i < 4000; i++)
          if (numbers[i] !== model.add([text(scalars[i]), text(second[i]), text(third[i])].join()))
            throw new Error(`batch ${batch}, row ${i}: ${numbers[i]}`);
      }
      expect(rows.size).toBe(model.keys.size);
      const columns = rows.results().map((read) => toScalars(read()));
      const found = Array.from({ length: rows.size }, (_, i) =>
        columns.map((column) => text(column[i])).join(),
      );
      expect(found).toEqual([...model.keys.keys()]);
    });

  it('tell pairs of groups and values apart', () => {
    const rows = new RowNumbers(2);
    const numbers = Uint32Array.of(0, 1, 0, 1, 5);
    const own = fromScalars([7n, 7n, 7n, 70_000n, 7n]);
    expect([...rows.add([{ numbers, size: 6 }, own], 5)]).toEqual([0, 1, 0, 2, 3]);
    // Text where integers were: what is known keeps its number.
    expect([...rows.add([{ numbers: Uint32Array.of(5, 5), size: 6 }, texts(['7', 'x'])], 2)]).toEqual([4, 5]);
    expect([...rows.add([{ numbers, size: 6 }, own], 5)]).toEqual([0, 1, 0, 2, 3]);
    expect([...rows.numbersOf(0)]).toEqual([0, 1, 1, 5, 5, 5]);
  });
});

describe('numbers of values', () => {
  it('go on when integers leave the range that is found directly', () => {
    const keys = new KeyNumbers();
    expect([...keys.add(fromScalars([3n, null, -4n, 3n]))]).toEqual([1, 0, 2, 1]);
    expect([...keys.add(fromScalars([5n, 70_000n, 3n, null, 70_000n, -4n]))]).toEqual([3, 4, 1, 0, 4, 2]);
    expect([...keys.add(fromScalars([5n, 900_000n, 70_000n]))]).toEqual([3, 5, 4]);
    expect([...keys.add(fromScalars([5n, 2_000_000n, -4n, 900_000n, 6n]))]).toEqual([3, 6, 2, 5, 7]);
    expect(toScalars(keys.values())).toEqual([null, 3n, -4n, 5n, 70_000n, 900_000n, 2_000_000n, 6n]);
  });

  it(`know each of very many texts (seed ${seed})`, () => {
    const random = new Random(seed);
    const keys = new KeyNumbers();
    const model = new Model();
    for (let batch = 0; batch < 10; batch++) {
      const values = random.times(5000, () => `${'x'.repeat(random.int(60))}${random.int(400_000)}`);
      const numbers = keys.add(texts(values));
      values.forEach((value, i) => {
        if (numbers[i] !== model.add(value) + 1) throw new Error(`batch ${batch}, row ${i}: ${numbers[i]}`);
      });
    }
    expect(toScalars(keys.values()).slice(1)).toEqual([...model.keys.keys()]);
  });
});
