import type { FileStore } from '@dotdo/fsx';
import type { Core } from '../core.ts';
import { DoSQLError } from '../error.ts';
import { MAIN } from '../schema/line.ts';
import type { Relation } from '../schema/relation.ts';
import { all, first } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import type { Binding } from '../value/parameter.ts';
import type { SqlValue } from '../value/row.ts';
import { GRACE_MS } from './archive.ts';
import { putFile, type ColdFileInfo } from './cold-file.ts';
import type { Notes } from './notes.ts';
import { readRows, type ReadColumn, type RowSource } from './read-rows.ts';
import { rowsFile } from './rows-file.ts';
import { tierSnapshot, type TierSnapshot } from './tiers.ts';
import { unmarkedValue } from './whole-real.ts';

/** Rows of one table. */
export interface BaseFile extends ColdFileInfo {
  readonly tableId: number;
  readonly rows: number;
}

/** The value that AUTOINCREMENT goes on from, by the table's id. */
export type Sequence = readonly [tableId: number, value: number];

/**
 * The rows of all tables, each as it was at some moment from the LSN `first` to the LSN `last`: writes go on while they
 * are read. A row that has not changed in between is what it was; the log has all others, so whoever reads the base
 * reads the log from `first` to `last` with it.
 */
export interface Base {
  readonly first: number;
  readonly last: number;
  readonly files: readonly BaseFile[];
  readonly sequences: readonly Sequence[];
  readonly tiers: readonly TierSnapshot[];
}

/** The key of {@link BaseAbout} in a base file's metadata. */
export const BASE_KEY = 'dosql.base';

/** What a base file says of itself. */
export interface BaseAbout {
  readonly tableId: number;
  /** The columns' ids and their names in the file; -1 for a rowid that is no column. */
  readonly columns: readonly (readonly [id: number, name: string])[];
}

const FILE_ROWS = 50_000;
const MAX_ATTEMPTS = 5;

/** Writes a base. */
export class BaseWriter {
  readonly #core: Core;
  readonly #cold: FileStore;
  readonly #notes: Notes;

  constructor(core: Core, cold: FileStore, notes: Notes) {
    this.#core = core;
    this.#cold = cold;
    this.#notes = notes;
  }

  /**
   * Reads all tables and writes them down. Nothing refers to what it has written until the caller notes it.
   *
   * @throws DoSQLError `STORAGE_UNAVAILABLE`
   */
  async write(): Promise<Base> {
    const { gate, engine } = this.#core;
    const { start, tables } = await gate.pass(() => ({
      start: this.#end(),
      tables: this.#tables().map(({ tableId }) => tableId),
    }));
    const files: BaseFile[] = [];
    const tiers: TierSnapshot[] = [];
    for (const tableId of tables) {
      const { files: own, tier } = await this.#table(tableId);
      files.push(...own);
      if (tier !== undefined) tiers.push(tier);
    }
    return gate.pass(() => ({
      first: start,
      last: this.#end(),
      files,
      tiers,
      sequences: sequencesOf(engine.storage.sql, this.#tables()),
    }));
  }

  /** The rows of a table; again where some of them have become cold or hot meanwhile, which the log does not tell. */
  async #table(tableId: number): Promise<{ files: BaseFile[]; tier: TierSnapshot | undefined }> {
    const { gate, engine } = this.#core;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const before = await gate.pass(() => tierSnapshot(engine, tableId));
      const files = await this.#files(tableId);
      const after = await gate.pass(() => tierSnapshot(engine, tableId));
      if (after?.state === before?.state) return { files, tier: before };
    }
    throw new DoSQLError(
      'STORAGE_UNAVAILABLE',
      'rows have become cold or hot all the time while they were backed up: the next backup tries again',
    );
  }

  async #files(tableId: number): Promise<BaseFile[]> {
    const { gate, engine } = this.#core;
    const files: BaseFile[] = [];
    let after: readonly SqlValue[] | undefined;
    for (;;) {
      const chunk = await gate.pass(() => {
        const relation = this.#tables().find((relation) => relation.tableId === tableId);
        return relation && chunkOf(engine.storage.sql, relation, after);
      });
      // Of a table that is dropped meanwhile the log has every row.
      if (chunk === undefined || chunk.rows.length === 0) return files;
      const path = `base/${chunk.name}-${tableId}/${crypto.randomUUID()}.parquet`;
      await gate.pass(() => engine.atomically(() => this.#notes.discard(path, engine.nowMs() + GRACE_MS)));
      const about: BaseAbout = {
        tableId,
        columns: chunk.ids.map((id, i) => [id, (chunk.columns[i] as ReadColumn).name]),
      };
      const bytes = await rowsFile(path, chunk.columns, chunk.rows, { [BASE_KEY]: JSON.stringify(about) });
      files.push({ ...(await putFile(this.#cold, path, bytes)), tableId, rows: chunk.rows.length });
      after = chunk.last;
    }
  }

  #end(): number {
    const { log } = this.#core.engine;
    const end = log.end();
    log.skip(end);
    return end;
  }

  #tables(): Relation[] {
    return this.#core.engine.catalog.current().filter(({ branch }) => branch === MAIN);
  }
}

interface Chunk {
  readonly name: string;
  readonly ids: readonly number[];
  readonly columns: readonly ReadColumn[];
  readonly rows: SqlValue[][];
  /** The key of the last row. */
  readonly last: readonly SqlValue[];
}

/** The next rows of a table, in the order of its key. */
function chunkOf(sql: SqlStorage, relation: Relation, after: readonly SqlValue[] | undefined): Chunk {
  const { key, table } = relation;
  const stored = relation.columns.filter(({ isGenerated }) => !isGenerated);
  const ids = stored.map(({ id }) => id);
  const columns: ReadColumn[] = stored.map(({ name, affinity }) => ({
    name,
    affinity,
    value: `t.${quoteName(name)}`,
  }));
  if (key.kind === 'rowid' && key.columnId === undefined) {
    ids.unshift(-1);
    columns.unshift({
      name: freeName('$rowid', columns),
      affinity: 'integer',
      value: `t.${quoteName(key.name)}`,
    });
  }
  const keyIds = key.kind === 'rowid' ? [key.columnId ?? -1] : key.columnIds;
  const places = keyIds.map((id) => ids.indexOf(id));
  const keys = places.map((at) => (columns[at] as ReadColumn).value);
  const rows = readRows(sql, columns, sourceOf(table, keys, after), FILE_ROWS);
  const last = places.map((at) => unmarkedValue(rows.at(-1)?.[at] ?? null));
  return { name: plainName(relation.name), ids, columns, rows, last };
}

function sourceOf(table: string, keys: readonly string[], after: readonly SqlValue[] | undefined): RowSource {
  const from = `FROM main.${quoteName(table)} AS t`;
  const order = `ORDER BY ${keys.join(', ')}`;
  if (after === undefined) return { tail: `${from} ${order}`, bindings: [] };
  const bindings: Binding[] = [];
  const values = after.map((value) => {
    const isInteger = typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
    bindings.push(isInteger ? String(value) : value);
    // Without an affinity, so that the column's own decides how they compare.
    return isInteger ? '+CAST(? AS NUMERIC)' : '?';
  });
  const [left, right] =
    keys.length === 1 ? [keys[0], values[0]] : [`(${keys.join(', ')})`, `(${values.join(', ')})`];
  return { tail: `${from} WHERE ${left} > ${right} ${order}`, bindings };
}

/** Values of `sqlite_sequence`, by the ids of their tables. */
export function sequencesOf(sql: SqlStorage, relations: readonly Relation[]): Sequence[] {
  if (first(sql, "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'") === undefined) return [];
  const values = new Map(all<[string, number]>(sql, 'SELECT name, seq FROM sqlite_sequence'));
  return relations.flatMap(({ tableId, table }) => {
    const value = values.get(table);
    return value === undefined ? [] : [[tableId, value] as const];
  });
}

function freeName(name: string, columns: readonly ReadColumn[]): string {
  let free = name;
  while (columns.some((column) => column.name === free)) free += '$';
  return free;
}

/** A table's name as it may stand in a path. */
function plainName(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_-]+/g, '_').slice(0, 60);
}
