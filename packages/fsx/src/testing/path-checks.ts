import { fails, pathsOf, same, text } from './assert.ts';
import type { Check } from './check.ts';

const refused = [
  '',
  '/',
  'a//b',
  'a/',
  '.',
  '..',
  'a/../b',
  './a',
  'a\\b',
  'a\0',
  'a/%2e%2E/b',
  '%2Fa',
  'a%5c',
  '\ud800',
  'x'.repeat(1025),
];

/** Which paths there are, and which options. */
export const pathChecks: readonly Check[] = [
  {
    name: 'takes one leading slash off a path',
    async check(store) {
      await store.write('/a/b', 'x');
      same(text(await store.read('a/b')), 'x');
      same(await pathsOf(store), ['a/b']);
      same(await store.delete('/a/b'), true);
    },
  },
  {
    name: 'takes paths with any text, and tells all of them apart',
    async check(store) {
      const paths = [
        `${'é'.repeat(400)}/x`,
        '%'.repeat(700),
        `${'a'.repeat(600)}/${'b'.repeat(100)}`,
        '__proto__',
        'constructor',
        "o'clock; DROP TABLE x --",
        'a\nb',
        '...',
        'a.',
        'a ',
        ' a',
        '%20',
        '%',
        '%%',
        '%+',
        '^a',
        'con',
        'nul.txt',
        'a:b',
        '*?"<>|',
        '~',
        'tmp',
        '%tmp/a',
        '-r',
        'a',
        'a/b',
        'a/b/c',
        'A',
        'A/b',
        'a/B',
        'é',
        'e\u0301',
        'ﬀ',
        'ff',
        'ß',
        'ss',
        'ı',
        'i',
        'İ',
      ];
      for (const path of paths) await store.write(path, `<${path}>`);
      for (const path of paths) same(text(await store.read(path)), `<${path}>`, path);
      same((await pathsOf(store)).length, paths.length, 'how many are listed');
      for (const path of paths) same(await store.delete(path), true, `deleting ${path}`);
      same(await pathsOf(store), []);
    },
  },
  {
    name: 'refuses a path that could mean another',
    async check(store) {
      for (const path of refused) {
        await fails(store.read(path), 'INVALID_PATH');
        await fails(store.readStream(path), 'INVALID_PATH');
        await fails(store.write(path, 'x'), 'INVALID_PATH');
        await fails(store.delete(path), 'INVALID_PATH');
        await fails(store.stat(path), 'INVALID_PATH');
        await fails(store.exists(path), 'INVALID_PATH');
      }
      for (const prefix of ['..', '../', 'a//', 'a/../', '%2e%2e', 'a\\'])
        await fails(store.list(prefix), 'INVALID_PATH');
      same(await pathsOf(store), []);
    },
  },
  {
    name: 'refuses parameters out of range and names them',
    async check(store) {
      await store.write('a', 'x');
      for (const offset of [-1, 0.5, NaN, Infinity])
        await fails(store.read('a', { offset }), 'BAD_PARAMETER', 'offset', String(offset));
      for (const length of [-1, 0.5, NaN])
        await fails(store.read('a', { length }), 'BAD_PARAMETER', 'length', String(length));
      for (const limit of [0, 1001, 1.5])
        await fails(store.list('', { limit }), 'BAD_PARAMETER', 'limit', String(limit));
      for (const ifMatch of ['', '*', '"a"'])
        await fails(store.write('a', 'y', { ifMatch }), 'BAD_PARAMETER', 'ifMatch');
      await fails(store.write('a', 'y', { ifMatch: 'b', ifAbsent: true }), 'BAD_PARAMETER', 'ifAbsent');
      await fails(store.write('a', 7 as unknown as string), 'BAD_PARAMETER', 'data', '7');
      await fails(store.write('a', '\udc00'), 'BAD_PARAMETER', 'surrogate');
      await fails(store.list('', { cursor: 'x'.repeat(2000) }), 'BAD_PARAMETER', 'cursor');
      same(text(await store.read('a')), 'x');
    },
  },
];
