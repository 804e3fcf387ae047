import { comparePaths } from '../path.ts';
import { fails, listAll, same, streamed, text } from './assert.ts';
import type { Check } from './check.ts';
import { randomOf } from './random.ts';

/** Sequences of operations by chance, held against a map. */
export const modelChecks: readonly Check[] = [
  {
    name: 'agrees with a map after any sequence of operations',
    times: 8,
    async check(store, seed) {
      const random = randomOf(seed);
      const model = new Map<string, { body: string; etag: string }>();
      for (let i = 0; i < 12; i++) {
        const path = random.pick(['a', 'a/b', 'b', 'c']);
        const kind = random.pick(['write', 'stream', 'create', 'replace', 'delete']);
        const before = model.get(path);
        if (kind === 'delete') same(await store.delete(path), model.delete(path), `deleting ${path}`);
        else {
          const body = `${i}`.padEnd(random.below(40), '.');
          const condition =
            kind === 'create'
              ? { ifAbsent: true }
              : kind === 'replace'
                ? { ifMatch: before?.etag ?? 'none' }
                : {};
          const data = kind === 'stream' ? streamed(new TextEncoder().encode(body), 7) : body;
          const isAllowed =
            !('ifAbsent' in condition || 'ifMatch' in condition) ||
            (kind === 'create') === (before === undefined);
          if (isAllowed) model.set(path, { body, etag: (await store.write(path, data, condition)).etag });
          else await fails(store.write(path, data, condition), 'PRECONDITION_FAILED');
        }
        same(text(await store.read(path)), model.get(path)?.body ?? null, `${path} after step ${i}`);
        same((await store.stat(path))?.etag, model.get(path)?.etag, `the etag of ${path} after step ${i}`);
      }
      const listed = (await listAll(store, '', { limit: 2 })).map(({ path, etag }) => [path, etag]);
      const wanted = [...model].map(([path, { etag }]) => [path, etag]);
      same(
        listed,
        wanted.sort(([a], [b]) => comparePaths(String(a), String(b))),
        'the listing',
      );
    },
  },
];
