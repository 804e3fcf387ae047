import { tableNamed, type LineState, type States } from '../branch/states.ts';
import type { Violation } from '../change/index.ts';
import type { Engine } from '../engine.ts';
import type { DoSQLError } from '../error.ts';
import { sameName } from '../schema/catalog.ts';
import type { Relation } from '../schema/relation.ts';
import { first } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import { comparedColumns, shownKey, storedJson, storedRows, type RowReader, type StoredRow } from './rows.ts';
import { rebuiltFrom } from './schema-change.ts';
import type { SchemaMerge } from './schema.ts';

/**
 * The rows that a definition does not allow which SQLite has just refused to put in force: it tells the constraint
 * only, so the rows of the table are looked at one by one.
 */
export function violatedRows(
  engine: Engine,
  reader: RowReader,
  states: States,
  state: LineState,
  schema: SchemaMerge,
  error: DoSQLError,
): Violation[] {
  const about = error.reason.slice(error.reason.indexOf(': ') + 2);
  const columns = about.split(', ').map((name) => name.slice(name.lastIndexOf('.') + 1));
  const named = rebuiltFrom(about.slice(0, Math.max(0, about.indexOf('.'))));
  const tables = states.tables(state);
  const type = error.code.slice('CONSTRAINT_'.length).toLowerCase() as Violation['type'];
  const violation = (relation: Relation, row: StoredRow): Violation => ({
    table: relation.name,
    key: shownKey(relation, row),
    type,
    columns: type === 'check' ? [] : columns,
    message: error.reason,
  });
  const found: Violation[] = [];
  for (const relation of type === 'check' ? tables : [tableNamed(tables, named)]) {
    if (relation === undefined) continue;
    const rows = [...reader.all(state, relation).values()];
    const at = comparedColumns(relation).map(({ name }) => columns.some((column) => sameName(column, name)));
    if (type === 'notnull')
      found.push(
        ...rows
          .filter(({ cells }) => cells.some((cell, i) => at[i] && cell === null))
          .map((row) => violation(relation, row)),
      );
    if (type === 'unique') {
      const seen = new Set<string>();
      for (const row of rows) {
        const values = row.cells.filter((_, i) => at[i]);
        const key = values.map(storedJson).join();
        if (seen.has(key) && !values.includes(null)) found.push(violation(relation, row));
        seen.add(key);
      }
    }
    if (type === 'check') {
      const check = checkOf(schema, relation.name, about);
      if (check === undefined) continue;
      found.push(
        ...rows.filter((row) => !passes(engine, relation, row, check)).map((row) => violation(relation, row)),
      );
    }
  }
  return found.length > 0 ? found : [{ table: named, key: {}, type, columns, message: error.reason }];
}

/** The condition of the CHECK that SQLite names, or words. */
function checkOf(schema: SchemaMerge, table: string, about: string): string | undefined {
  const definition = schema.tables.find((merged) => sameName(merged.definition.name, table))?.definition;
  const texts = [...(definition?.columns ?? []), ...(definition?.constraints ?? [])].map(({ text }) => text);
  for (const text of texts) {
    const condition = /\bCHECK\s*(\([\s\S]*\))/i.exec(text)?.[1];
    if (condition !== undefined && text.includes(about))
      return text.includes(`(${about})`) ? `(${about})` : condition;
  }
  return undefined;
}

function passes(engine: Engine, relation: Relation, { cells }: StoredRow, check: string): boolean {
  const columns = comparedColumns(relation);
  const names = columns.map(({ name }, i) => `v${i} AS ${quoteName(name)}`);
  const text = `SELECT ${check} IS NOT FALSE AND ${check} IS NOT 0 FROM (SELECT ${names.join(', ')} FROM (${storedRows(columns.length)}))`;
  return first<[number]>(engine.storage.sql, text, `[[${cells.map(storedJson).join(',')}]]`)?.[0] === 1;
}
