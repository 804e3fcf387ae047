import { fails, same, text } from './assert.ts';
import type { Check } from './check.ts';

/** `ifAbsent` and `ifMatch`. */
export const conditionChecks: readonly Check[] = [
  {
    name: 'writes with ifAbsent only where there is no file',
    async check(store) {
      await store.write('a', 'first', { ifAbsent: true });
      const second = store.write('a', 'second', { ifAbsent: true });
      await fails(second, 'PRECONDITION_FAILED', '"a"', 'without ifAbsent');
      same(text(await store.read('a')), 'first');
      await store.delete('a');
      await store.write('a', 'third', { ifAbsent: true });
      await store.write('a', 'fourth', { ifAbsent: false });
      same(text(await store.read('a')), 'fourth');
    },
  },
  {
    name: 'writes with ifMatch only over that version',
    async check(store) {
      const { etag } = await store.write('a', 'first');
      const second = await store.write('a', 'second', { ifMatch: etag });
      const third = store.write('a', 'third', { ifMatch: etag });
      await fails(third, 'PRECONDITION_FAILED', '"a"', etag, 'read it again');
      same(text(await store.read('a')), 'second');
      await store.delete('a');
      await fails(store.write('a', 'fourth', { ifMatch: second.etag }), 'PRECONDITION_FAILED');
      same(await store.exists('a'), false);
    },
  },
  {
    name: 'lets one of many conditional writes through',
    async check(store) {
      const writers = Array.from({ length: 8 }, (_, i) => `writer ${i}`);
      const race = async (condition: { ifAbsent: true } | { ifMatch: string }): Promise<string[]> => {
        const results = await Promise.allSettled(
          writers.map((writer) => store.write('a', writer, condition)),
        );
        return writers.filter((_, i) => results[i]?.status === 'fulfilled');
      };
      const created = await race({ ifAbsent: true });
      same(created.length, 1, 'how many made the file');
      same(text(await store.read('a')), created[0]);
      const stat = await store.write('a', 'no writer');
      const replaced = await race({ ifMatch: stat.etag });
      same(replaced.length, 1, 'how many replaced the file');
      same(text(await store.read('a')), replaced[0]);
    },
  },
];
