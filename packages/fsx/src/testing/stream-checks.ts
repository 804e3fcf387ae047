import { bytesOf, fails, holds, pathsOf, pattern, same, streamed, text } from './assert.ts';
import type { Check } from './check.ts';
import { randomOf } from './random.ts';

/** A stream that tells whether it was cancelled: longer than what any store has to hold in memory. */
function watched(): { stream: ReadableStream<Uint8Array>; isCancelled: () => boolean } {
  let isCancelled = false;
  let pieces = 16;
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      if (pieces-- > 0) controller.enqueue(new Uint8Array(1_000_000));
      else controller.close();
    },
    cancel: () => void (isCancelled = true),
  });
  return { stream, isCancelled: () => isCancelled };
}

/** Writing from and reading as streams. */
export const streamChecks: readonly Check[] = [
  {
    name: 'writes streams in pieces of any size, with and without their length',
    async check(store, seed) {
      const random = randomOf(seed);
      for (const size of [0, 1, 999, 70_000, 200_001]) {
        const bytes = pattern(size, seed);
        for (const options of [{}, { size }]) {
          const stat = await store.write('a', streamed(bytes, 1 + random.below(90_000)), options);
          same(stat.size, size, 'the size');
          same(await store.stat('a'), stat, 'what stat() says');
          same(await store.read('a'), bytes, 'what was written');
          same(await bytesOf(await store.readStream('a')), bytes, 'what is streamed');
        }
      }
    },
  },
  {
    name: 'writes a stream that is longer than what is held in memory',
    async check(store) {
      const bytes = pattern(9 * 1024 * 1024 + 5);
      const first = await store.write('a', streamed(bytes, 3_000_000), { ifAbsent: true, nonce: 'n' });
      same(first.size, bytes.length);
      same(await bytesOf(await store.readStream('a')), bytes, 'what is streamed');
      const second = await store.write('a', streamed(bytes.subarray(1), 3_000_000), {
        ifMatch: first.etag,
        size: bytes.length - 1,
      });
      same(await bytesOf(await store.readStream('a')), bytes.subarray(1), 'what is streamed');
      await fails(
        store.write('a', streamed(bytes, 3_000_000), { ifMatch: first.etag }),
        'PRECONDITION_FAILED',
      );
      same((await store.stat('a'))?.etag, second.etag);
      const end = (): Promise<void> => Promise.reject(new Error('the line went dead'));
      await fails(store.write('a', streamed(bytes, 3_000_000, end)), 'STREAM_FAILED', 'the line went dead');
      const size = bytes.length + 1;
      await fails(store.write('a', streamed(bytes, 3_000_000), { size }), 'BAD_PARAMETER', 'size');
      same(await store.stat('a'), second, 'what is left');
    },
  },
  {
    name: 'streams any range as slice() would',
    async check(store, seed) {
      const random = randomOf(seed);
      const bytes = pattern(150_000);
      await store.write('a', bytes);
      const bounds = [0, 1, 65_535, 65_536, 149_999, 150_000, 150_001, Number.MAX_SAFE_INTEGER];
      for (const offset of bounds) {
        const length = random.pick([undefined, ...bounds]);
        const wanted = bytes.slice(offset, offset + (length ?? bytes.length));
        same(
          await bytesOf(await store.readStream('a', { offset, length })),
          wanted,
          `${offset} to ${length}`,
        );
      }
      await fails(store.readStream('a', { offset: -1 }), 'BAD_PARAMETER', 'offset');
      await fails(store.readStream('a', { length: 0.5 }), 'BAD_PARAMETER', 'length');
    },
  },
  {
    name: 'leaves the file as it was where the stream fails',
    async check(store) {
      const before = await store.write('a', 'before');
      const end = (): Promise<void> => Promise.reject(new Error('the line went dead'));
      for (const size of [0, 10, 100_000]) {
        await fails(
          store.write('a', streamed(pattern(size), 1000, end)),
          'STREAM_FAILED',
          'the line went dead',
        );
        await fails(store.write('b', streamed(pattern(size), 1000, end), { size }), 'STREAM_FAILED');
      }
      for (const size of [9, 11]) {
        await fails(store.write('a', streamed(pattern(10)), { size }), 'BAD_PARAMETER', 'size');
        await fails(store.write('b', streamed(pattern(10), 3), { size }), 'BAD_PARAMETER', 'size');
      }
      same(await pathsOf(store), ['a'], 'the listing');
      same(await store.stat('a'), before, 'what is left');
    },
  },
  {
    name: 'holds a stream to its condition, at the end as at the start',
    async check(store) {
      const { etag } = await store.write('a', 'before');
      await fails(store.write('a', streamed(pattern(10)), { ifAbsent: true }), 'PRECONDITION_FAILED', '"a"');
      await fails(store.write('b', streamed(pattern(10)), { ifMatch: etag }), 'PRECONDITION_FAILED', '"b"');
      const written = await store.write('a', streamed(pattern(10)), { ifMatch: etag });
      same((await store.stat('a'))?.etag, written.etag);
      await fails(store.write('a', streamed(pattern(9)), { ifMatch: etag }), 'PRECONDITION_FAILED');
      same(await store.read('a'), pattern(10));
      same(await store.exists('b'), false);
    },
  },
  {
    name: 'cancels a stream that it does not want',
    async check(store) {
      await store.write('a', 'before');
      for (const [path, options] of [
        ['..', {}],
        ['a', { ifAbsent: true }],
        ['a', { ifAbsent: true, ifMatch: 'both' }],
        ['a', { size: -1 }],
        ['a', { size: 25 }],
      ] as const) {
        const { stream, isCancelled } = watched();
        const failed = await store.write(path, stream, options).then(
          () => false,
          () => true,
        );
        holds(failed, `${path} is refused with ${JSON.stringify(options)}`);
        // A stream may learn of it a little later.
        for (let i = 0; i < 100 && !isCancelled(); i++) await new Promise((done) => setTimeout(done, 1));
        holds(isCancelled(), `the stream for ${path} is cancelled with ${JSON.stringify(options)}`);
      }
      same(text(await store.read('a')), 'before');
    },
  },
  {
    name: 'refuses a stream in use, or of something else than bytes',
    async check(store) {
      const inUse = streamed(pattern(10));
      inUse.getReader();
      await fails(store.write('a', inUse), 'BAD_PARAMETER', 'data');
      for (const chunk of ['text', 7, null]) {
        const stream = new ReadableStream<unknown>({
          start(controller) {
            controller.enqueue(chunk);
            controller.close();
          },
        });
        await fails(
          store.write('a', stream as ReadableStream<Uint8Array>),
          'BAD_PARAMETER',
          'data',
          'Uint8Array',
        );
      }
      same(await store.exists('a'), false);
    },
  },
  {
    name: 'goes on streaming the version it began with',
    async check(store) {
      const bytes = pattern(100_000);
      await store.write('a', bytes);
      const stream = await store.readStream('a');
      await store.write('a', 'after');
      same(await bytesOf(stream), bytes, 'what is streamed');
      const second = await store.readStream('a');
      await store.delete('a');
      same(text(await bytesOf(second)), 'after', 'what is streamed');
      same(await store.exists('a'), false);
    },
  },
  {
    name: 'lets go of a stream that is cancelled',
    async check(store) {
      await store.write('a', pattern(100_000));
      const stream = await store.readStream('a');
      await stream?.cancel();
      const reader = (await store.readStream('a'))?.getReader();
      await reader?.read();
      await reader?.cancel();
      same(await store.delete('a'), true);
    },
  },
];
