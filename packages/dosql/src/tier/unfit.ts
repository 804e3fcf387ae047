import { shapeOf } from '../branch/shape.ts';
import { viewQuery } from '../branch/view.ts';
import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { sameName, type Catalog } from '../schema/catalog.ts';
import { MAIN } from '../schema/line.ts';
import type { Relation } from '../schema/relation.ts';
import type { TableReference } from '../sql/scan.ts';
import { parse, type Statement } from '../sql/statement.ts';

const MAX_DEPTH = 20;

/**
 * Refuses a table of whose cold rows SQLite would have to know to keep its constraints and to run its triggers.
 *
 * @throws DoSQLError `FORBIDDEN`
 */
export function refuseUnfit(engine: Engine, relation: Relation): void {
  const { sql } = engine.storage;
  const { catalog } = engine;
  const refuse = (why: string): never => {
    throw new DoSQLError('FORBIDDEN', `"${relation.name}" cannot be tiered: ${why}`);
  };
  const { indexes, foreignKeys } = shapeOf(sql, relation);
  const [own] = foreignKeys;
  if (own !== undefined)
    refuse(
      `it refers to "${own.parent}", which cold rows could not be checked against; drop the foreign key`,
    );
  const other = catalog
    .current()
    .find(
      (one) =>
        one.branch === MAIN &&
        shapeOf(sql, one).foreignKeys.some(({ parent }) => sameName(parent, relation.name)),
    );
  if (other !== undefined)
    refuse(`rows of "${other.name}" refer to it, which cold rows could not answer for; drop the foreign key`);
  for (const { isUnique, name, columns, sql: text } of indexes) {
    if (!isUnique) continue;
    if (columns.some((column) => column.name === undefined) || /\bWHERE\b/i.test(text ?? ''))
      refuse(`its unique index "${name}" is of an expression or of some rows only`);
    if (columns.some(({ collation }) => collation !== 'BINARY'))
      refuse(`its unique index "${name}" does not compare by bytes`);
  }
  for (const { type, name, sql: text, branch, until } of catalog.objects.of(MAIN)) {
    if (type !== 'trigger' || branch !== MAIN || until !== undefined) continue;
    const [trigger] = parse(text, true);
    if (trigger !== undefined && looksAtOthers(catalog, trigger, relation))
      refuse(
        `the trigger "${name}" looks at rows of it that may be cold, of which it would not know; drop it`,
      );
  }
}

/**
 * Whether a trigger, as its CREATE statement, reads or writes rows of a table other than the one that it fires for:
 * what a trigger runs sees hot rows only.
 */
export function looksAtOthers(catalog: Catalog, trigger: Statement, relation: Relation): boolean {
  const on = trigger.references.find(({ kind }) => kind === 'define');
  const isOwn = on !== undefined && sameName(on.name, relation.name);
  return trigger.references.some((reference) => {
    const { kind, name, isCte } = reference;
    if (isCte || kind === 'define') return false;
    if (kind === 'from' || kind === 'in') return readsTable(catalog, name, relation, 0);
    if (!sameName(name, relation.name)) return false;
    // Unique values that it inserts are looked for among the cold rows, as the statement's own are.
    if (isOwn && kind === 'into') return false;
    return !(isOwn && isAboutItsRow(trigger, reference, relation));
  });
}

function readsTable(catalog: Catalog, name: string, relation: Relation, depth: number): boolean {
  if (sameName(name, relation.name)) return true;
  const view = catalog.objects
    .views(name)
    .find(({ branch, until }) => branch === MAIN && until === undefined);
  if (view === undefined || depth > MAX_DEPTH) return false;
  return viewQuery(view).body.references.some(
    ({ name: inner, isCte }) => !isCte && readsTable(catalog, inner, relation, depth + 1),
  );
}

/** Whether an UPDATE or DELETE in a trigger is about the row that it fires for: `WHERE id = NEW.id`. */
function isAboutItsRow({ sql }: Statement, { start }: TableReference, { key, columns }: Relation): boolean {
  const ids = key.kind === 'rowid' ? [key.columnId ?? -1] : key.columnIds;
  const [id] = ids;
  if (ids.length !== 1) return false;
  const names = columns.filter((column) => column.id === id).map(({ name }) => name);
  if (key.kind === 'rowid') names.push('rowid');
  const text = sql.slice(start, sql.indexOf(';', start)).replaceAll(/["`[\]]/g, '');
  const [, column = '', value = '', rest = ''] =
    /\bWHERE\s+(?:\w+\.)?(\S+?)\s*=\s*(?:NEW|OLD)\.(\S+)(\s[^]*)?$/i.exec(text) ?? [];
  const isKey = names.some((name) => sameName(name, column) && sameName(name, value));
  return isKey && !/\bOR\b/i.test(rest);
}
