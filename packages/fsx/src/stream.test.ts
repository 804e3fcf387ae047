import { describe, expect, it } from 'vitest';
import { collect, collectUpTo, consuming, isStream, piecesOf, streamOf, streamOfBytes } from './stream.ts';

/** A stream that gives one piece and then stalls; it tells when it is cancelled. */
function stalled(sizeBytes: number): { stream: ReadableStream<Uint8Array>; cancelled: Promise<void> } {
  const { promise: cancelled, resolve } = Promise.withResolvers<void>();
  let isFirst = true;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (!isFirst) return new Promise(() => undefined);
      isFirst = false;
      controller.enqueue(new Uint8Array(sizeBytes));
      return undefined;
    },
    cancel: () => resolve(),
  });
  return { stream, cancelled };
}

describe('piecesOf', () => {
  it('cuts a stream into equal pieces, whatever it comes in', async () => {
    const bytes = Uint8Array.from({ length: 23 }, (_, i) => i);
    for (const lengths of [[23], [1, 0, 22], [10, 10, 3], [4, 4, 15]]) {
      let at = 0;
      const pieces = lengths.map((length) => bytes.slice(at, (at += length)));
      const stream = new ReadableStream<Uint8Array>({
        start(controller) {
          for (const piece of pieces) controller.enqueue(piece);
          controller.close();
        },
      });
      const found: Uint8Array[] = [];
      for await (const piece of piecesOf(stream, 10, 23)) found.push(piece);
      expect(found).toEqual([bytes.slice(0, 10), bytes.slice(10, 20), bytes.slice(20)]);
    }
  });

  it('cancels the stream where the loop is left', async () => {
    const { stream, cancelled } = stalled(10);
    for await (const piece of piecesOf(stream, 10)) {
      expect(piece).toHaveLength(10);
      break;
    }
    await cancelled;
  });
});

describe('collectUpTo', () => {
  it('gives bytes up to the limit, and a stream of all of them above it', async () => {
    const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => i);
    expect(await collectUpTo(streamOfBytes(bytes), 200_000)).toEqual(bytes);
    const rest = await collectUpTo(streamOfBytes(bytes), 199_999);
    expect(isStream(rest) && (await collect(rest))).toEqual(bytes);
  });

  it('cancels the stream underneath, also where that has stalled', async () => {
    const { stream, cancelled } = stalled(100_000);
    const rest = await collectUpTo(stream, 10);
    const reader = isStream(rest) ? rest.getReader() : undefined;
    await reader?.read();
    const second = reader?.read();
    await reader?.cancel();
    await cancelled;
    await second;
  });
});

describe('streamOf', () => {
  it('ends once, however it ends', async () => {
    for (const use of [
      (stream: ReadableStream<Uint8Array>) => collect(stream),
      (stream: ReadableStream<Uint8Array>) => stream.cancel(),
      async (stream: ReadableStream<Uint8Array>) => {
        const reader = stream.getReader();
        // Cancelled while a piece is on its way.
        const read = reader.read();
        await reader.cancel();
        await read;
      },
    ]) {
      let ends = 0;
      let pieces = 3;
      const stream = streamOf(
        () => (pieces-- > 0 ? new Uint8Array(5) : undefined),
        () => ends++,
      );
      await use(stream);
      await new Promise((done) => setTimeout(done, 1));
      expect(ends).toBe(1);
    }
    let ends = 0;
    const failing = streamOf(
      () => Promise.reject(new Error('no')),
      () => ends++,
    );
    await expect(collect(failing)).rejects.toMatchObject({ code: 'STREAM_FAILED' });
    expect(ends).toBe(1);
  });
});

describe('consuming', () => {
  it('cancels a stream that was not begun, and passes the error on', async () => {
    const { stream, cancelled } = stalled(1);
    await expect(consuming(stream, () => Promise.reject(new Error('refused')))).rejects.toThrow('refused');
    await cancelled;
    await expect(consuming('text', () => Promise.reject(new Error('refused')))).rejects.toThrow('refused');
    expect(await consuming('text', async () => 7)).toBe(7);
  });
});
