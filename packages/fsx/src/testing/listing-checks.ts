import { comparePaths } from '../path.ts';
import { holds, pathsOf, same } from './assert.ts';
import type { Check } from './check.ts';

/** Listing: order, pages, prefixes. */
export const listingChecks: readonly Check[] = [
  {
    name: 'lists in the order of UTF-8 bytes, also above U+FFFF',
    async check(store) {
      const plain = ['A', 'B/a', 'a', 'a b', 'a!', 'a/b', 'a/c/d', 'a0', 'aa', '__proto__'];
      const paths = [...plain, 'é', '\u{ff01}', '\u{1f388}', '\u{10ffff}'];
      for (const path of paths) await store.write(path, path);
      const listed = await pathsOf(store);
      same(listed, [...paths].sort(comparePaths));
      same(listed.slice(-3), ['\u{ff01}', '\u{1f388}', '\u{10ffff}']);
      same(await pathsOf(store, '', { limit: 3 }), listed);
    },
  },
  {
    name: 'pages through a listing whatever the limit',
    async check(store) {
      const paths = Array.from({ length: 13 }, (_, i) => `p/${String(i).padStart(2, '0')}`);
      for (const path of ['o', ...paths, 'q']) await store.write(path, '');
      for (const limit of [1, 4, 12, 13, 1000]) {
        const first = await store.list('p/', { limit });
        holds(first.files.length <= limit, `no more than ${limit} files are on a page`);
        same(await pathsOf(store, 'p/', { limit }), paths, `pages of ${limit}`);
      }
    },
  },
  {
    name: 'goes on with a listing after files came and went',
    async check(store) {
      for (const path of ['b', 'd', 'f']) await store.write(path, '');
      const { cursor } = await store.list('', { limit: 2 });
      await store.delete('d');
      for (const path of ['a', 'e']) await store.write(path, '');
      const { files } = await store.list('', { cursor });
      same(
        files.map((file) => file.path),
        ['e', 'f'],
      );
    },
  },
  {
    name: 'lists what starts with the prefix, which need not end at a slash',
    async check(store) {
      for (const path of ['log', 'log/1', 'log/2', 'log2', 'lag', '%_', '%a']) await store.write(path, '');
      same(await pathsOf(store, 'log/'), ['log/1', 'log/2']);
      same(await pathsOf(store, '/log'), ['log', 'log/1', 'log/2', 'log2']);
      same(await pathsOf(store, 'log/2'), ['log/2']);
      same(await pathsOf(store, '%_'), ['%_']);
      same(await pathsOf(store, 'm'), []);
      same(await pathsOf(store, 'log/1/'), []);
    },
  },
];
