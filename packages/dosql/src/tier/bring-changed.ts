import type { Engine } from '../engine.ts';
import type { KeyColumn } from '../history/row-key.ts';
import { Budget } from '../scan/budget.ts';
import { OP } from '../schema/capture.ts';
import { sameName } from '../schema/catalog.ts';
import { MAIN } from '../schema/line.ts';
import type { Relation } from '../schema/relation.ts';
import { all } from '../sql/read.ts';
import type { ColdChunk, ColdRows, Pass } from '../outcome.ts';
import type { SqlValue } from '../value/row.ts';
import { clashesAfter, keysOf, keyText, type UniqueKey } from './clashes.ts';
import { logKeys } from './hand-over.ts';
import type { Manifest } from './manifest.ts';
import { plainValues, type Reads } from './reads.ts';
import { coldChunk } from './snapshot.ts';
import type { Writes } from './writes.ts';

/**
 * Makes the cold rows hot that work on many rows is about: setting back, merging, undoing. All of it goes by what the
 * log says, and it finds rows by their keys; the caller holds the gate, so that they stay hot until it is done.
 */
export class BringChanged implements ColdRows {
  readonly #engine: Engine;
  readonly #manifest: Manifest;
  readonly #reads: Reads;
  readonly #writes: Writes;
  readonly #shred: () => Promise<number>;

  /** `shred` writes files anew without the rows that have gone from them, and deletes what is not needed any more. */
  constructor(
    engine: Engine,
    manifest: Manifest,
    reads: Reads,
    writes: Writes,
    shred: () => Promise<number>,
  ) {
    this.#engine = engine;
    this.#manifest = manifest;
    this.#reads = reads;
    this.#writes = writes;
    this.#shred = shred;
  }

  /**
   * Those that changes after `after`, and up to `to`, on whatever line, are about: by their keys, and by unique values
   * that these changes gave to other rows.
   */
  async logged(after: number, to: number = Infinity): Promise<void> {
    for (const relation of this.#coldTables()) {
      const keys = new Map<string, readonly SqlValue[]>();
      for (const version of this.#versions(relation))
        for (const key of logKeys(this.#engine, version, after, to, [OP.insert, OP.rewrite]))
          keys.set(keyText(key), key);
      await this.#bring(relation, rowKey(relation), [...keys.values()]);
      await this.#writes.keepHighest(relation, keys, now, unlimited());
      const lines = new Set(this.#versions(relation).map(({ branch }) => branch));
      for (const line of lines) {
        const files = this.#manifest.tables.get(relation.tableId)?.files ?? [];
        const { unique } = keysOf(this.#engine, relation);
        const clashes = clashesAfter(this.#engine, after, line, relation, unique, files);
        for (const key of unique)
          await this.#bring(
            relation,
            key,
            clashes.filter((clash) => clash.key === key).map(({ values }) => values),
          );
      }
    }
  }

  /** The row of a table that has this key. */
  async row(tableId: number, columns: readonly KeyColumn[]): Promise<void> {
    const relation = this.#coldTables().find((relation) => relation.tableId === tableId);
    if (relation === undefined) return;
    const key = { columnIds: columns.map(({ id }) => id), names: columns.map(({ name }) => name) };
    const values = plainValues(columns.map(({ value }) => value));
    // A key may be given in the text of a number.
    const stored = values.map((value, i) =>
      typeof value === 'string' && columns[i]?.affinity !== 'text' && Number.isSafeInteger(Number(value))
        ? Number(value)
        : value,
    );
    await this.#bring(relation, key, [stored]);
  }

  /** All rows of a table. */
  async table(name: string): Promise<void> {
    const relation = this.#coldTables().find((relation) => sameName(relation.name, name));
    for (;;) {
      const file = relation && this.#manifest.tables.get(relation.tableId)?.files[0];
      if (relation === undefined || file === undefined) return;
      await this.#writes.bringFile(relation, file, now, unlimited());
    }
  }

  shred(): Promise<number> {
    return this.#shred();
  }

  async chunk(
    { tableId }: Relation,
    chunk: { readonly after: readonly SqlValue[]; readonly limit: number },
    condition: string | undefined,
    pass: Pass,
  ): Promise<ColdChunk | undefined> {
    const relation = this.#coldTables().find((relation) => relation.tableId === tableId);
    if (relation === undefined) return undefined;
    return coldChunk(this.#engine, this.#manifest, this.#reads, relation, chunk, condition, pass);
  }

  async #bring(relation: Relation, key: UniqueKey, keys: readonly (readonly SqlValue[])[]): Promise<void> {
    if (keys.length > 0) await this.#writes.bringKeys(relation, key, keys, now, unlimited());
  }

  #coldTables(): Relation[] {
    const { tables } = this.#manifest;
    return this.#engine.catalog
      .current()
      .filter(({ branch, tableId }) => branch === MAIN && (tables.get(tableId)?.files.length ?? 0) > 0);
  }

  #versions({ tableId }: Relation): Relation[] {
    const ids = all<[number]>(
      this.#engine.storage.sql,
      'SELECT id FROM __dosql_relation WHERE table_id = ?',
      tableId,
    );
    return ids.map(([id]) => this.#engine.catalog.relation(id));
  }
}

/** The gate is held already. */
const now: Pass = async (work) => work();

function unlimited(): Budget {
  return new Budget({ bytes: Infinity, decodedBytes: Infinity });
}

function rowKey({ key, columns }: Relation): UniqueKey {
  const columnIds = key.kind === 'rowid' ? [key.columnId ?? -1] : key.columnIds;
  return {
    columnIds,
    names: columnIds.map((id) => columns.find((column) => column.id === id)?.name ?? 'rowid'),
  };
}
