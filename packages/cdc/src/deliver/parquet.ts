import { parquetWriteBuffer } from 'hyparquet-writer';
import { eventToJson } from '../json.ts';
import type { FileFormat } from './file.ts';

/**
 * Parquet with a row per event: `op`, `table`, `lsn`, `tx`, `timestamp`, and the rows `key`, `before` and `after` as
 * JSON text, so that changes of all tables and of all versions of their columns share one schema. Needs the package
 * `hyparquet-writer`.
 *
 * ```ts
 * import { parquet } from '@dotdo/cdc/parquet';
 *
 * await cdc.deliver('lake', file(createR2Backend(env.BUCKET), { format: parquet }), { lingerMs: 60_000 });
 * ```
 */
export const parquet: FileFormat = {
  extension: 'parquet',
  encode({ events }) {
    const rows = events.map(eventToJson);
    const json = (value: unknown): string | null =>
      value === undefined || value === null ? null : JSON.stringify(value);
    const buffer = parquetWriteBuffer({
      columnData: [
        { name: 'op', data: rows.map(({ op }) => op), type: 'STRING' },
        { name: 'table', data: rows.map(({ table }) => table ?? null), type: 'STRING', nullable: true },
        { name: 'lsn', data: events.map(({ lsn }) => lsn), type: 'INT64' },
        { name: 'tx', data: events.map(({ tx }) => tx), type: 'INT64' },
        { name: 'timestamp', data: events.map(({ timestamp }) => timestamp), type: 'TIMESTAMP' },
        { name: 'key', data: rows.map(({ key }) => json(key)), type: 'STRING', nullable: true },
        { name: 'before', data: rows.map(({ before }) => json(before)), type: 'STRING', nullable: true },
        { name: 'after', data: rows.map(({ after }) => json(after)), type: 'STRING', nullable: true },
        { name: 'sql', data: rows.map(({ sql }) => sql ?? null), type: 'STRING', nullable: true },
      ],
    });
    return new Uint8Array(buffer);
  },
};
