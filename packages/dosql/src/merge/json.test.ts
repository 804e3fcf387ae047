import { describe, expect, it } from 'vitest';
import { mergeJson } from './json.ts';

describe('JSON objects', () => {
  it.each<[string, string, string, string, string | undefined]>([
    ['keys added on both sides', '{}', '{"a":1}', '{"b":2}', '{"a":1,"b":2}'],
    ['different keys changed', '{"a":1,"b":1}', '{"a":2,"b":1}', '{"a":1,"b":2}', '{"a":2,"b":2}'],
    ['one key changed differently', '{"a":1}', '{"a":2}', '{"a":3}', undefined],
    ['one key changed alike', '{"a":1,"b":1}', '{"a":2,"b":1}', '{"a":2.0,"b":5}', '{"a":2,"b":5}'],
    ['a key removed on one side', '{"a":1,"b":1}', '{"b":1}', '{"a":1,"b":2}', '{"b":2}'],
    ['a key removed and changed', '{"a":1,"b":1}', '{"b":1}', '{"a":2,"b":1}', undefined],
    ['a key changed and removed', '{"a":1,"b":1}', '{"a":2,"b":1}', '{"b":1}', undefined],
    ['a key removed on both sides', '{"a":1,"b":1}', '{"b":2}', '{"c":1,"b":1}', '{"b":2,"c":1}'],
    ['everything removed', '{"a":1,"b":1}', '{"a":1}', '{"b":1}', '{}'],
    ['the same key added with different values', '{}', '{"a":1}', '{"a":2}', undefined],
    [
      'objects in objects',
      '{"a":{"x":1,"y":1}}',
      '{"a":{"x":2,"y":1}}',
      '{"a":{"x":1,"y":2}}',
      '{"a":{"x":2,"y":2}}',
    ],
    ['objects added for one key', '{}', '{"a":{"x":1}}', '{"a":{"y":1}}', undefined],
    ['arrays are taken as a whole', '{"a":[1]}', '{"a":[1,2]}', '{"a":[0,1]}', undefined],
    [
      'one array, another key',
      '{"a":[1],"b":1}',
      '{"a":[1,2],"b":1}',
      '{"a":[1],"b":2}',
      '{"a":[1,2],"b":2}',
    ],
    ['an object against a scalar', '{"a":{"x":1}}', '{"a":{"x":2}}', '{"a":1}', undefined],
    ['null against absent', '{"a":null,"b":1}', '{"b":1}', '{"a":null,"b":2}', '{"b":2}'],
    [
      'integers past doubles',
      '{"n":9007199254740993,"b":1}',
      '{"n":9007199254740993,"b":2}',
      '{"n":9007199254740993,"c":9223372036854775807,"b":1}',
      '{"n":9007199254740993,"b":2,"c":9223372036854775807}',
    ],
    [
      'integers that doubles cannot tell apart',
      '{"n":9007199254740992}',
      '{"n":9007199254740993}',
      '{"n":9007199254740994}',
      undefined,
    ],
    [
      'decimals',
      '{"a":0.1,"b":1}',
      '{"a":0.1000,"b":2}',
      '{"a":0.10000000000000000001,"b":1}',
      '{"a":0.10000000000000000001,"b":2}',
    ],
    [
      'equal numbers in other spellings',
      '{"a":100,"b":1}',
      '{"a":1e2,"b":2}',
      '{"a":100.0,"b":1}',
      '{"a":1e2,"b":2}',
    ],
    [
      'escaped keys',
      String.raw`{"a":1,"é\"":1}`,
      String.raw`{"\u0061":2,"é\"":1}`,
      String.raw`{"a":1,"\u00e9\"":2}`,
      String.raw`{"\u0061":2,"é\"":2}`,
    ],
    [
      'brackets in strings',
      '{"a":"}","b":1}',
      '{"a":"]}{","b":1}',
      '{"a":"}","b":"\\\\"}',
      '{"a":"]}{","b":"\\\\"}',
    ],
    [
      '__proto__ as a key',
      '{"__proto__":1,"a":1}',
      '{"__proto__":2,"a":1}',
      '{"__proto__":1,"a":2,"constructor":3}',
      '{"__proto__":2,"a":2,"constructor":3}',
    ],
    ['a key given twice', '{"a":1,"a":2}', '{"a":1,"a":2,"b":1}', '{"a":1,"a":2,"c":1}', undefined],
    [
      'a key given twice further in',
      '{"x":{"a":1,"a":2},"b":1}',
      '{"x":{"a":1,"a":2},"b":2}',
      '{"x":{"a":1,"a":3},"b":1}',
      '{"x":{"a":1,"a":3},"b":2}',
    ],
    [
      'white space and order do not count',
      '{"a":1,"b":{"c":[1,2]}}',
      '{ "b" : { "c" : [ 1, 2 ] } , "a" : 1 }',
      '{"a":1,"b":{"c":[1,2]},"d":4}',
      '{ "b" : { "c" : [ 1, 2 ] } , "a" : 1 , "d":4 }',
    ],
    ['invalid JSON', '{"a":1}', '{"a":1,}', '{"a":2}', undefined],
    ['JSON5', '{"a":1}', '{a:1}', '{"a":2}', undefined],
    ['an array at the top', '[1]', '[1,2]', '[0,1]', undefined],
    ['text', 'a', 'b', 'c', undefined],
    ['an empty text', '{}', '', '{"a":1}', undefined],
    ['a base that is none', 'null', '{"a":1}', '{"b":1}', undefined],
    ['unicode', '{"💥":"ä"}', '{"💥":"ö"}', '{"💥":"ä","ü":"\\ud83d"}', '{"💥":"ö","ü":"\\ud83d"}'],
  ])('%s', (_, base, ours, theirs, merged) => {
    expect(mergeJson(base, ours, theirs)).toBe(merged);
  });

  it('keep their looks', () => {
    const base = '{\n  "a": 1,\n  "b": 2\n}';
    expect(mergeJson(base, '{\n  "a": 9,\n  "b": 2\n}', '{"a":1,"b":2,"c":3}')).toBe(
      '{\n  "a": 9,\n  "b": 2,\n  "c":3\n}',
    );
    expect(mergeJson('{"a":1}', '{ "a" :  1 }', '{"a":1.0}')).toBe('{ "a" :  1 }');
  });

  it('that are very deep or very large are merged without exhausting the stack', () => {
    const deep = (n: number, leaf: string): string => '{"a":'.repeat(n) + leaf + '}'.repeat(n);
    expect(mergeJson(deep(60, '{}'), deep(60, '{"x":1}'), deep(60, '{"y":1}'))).toBe(
      deep(60, '{"x":1,"y":1}'),
    );
    expect(mergeJson(deep(5_000, '{}'), deep(5_000, '{"x":1}'), deep(5_000, '{"y":1}'))).toBe(undefined);
    const wide = (last: string): string =>
      `{${Array.from({ length: 20_000 }, (_, i) => `"k${i}":${i}`).join()},${last}}`;
    expect(mergeJson(wide('"x":1,"y":1'), wide('"x":2,"y":1'), wide('"x":1,"y":2'))).toBe(
      wide('"x":2,"y":2'),
    );
  });
});
