import type { FileStore } from '@dotdo/fsx';
import { quoteName } from '../sql/token.ts';
import { all } from '../sql/read.ts';
import { SEGMENT_KEY } from './archive.ts';
import type { CatalogRows } from './catalog-rows.ts';
import { getFile } from './cold-file.ts';
import { handRows, valueOf } from './insert-rows.ts';
import type { Segment } from './notes.ts';
import { openRows } from './rows-file.ts';
import { segmentAbout } from './target.ts';

/** A stretch of the log: the LSNs after `after`, up to `to`. */
export interface Stretch {
  readonly after: number;
  readonly to: number;
}

/** What has been read. */
export interface LoadedLog {
  readonly catalogs: readonly CatalogRows[];
  readonly files: number;
  readonly bytes: number;
  readonly rows: number;
}

/** Puts a stretch of the log back into its table; `keepsTo` is the LSN behind which no transaction is noted. */
export async function loadLog(
  sql: SqlStorage,
  cold: FileStore,
  segments: readonly Segment[],
  { after, to }: Stretch,
  keepsTo: number,
): Promise<LoadedLog> {
  const catalogs: CatalogRows[] = [];
  const loaded = { files: 0, bytes: 0, rows: 0 };
  for (const segment of segments) {
    // The one that ends just there tells what was defined there.
    if (segment.last < after || segment.first > to) continue;
    const bytes = await getFile(cold, segment);
    const file = await openRows(segment.path, bytes);
    const about = segmentAbout(segment, file.about(SEGMENT_KEY));
    catalogs.push(about);
    const written = file.columns.map(({ name }) => name);
    widen(sql, written);
    const names = written.filter((name) => !file.empty.has(name));
    const values = names.map((name) => valueOf(file, name)).join(', ');
    loaded.rows += await handRows(file, names, (query, bindings) => {
      sql.exec(
        `INSERT INTO __dosql_log(${names.map(quoteName).join(', ')}) SELECT ${values} FROM (${query}) AS r WHERE r.lsn > ${after} AND r.lsn <= ${to}`,
        ...bindings,
      );
    });
    const transactions = about.transactions.filter(([, last]) => last > after && last <= keepsTo);
    sql.exec(
      'INSERT OR IGNORE INTO __dosql_tx(last, first) SELECT value ->> 1, value ->> 0 FROM json_each(?)',
      JSON.stringify(transactions),
    );
    loaded.files++;
    loaded.bytes += bytes.length;
  }
  return { catalogs, ...loaded };
}

/** A column's name says of which type it is. */
const TYPES: Readonly<Record<string, string>> = { i: 'INTEGER', t: 'TEXT', r: 'REAL', n: 'NUMERIC', b: '' };

function widen(sql: SqlStorage, names: readonly string[]): void {
  const there = new Set(all<[string]>(sql, "SELECT name FROM pragma_table_info('__dosql_log')").flat());
  for (const name of names)
    if (!there.has(name) && /^[itrnb]\d+$/.test(name))
      sql.exec(`ALTER TABLE __dosql_log ADD COLUMN ${name} ${TYPES[name.charAt(0)]}`);
}
