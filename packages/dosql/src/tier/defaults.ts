import type { Engine } from '../engine.ts';
import { defaultsOf } from '../history/default.ts';
import type { Relation } from '../schema/relation.ts';
import { first } from '../sql/read.ts';
import type { SqlValue } from '../value/row.ts';

/** What a row of an older file has in columns that were added since, by their ids. */
export function addedValues(engine: Engine, relation: Relation): Map<number, SqlValue> {
  const values = new Map<number, SqlValue>();
  for (const version of [...engine.catalog.versions(relation.tableId), relation])
    for (const [id, text] of defaultsOf(version)) {
      const value = first<[SqlValue | ArrayBuffer]>(engine.storage.sql, `SELECT ${text}`)?.[0] ?? null;
      values.set(id, value instanceof ArrayBuffer ? new Uint8Array(value) : value);
    }
  return values;
}
