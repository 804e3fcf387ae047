import { eventToJson } from '../json.ts';
import { PermanentError, type Batch, type Sink } from './sink.ts';

/** How a batch becomes a file. */
export interface FileFormat {
  /** Without a dot. */
  readonly extension: string;
  readonly encode: (batch: Batch) => Uint8Array | Promise<Uint8Array>;
}

/** Where files are written: any store of `@dotdo/fsx` is one. */
export interface FileTarget {
  write(path: string, data: Uint8Array): Promise<unknown>;
}

/** Where to, and in which format. */
export interface FileOptions {
  /** Begins the paths; `changes` by default. */
  readonly prefix?: string | undefined;
  /** {@link ndjson} by default. */
  readonly format?: FileFormat | undefined;
}

/** One event a line, as JSON. */
export const ndjson: FileFormat = {
  extension: 'ndjson',
  encode: ({ events }) =>
    new TextEncoder().encode(events.map((event) => `${JSON.stringify(eventToJson(event))}\n`).join('')),
};

/**
 * Writes each batch into a file of its own, whose name is that of the batch: one that is written again replaces
 * itself. Names sort in the order of the events.
 *
 * ```ts
 * await cdc.deliver('lake', file(createR2Backend(env.BUCKET)), { lingerMs: 60_000 });
 * // changes/lake/1f0c…/000000000000000-000000000000499.ndjson
 * ```
 */
export function file(store: FileTarget, { prefix = 'changes', format = ndjson }: FileOptions = {}): Sink {
  return {
    async send(batch) {
      const { slot, stream, sequence, events, erased = [] } = batch;
      const last = sequence + events.length + erased.length - 1;
      const digits = (n: number): string => String(n).padStart(15, '0');
      const name = `${digits(sequence)}-${digits(last)}.${format.extension}`;
      await store.write(
        [prefix, segmentOf(slot), stream, name].filter(Boolean).join('/'),
        await encoded(format, batch),
      );
    },
  };
}

/** The text as one segment of a path, whatever it holds. */
function segmentOf(text: string): string {
  return text.toWellFormed().replace(/[^\p{L}\p{N}_-]/gu, (char) => `~${char.codePointAt(0)?.toString(16)}~`);
}

async function encoded(format: FileFormat, batch: Batch): Promise<Uint8Array> {
  try {
    return await format.encode(batch);
  } catch (error) {
    throw new PermanentError(`this cannot be written as ${format.extension}: ${String(error)}`, {
      cause: error,
    });
  }
}
