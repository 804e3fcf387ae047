import { describe, expect, it } from 'vitest';
import { parseGlob } from './glob.ts';

describe('a pattern', () => {
  it.each([
    ['a.csv', 'a.csv', 'b.csv a.csv/x'],
    ['*.csv', 'a.csv .csv ü𝄞.csv', 'a.csvx b/a.csv a.CSV'],
    ['a*b*c', 'abc aXbYc abbbc aabbcc', 'ab acb abcX'],
    ['a/*/c', 'a/b/c a//c', 'a/c a/b/b/c'],
    ['**/x', 'x a/x a/b/x', 'y x/y'],
    ['a/**/x', 'a/x a/b/x a/b/c/x', 'b/x a/xx x'],
    ['a/**', 'a/b a/b/c', 'a b/a'],
    ['**', 'a a/b', ''],
    ['**/b/**/d', 'b/d a/b/c/d b/x/b/y/d', 'a/d b/c'],
    ['a**b', 'ab axb', 'a/b'],
    ['?.csv', 'a.csv 𝄞.csv', '.csv ab.csv'],
    ['[a-c]x', 'ax bx cx', 'dx Ax x'],
    ['[!a-c]x', 'dx -x', 'ax'],
    ['[^a]x', 'bx', 'ax ^x/'],
    ['[]]x', ']x', 'x'],
    ['[*]x', '*x', 'ax'],
    ['[a-]x', 'ax -x', 'bx'],
    ['[a', '[a', 'a'],
    ['{a,b}.csv', 'a.csv b.csv', 'c.csv {a,b}.csv'],
    ['{a,b{c,d}}x', 'ax bcx bdx', 'bx'],
    ['{a/b,c}/*.csv', 'a/b/x.csv c/x.csv', 'a/x.csv'],
    ['{,a}b', 'b ab', 'a'],
    ['{a}', '{a}', 'a'],
    ['{a,b', '{a,b', 'a b'],
    ['[{]a,b}', '{a,b}', 'a b'],
    ['x=1/*.p', 'x=1/a.p', 'x=12/a.p'],
  ])('%s matches %j and not %j', (pattern, matching, others) => {
    const glob = parseGlob(pattern);
    for (const path of matching.split(' ')) {
      expect(glob.matches(path), path).toBe(true);
      expect(path.startsWith(glob.prefix), glob.prefix).toBe(true);
    }
    for (const path of others.split(' ').filter((each) => each !== ''))
      expect(glob.matches(path), path).toBe(false);
  });

  it.each([
    ['a/b.csv', 'a/b.csv', true],
    ['a/[[]1].csv', 'a/[1].csv', true],
    ['a/b*.csv', 'a/b', false],
    ['a/*/c', 'a/', false],
    ['a/**/c', 'a/', false],
    ['*', '', false],
    ['a/x{1,2}/*', 'a/x', false],
    ['{a,b}/c', '', false],
    ['a/{𝄞,𝄢}', 'a/', false],
  ])('%s looks below %j', (pattern, prefix, isLiteral) => {
    expect(parseGlob(pattern)).toMatchObject({ prefix, isLiteral });
  });

  it('is matched in little time however many stars it has', () => {
    const start = Date.now();
    for (const pattern of [`${'*a'.repeat(400)}b`, `${'**/a/'.repeat(200)}b`, `${'?*'.repeat(300)}b`]) {
      const glob = parseGlob(pattern);
      for (let i = 0; i < 20; i++) {
        expect(glob.matches('a'.repeat(1024))).toBe(false);
        expect(glob.matches('a/'.repeat(500))).toBe(false);
      }
    }
    expect(Date.now() - start).toBeLessThan(5_000);
  });

  it('has few alternatives', () => {
    expect(parseGlob('{1,2,3,4}{1,2,3,4}{1,2,3,4}{1,2,3,4}').matches('1432')).toBe(true);
    expect(() => parseGlob('{1,2}'.repeat(9))).toThrow(/BAD_PARAMETER.*more than 256/);
    expect(() => parseGlob(`${'{'.repeat(1500)}a${',b}'.repeat(1500)}`)).toThrow(/BAD_PARAMETER/);
  });
});
