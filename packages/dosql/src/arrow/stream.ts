import type * as Arrow from 'apache-arrow';
import { DoSQLError } from '../error.ts';
import type { Vector } from '../scan/vector.ts';
import { arrowData, arrowType, type ArrowModule } from './data.ts';
import type { ArrowColumnType } from './infer.ts';

/** Rows in batches: for each a vector of every column, in their order and of one length. */
export type ArrowBatches = Iterable<readonly Vector[]> | AsyncIterable<readonly Vector[]>;

/** What ends a stream: no further message. */
const END = new Uint8Array([255, 255, 255, 255, 0, 0, 0, 0]);

/**
 * An Arrow IPC stream (https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format), a record batch for
 * each of `batches`, made when the stream's reader asks for it.
 *
 * ```ts
 * return new Response(arrowStream(['id'], [{ type: 'integer' }], batches), {
 *   headers: { 'content-type': 'application/vnd.apache.arrow.stream' },
 * });
 * ```
 *
 * What goes wrong, also `BAD_PARAMETER` for a value that is not of its column's type, errors the stream.
 */
export function arrowStream(
  names: readonly string[],
  types: readonly ArrowColumnType[],
  batches: ArrowBatches,
): ReadableStream<Uint8Array> {
  const parts = streamParts(names, types, batches);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await parts.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await parts.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

/**
 * The same rows as one table in memory.
 *
 * @throws DoSQLError `BAD_PARAMETER` for a value that is not of its column's type
 */
export async function arrowTable(
  names: readonly string[],
  types: readonly ArrowColumnType[],
  batches: ArrowBatches,
): Promise<Arrow.Table> {
  const arrow = await loadArrow();
  const schema = schemaOf(arrow, names, types);
  const records: Arrow.RecordBatch[] = [];
  for await (const vectors of batches) records.push(recordBatch(arrow, schema, names, types, vectors));
  return new arrow.Table(schema, records);
}

/** The library, which is there only where it is installed: bundlers leave out an import whose failure is caught. */
function loadArrow(): Promise<ArrowModule> {
  return import('apache-arrow').catch((cause: unknown) => {
    throw new DoSQLError('BAD_PARAMETER', 'Arrow needs a package of its own: npm install apache-arrow', {
      cause,
    });
  });
}

async function* streamParts(
  names: readonly string[],
  types: readonly ArrowColumnType[],
  batches: ArrowBatches,
): AsyncGenerator<Uint8Array, void, undefined> {
  const arrow = await loadArrow();
  const schema = schemaOf(arrow, names, types);
  const head = arrow.tableToIPC(new arrow.Table(schema, []), 'stream');
  const start = schemaLength(head);
  yield head.subarray(0, start);
  for await (const vectors of batches) {
    const record = recordBatch(arrow, schema, names, types, vectors);
    // A stream of this batch alone, without the schema in front and the end behind.
    const bytes = arrow.tableToIPC(new arrow.Table(schema, [record]), 'stream');
    yield bytes.subarray(start, bytes.length - END.length);
  }
  yield END.slice();
}

/** How long the first message is: a mark, the length of what follows, and that; a schema has no body. */
function schemaLength(bytes: Uint8Array): number {
  return 8 + new DataView(bytes.buffer, bytes.byteOffset).getInt32(4, true);
}

function schemaOf(
  arrow: ArrowModule,
  names: readonly string[],
  types: readonly ArrowColumnType[],
): Arrow.Schema {
  if (names.length !== types.length)
    throw new DoSQLError(
      'BAD_PARAMETER',
      `there are ${names.length} columns and ${types.length} types: give each its own`,
    );
  return new arrow.Schema(
    names.map((name, i) => new arrow.Field(name, arrowType(arrow, types[i] as ArrowColumnType), true)),
  );
}

function recordBatch(
  arrow: ArrowModule,
  schema: Arrow.Schema,
  names: readonly string[],
  types: readonly ArrowColumnType[],
  vectors: readonly Vector[],
): Arrow.RecordBatch {
  const length = vectors[0]?.length ?? 0;
  if (vectors.length !== names.length || vectors.some((vector) => vector.length !== length))
    throw new DoSQLError('BAD_PARAMETER', `a batch is ${names.length} vectors of one length`);
  const children = vectors.map((vector, i) =>
    arrowData(arrow, names[i] as string, types[i] as ArrowColumnType, vector),
  );
  const struct = arrow.makeData({ type: new arrow.Struct(schema.fields), length, nullCount: 0, children });
  return new arrow.RecordBatch(schema, struct);
}
