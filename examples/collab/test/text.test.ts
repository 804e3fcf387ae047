import { assert, constantFrom, property, string, tuple } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { between, MAX_POSITION_LENGTH, spread } from '../src/position.ts';
import { applyChange, diff, mergeText, moved, overlap, transform } from '../src/text.ts';

/** Short texts of few characters, one of which takes two units, so that they have much in common. */
const text = string({ unit: constantFrom('a', 'b', ' ', '😀', '😁', 'é'), maxLength: 12 });

describe('changes of text', () => {
  it('lead from one text to the other, and cut no character in half', () => {
    assert(
      property(text, text, (before, after) => {
        const change = diff(before, after);
        expect(applyChange(before, change)).toBe(after);
        for (const [, , insert] of change) expect(insert.isWellFormed()).toBe(true);
      }),
    );
  });

  it('that were made at the same time go together, and neither is lost', () => {
    assert(
      property(tuple(text, text, text), ([base, ours, theirs]) => {
        const merged = applyChange(ours, transform(diff(base, theirs), diff(base, ours)));
        expect(merged).toBe(mergeText(base, ours, theirs));
        const inserted = [...diff(base, ours), ...diff(base, theirs)].map(([, , insert]) => insert);
        for (const insert of inserted) expect(merged).toContain(insert);
      }),
    );
  });

  it.each([
    ['the fox', 'the quick fox', 'the fox jumps', 'the quick fox jumps'],
    ['one two three', 'one three', 'one two three four', 'one three four'],
    // At one place, the one that the server had first comes first.
    ['ab', 'a1b', 'a2b', 'a12b'],
    // What is put into what the other takes out stays.
    ['abcdef', 'af', 'abcXdef', 'aXf'],
    // What both have done is done once.
    ['a b c', 'a c', 'a c', 'a c'],
    ['', 'x', 'y', 'xy'],
    // What is written where a word begins stays whole, also when it begins as that word does.
    ['three', 'two three', 'ten three', 'two ten three'],
  ])('of %j, %j and %j come to %j', (base, ours, theirs, merged) => {
    expect(mergeText(base, ours, theirs)).toBe(merged);
  });

  it('that do not fit a text are told', () => {
    for (const change of [
      [[0, 4, '']],
      [[4, 0, 'x']],
      [
        [2, 1, ''],
        [1, 0, 'x'],
      ],
    ] as const)
      expect(applyChange('abc', change)).toBe(undefined);
  });

  it('are about the same words, or not', () => {
    const overlaps = (base: string, ours: string, theirs: string): boolean =>
      overlap(diff(base, ours), diff(base, theirs));
    expect(overlaps('pay 10 euros', 'pay 20 euros', 'pay 30 euros')).toBe(true);
    expect(overlaps('the fox jumps', 'the quick fox jumps', 'the fox jumps high')).toBe(false);
    expect(overlaps('one two three', 'two three', 'one two')).toBe(false);
  });

  it('move places along', () => {
    expect([0, 3, 5].map((place) => moved(place, [[3, 0, 'xx']]))).toEqual([0, 5, 7]);
    expect([0, 2, 3, 5].map((place) => moved(place, [[1, 3, 'x']]))).toEqual([0, 2, 2, 3]);
  });
});

describe('positions', () => {
  it('are always between two others, wherever blocks are put in', () => {
    const positions: string[] = [];
    for (let i = 0; i < 2_000; i++) {
      const at = (i * 7919) % (positions.length + 1);
      const [before = '', after] = [positions[at - 1], positions[at]];
      const position = between(before, after);
      expect(position > before && (after === undefined || position < after)).toBe(true);
      positions.splice(at, 0, position);
    }
    expect(Math.max(...positions.map(({ length }) => length))).toBeLessThan(20);
  });

  it('stay short at the end, and last for hundreds at one place', () => {
    let last = '';
    for (let i = 0; i < 10_000; i++) {
      const next = between(last, undefined);
      expect(next > last).toBe(true);
      last = next;
    }
    expect(last.length).toBeLessThanOrEqual(4);
    let [after, count] = ['W', 0];
    for (; after.length <= MAX_POSITION_LENGTH; count++) after = between('V', after);
    expect(count).toBeGreaterThan(300);
  });

  it('are evenly apart when they are given anew', () => {
    const positions = spread(5_000);
    expect(positions).toEqual([...new Set(positions)].sort());
  });
});
