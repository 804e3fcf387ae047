import { describe, expect, it } from 'vitest';
import { foldBases, mergeCount, mergeRow, sameValue, UNDECIDED, type Cells } from './cells.ts';

const COLUMNS = ['id', 'a', 'b'];
const row = (...cells: Cells): Cells => cells;
const bytes = (...values: number[]): Uint8Array => new Uint8Array(values);

describe('values', () => {
  it.each([
    [1, 1, true],
    [1, 1n, true],
    [1n, 1, true],
    [0, -0, true],
    [1.5, 1n, false],
    [2 ** 53, 9007199254740993n, false],
    [9007199254740993n, 9007199254740993n, true],
    [Number.POSITIVE_INFINITY, 1n, false],
    [null, null, true],
    [null, 0, false],
    [null, '', false],
    ['1', 1, false],
    ['a', 'A', false],
    ['ä', 'a\u0308', false],
    [bytes(), bytes(), true],
    [bytes(1, 2), bytes(1, 2), true],
    [bytes(1, 2), bytes(1, 3), false],
    [bytes(1), bytes(1, 0), false],
    [bytes(97), 'a', false],
    ['a', bytes(97), false],
  ])('%o and %o are the same: %o', (a, b, same) => {
    expect(sameValue(a, b)).toBe(same);
    expect(sameValue(b, a)).toBe(same);
  });
});

describe('a row', () => {
  it('that only one side changed is that side’s', () => {
    expect(mergeRow(row(1, 1, 1), row(1, 2, 1), row(1, 1, 1), COLUMNS)).toEqual({
      kind: 'same',
      row: row(1, 2, 1),
    });
    expect(mergeRow(row(1, 1, 1), row(1, 1, 1), row(1, 2, 1), COLUMNS)).toEqual({
      kind: 'take',
      row: row(1, 2, 1),
    });
  });

  it('changed in different cells gets both', () => {
    expect(mergeRow(row(1, 1, 1), row(1, 2, 1), row(1, 1, null), COLUMNS)).toEqual({
      kind: 'merged',
      row: row(1, 2, null),
    });
  });

  it('changed to the same by both is no conflict, also in part', () => {
    expect(mergeRow(row(1, 1, 1), row(1, 2, 3), row(1, 2, 3), COLUMNS)).toEqual({
      kind: 'same',
      row: row(1, 2, 3),
    });
    expect(mergeRow(row(1, 1, 1), row(1, 2, 1), row(1, 2, 3), COLUMNS)).toEqual({
      kind: 'take',
      row: row(1, 2, 3),
    });
  });

  it('changed in one cell to different values conflicts there, and merges in the others', () => {
    expect(mergeRow(row(1, 1, 1, 1), row(1, 2, 5, 1), row(1, 3, 1, 7), [...COLUMNS, 'c'])).toEqual({
      kind: 'conflict',
      row: row(1, 2, 5, 7),
      theirRow: row(1, 3, 5, 7),
      columns: ['a'],
    });
  });

  it('that one side deleted and the other left goes', () => {
    expect(mergeRow(row(1, 1, 1), row(1, 1, 1), undefined, COLUMNS)).toEqual({
      kind: 'take',
      row: undefined,
    });
    expect(mergeRow(row(1, 1, 1), undefined, row(1, 1, 1), COLUMNS)).toEqual({
      kind: 'same',
      row: undefined,
    });
    expect(mergeRow(row(1, 1, 1), undefined, undefined, COLUMNS)).toEqual({ kind: 'same', row: undefined });
  });

  it('that one side deleted and the other changed is a conflict about the changed columns', () => {
    expect(mergeRow(row(1, 1, 1), undefined, row(1, 2, 1), COLUMNS)).toEqual({
      kind: 'conflict',
      row: undefined,
      theirRow: row(1, 2, 1),
      columns: ['a'],
    });
    expect(mergeRow(row(1, 1, 1), row(1, 1, 2), undefined, COLUMNS)).toEqual({
      kind: 'conflict',
      row: row(1, 1, 2),
      theirRow: undefined,
      columns: ['b'],
    });
  });

  it('that both inserted is no conflict when equal, else one about the columns that differ', () => {
    expect(mergeRow(undefined, row(1, 1.5, null), row(1, 1.5, null), COLUMNS)).toEqual({
      kind: 'same',
      row: row(1, 1.5, null),
    });
    expect(mergeRow(undefined, row(1, 1, null), row(1, 2, null), COLUMNS)).toEqual({
      kind: 'conflict',
      row: row(1, 1, null),
      theirRow: row(1, 2, null),
      columns: ['a'],
    });
    expect(mergeRow(undefined, row(1, '{"a":1}', 1), row(1, '{"b":1}', 1), COLUMNS)).toMatchObject({
      kind: 'conflict',
      columns: ['a'],
    });
  });

  it('that one side inserted is taken', () => {
    expect(mergeRow(undefined, undefined, row(1, 1, 1), COLUMNS)).toEqual({
      kind: 'take',
      row: row(1, 1, 1),
    });
    expect(mergeRow(undefined, row(1, 1, 1), undefined, COLUMNS)).toEqual({
      kind: 'same',
      row: row(1, 1, 1),
    });
  });

  it('does not conflict where a REAL cell holds an integral value', () => {
    expect(mergeRow(row(1, 2, 1), row(1, 2n, 5), row(1, 2, 1), COLUMNS).kind).toBe('same');
    expect(mergeRow(row(1n, 2, 'x'), row(1, 2n, 'y'), row(1, 3, 'x'), COLUMNS)).toEqual({
      kind: 'merged',
      row: row(1, 3, 'y'),
    });
  });

  it('takes columns of any name', () => {
    expect(mergeRow(row(1), row(2), row(3), ['__proto__'])).toMatchObject({ columns: ['__proto__'] });
  });
});

describe('a base made of several', () => {
  it('is what they agree about', () => {
    expect(foldBases(row(1, 1, 1), row(1, 2, 1), row(1, 1, 3))).toEqual(row(1, 2, 3));
    expect(foldBases(row(1, 1, 1), undefined, row(1, 1, 1))).toBe(undefined);
    expect(foldBases(undefined, row(1, 1, 1), undefined)).toEqual(row(1, 1, 1));
  });

  it('is undecided where they do not agree, and then only equal sides do', () => {
    const base = foldBases(row(1, 1, 1), row(1, 2, 1), row(1, 3, 1));
    expect(base).toEqual([1, UNDECIDED, 1]);
    expect(mergeRow(base, row(1, 1, 1), row(1, 3, 1), COLUMNS)).toMatchObject({
      kind: 'conflict',
      columns: ['a'],
    });
    expect(mergeRow(base, row(1, 4, 1), row(1, 4, 2), COLUMNS)).toEqual({ kind: 'take', row: row(1, 4, 2) });
    expect(foldBases(row(1, 1, 1), base, row(1, 1, 5))).toEqual([1, UNDECIDED, 5]);
    expect(foldBases(base, row(1, 1, 1), row(1, 1, 1))).toEqual(row(1, 1, 1));
  });

  it('is undecided as a whole where one deleted the row and another changed it', () => {
    const base = foldBases(row(1, 1, 1), undefined, row(1, 3, 1));
    expect(base).toBe(UNDECIDED);
    expect(mergeRow(base, undefined, undefined, COLUMNS)).toEqual({ kind: 'same', row: undefined });
    expect(mergeRow(base, row(1, 1, 1), undefined, COLUMNS).kind).toBe('conflict');
    expect(mergeRow(base, row(1, 1, 1), row(1, 1, 1), COLUMNS).kind).toBe('same');
  });
});

describe('equal rows of a table without a key', () => {
  it.each([
    [0, 1, 1, 2],
    [1, 1, 3, 3],
    [2, 0, 2, 0],
    [2, 1, 1, 0],
    [1, 0, 0, 0],
    [3, 4, 2, 3],
  ])('%i in the base, %i ours and %i theirs make %i', (base, ours, theirs, count) => {
    expect(mergeCount(base, ours, theirs)).toBe(count);
  });
});
