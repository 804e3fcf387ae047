import { fails, holds, listAll, same, text } from './assert.ts';
import type { Check } from './check.ts';
import { randomOf } from './random.ts';

/** Reading, writing and deleting whole files. */
export const contentChecks: readonly Check[] = [
  {
    name: 'reads back bytes, a buffer and text',
    async check(store) {
      const bytes = new Uint8Array([9, 0, 255, 128, 9]);
      await store.write('bytes', bytes.subarray(1, 4));
      await store.write('buffer', new Uint8Array([1, 2, 3]).buffer);
      await store.write('text', 'naïve 🎈');
      same(await store.read('bytes'), new Uint8Array([0, 255, 128]));
      same(await store.read('buffer'), new Uint8Array([1, 2, 3]));
      same(text(await store.read('text')), 'naïve 🎈');
    },
  },
  {
    name: 'has nothing where nothing was written',
    async check(store) {
      same(await store.read('a'), null);
      same(await store.read('a', { offset: 3, length: 0 }), null);
      same(await store.read('a', { offset: 3, length: 2 }), null);
      same(await store.readStream('a'), null);
      same(await store.readStream('a', { offset: 3, length: 0 }), null);
      same(await store.stat('a'), null);
      same(await store.exists('a'), false);
      same(await store.delete('a'), false);
      same(await store.list(), { files: [] });
    },
  },
  {
    name: 'says size, etag, time and tier, the same from write, stat and list',
    async check(store) {
      const before = Date.now();
      const written = await store.write('a/b', 'four');
      same(written.size, 4, 'the size');
      holds(/^[\w-]+$/.test(written.etag), `the etag ${written.etag} is of letters, digits, "_" and "-"`);
      holds(written.tier === 'hot' || written.tier === 'cold', 'the tier is hot or cold');
      holds(Math.abs(written.modified.getTime() - before) < 60_000, 'the time is that of the write');
      same(await store.stat('a/b'), written, 'what stat() says');
      const { nonce: _, ...listed } = written;
      const page = await store.list();
      holds(page.cursor === undefined, 'there is no second page');
      same(
        page.files.map(({ nonce: _, ...file }) => file),
        [{ path: 'a/b', ...listed }],
        'what list() says',
      );
      same(await store.exists('a/b'), true);
    },
  },
  {
    name: 'gives the nonce of the last write back, if it keeps nonces',
    async check(store) {
      const written = await store.write('a', 'x', { nonce: 'n-1_A' });
      holds(written.nonce === undefined || written.nonce === 'n-1_A', 'the nonce is that of the write');
      same((await store.stat('a'))?.nonce, written.nonce, 'the nonce of stat()');
      await store.write('a', 'x');
      holds(
        (await store.stat('a'))?.nonce !== 'n-1_A',
        'a write without a nonce takes the one before it away',
      );
      for (const nonce of ['', 'a b', 'x'.repeat(65)])
        await fails(store.write('a', 'y', { nonce }), 'BAD_PARAMETER', 'nonce');
      same(text(await store.read('a')), 'x');
    },
  },
  {
    name: 'replaces the whole file and changes its etag',
    async check(store) {
      const first = await store.write('a', 'a long first version');
      const second = await store.write('a', 'short');
      same(text(await store.read('a')), 'short');
      holds(second.etag !== first.etag, 'the etag has changed');
      same((await listAll(store)).length, 1);
    },
  },
  {
    name: 'deletes once',
    async check(store) {
      await store.write('a', 'x');
      await store.write('ab', 'y');
      same(await store.delete('a'), true);
      same(await store.delete('a'), false);
      same(await store.read('a'), null);
      same(text(await store.read('ab')), 'y');
    },
  },
  {
    name: 'keeps an empty file',
    async check(store) {
      same((await store.write('empty', '')).size, 0);
      const ranges = [undefined, { length: 0 }, { length: 5 }, { offset: 0 }, { offset: 7 }];
      for (const range of [...ranges, { offset: 7, length: 1 }])
        same(await store.read('empty', range), new Uint8Array(0), JSON.stringify(range));
      same(await store.exists('empty'), true);
    },
  },
  {
    name: 'does not share memory with its caller',
    async check(store) {
      const bytes = new Uint8Array([1, 2, 3]);
      await store.write('a', bytes);
      bytes.fill(7);
      (await store.read('a'))?.fill(8);
      same(await store.read('a'), new Uint8Array([1, 2, 3]));
    },
  },
  {
    name: 'reads any range as slice() would',
    async check(store, seed) {
      const random = randomOf(seed);
      const bytes = Uint8Array.from({ length: 50 }, (_, i) => i);
      await store.write('range', bytes);
      const bounds = [undefined, 0, 1, 48, 49, 50, 51, 60, Number.MAX_SAFE_INTEGER];
      for (const offset of bounds) {
        for (const length of [random.pick(bounds), random.below(50), undefined]) {
          const start = offset ?? 0;
          const wanted = bytes.slice(start, start + (length ?? 50));
          same(await store.read('range', { offset, length }), wanted, `${offset} to ${length}`);
        }
      }
    },
  },
  {
    name: 'refuses data of another length than said',
    async check(store) {
      same((await store.write('a', 'text', { size: 4 })).size, 4);
      await fails(store.write('a', 'x', { size: 0 }), 'BAD_PARAMETER', 'size', '1');
      await fails(store.write('a', 'x', { size: 2 }), 'BAD_PARAMETER', 'size', '2');
      for (const size of [-1, 0.5, NaN])
        await fails(store.write('a', 'x', { size }), 'BAD_PARAMETER', 'size');
      same(text(await store.read('a')), 'text');
    },
  },
];
