import { compound } from '../sql/compound.ts';
import { quoteName } from '../sql/token.ts';
import { MAIN } from './line.ts';
import { columnOf, ROWID_NAMES, type Relation, type Slot } from './relation.ts';

/**
 * What a row of the log says.
 *
 * `updateBefore` and `updateAfter` are the halves of an update whose images do not share a row. `more`
 * continues the image in the row before it. `rewrite` keeps a row's image before a DROP COLUMN takes a value
 * from it: it undoes like an update and is no change of its own. `schema` says that the relation that it
 * names has begun, or ended.
 */
export const OP = {
  more: 0,
  insert: 1,
  update: 2,
  delete: 3,
  updateBefore: 4,
  updateAfter: 5,
  rewrite: 6,
  schema: 7,
} as const;

/** The relation that a row of the log names when it is about no table. */
export const NO_RELATION = 0;

/** True outside of the copying of rows to a branch, which says so in a table of one row. */
export const IS_NO_COPY = '(SELECT depth FROM __dosql_copying) = 0';

/** Grows when triggers become others: a database that has older ones gets them anew. */
export const TRIGGER_FORM = 2;

/** Names of a relation's capture triggers. */
export function triggerNames({ id }: Relation): string[] {
  return ['insert', 'update', 'split', 'delete'].map((event) => `__dosql_${event}_${id}`);
}

/**
 * The triggers that write a table's changes into the log, as CREATE statements.
 *
 * They read NEW and OLD, never what was bound, so the log holds what SQLite stored. `now` is the SQL that
 * gives the time. A changed key is logged as delete and insert, since a key is what a history is kept by; only
 * statements that set a column of it pay for that trigger. If `now` is no function, SQLite keeps no copies of the pages
 * that a statement writes: it knows then that the triggers cannot fail.
 */
export function captureTriggers(relation: Relation, now: string): string[] {
  const table = quoteName(relation.table);
  const [insert, update, split, remove] = triggerNames(relation) as [string, string, string, string];
  const create = (name: string, event: string, condition: string, body: string[]): string => {
    // Rows that are copied up to a branch have not changed there.
    const conditions = [relation.branch === MAIN ? '' : IS_NO_COPY, condition].filter((text) => text !== '');
    const when =
      conditions.length === 0 ? '' : `WHEN ${conditions.map((text) => `(${text})`).join(' AND ')} `;
    return `CREATE TRIGGER ${name} AFTER ${event} ON ${table} ${when}BEGIN ${body.map((line) => `${line}; `).join('')}END`;
  };
  const image = (op: string | number, row: 'NEW' | 'OLD'): string[] => imageInserts(relation, op, row, now);
  const sameKey = keyExpressions(relation, 'NEW')
    .map((now, i) => `${now} IS ${keyExpressions(relation, 'OLD')[i]} COLLATE BINARY`)
    .join(' AND ');
  const ends = [
    create(insert, 'INSERT', '', image(OP.insert, 'NEW')),
    create(remove, 'DELETE', '', image(OP.delete, 'OLD')),
  ];
  if (!relation.layout.updatesInOneRow) {
    const halves = [
      ...image(`iif(${sameKey}, ${OP.updateBefore}, ${OP.delete})`, 'OLD'),
      ...image(`iif(${sameKey}, ${OP.updateAfter}, ${OP.insert})`, 'NEW'),
    ];
    return [...ends, create(split, 'UPDATE', '', halves)];
  }
  // SET may give a rowid any of its names.
  const names = relation.key.kind === 'rowid' ? [...keyNames(relation), ...ROWID_NAMES] : keyNames(relation);
  const ofKey = `UPDATE OF ${names.map((name) => quoteName(name)).join(', ')}`;
  return [
    ...ends,
    create(update, 'UPDATE', sameKey, [updateInsert(relation, now)]),
    create(split, ofKey, `NOT (${sameKey})`, [...image(OP.delete, 'OLD'), ...image(OP.insert, 'NEW')]),
  ];
}

/** The statement that logs every row of a table as it stands, as deleted or before a rewrite. */
export function imagesOfAll(relation: Relation, op: number, now: string): string {
  const { layout } = relation;
  const row = quoteName(relation.table);
  if (layout.parts === 1) {
    const { columns, values } = imageOf(relation, op, row, now, 0);
    return `INSERT INTO __dosql_log(${columns.join(', ')}) SELECT ${values.join(', ')} FROM ${row}`;
  }
  // The parts of an image must follow one another, so the rows come out in key order, part by part.
  const width = Math.max(
    ...Array.from({ length: layout.parts }, (_, part) => partSlots(relation, part).length),
  );
  const arms = Array.from({ length: layout.parts }, (_, part) => {
    const { columns, values } = imageOf(relation, part === 0 ? op : OP.more, row, now, part);
    return { columns, values, width };
  });
  const names = [...new Set(arms.flatMap((arm) => arm.columns))];
  const keys = keyExpressions(relation, row);
  const selects = arms.map(
    ({ columns, values }, part) =>
      `SELECT ${[...keys.map((key, i) => `${key} AS s${i}`), `${part} AS p`].join(', ')}, ${names
        .map((name) => `${values[columns.indexOf(name)] ?? 'NULL'} AS ${name}`)
        .join(', ')} FROM ${row}`,
  );
  return (
    `INSERT INTO __dosql_log(${names.join(', ')}) SELECT ${names.join(', ')} FROM (${compound(selects, 'UNION ALL')}) ` +
    `ORDER BY ${[...keys.map((_, i) => `s${i}`), 'p'].join(', ')}`
  );
}

/** The expressions that identify a row of `relation`, read from `row`. */
export function keyExpressions(relation: Relation, row: string): string[] {
  return keyNames(relation).map((name) => `${row}.${quoteName(name)}`);
}

function keyNames(relation: Relation): string[] {
  const { key } = relation;
  return key.kind === 'rowid' ? [key.name] : key.columnIds.map((id) => columnOf(relation, id).name);
}

function partSlots(relation: Relation, part: number): readonly Slot[] {
  return relation.layout.slots.filter((slot) => slot.part === part);
}

function imageOf(
  relation: Relation,
  op: string | number,
  row: string,
  now: string,
  part: number,
): { columns: string[]; values: string[] } {
  const slots = partSlots(relation, part);
  const key = relation.key.kind === 'rowid' ? [`${row}.${quoteName(relation.key.name)}`] : [];
  return {
    columns: ['rel', 'op', 'at', ...key.map(() => 'k'), ...slots.map((slot) => slot.name)],
    values: [
      String(relation.id),
      String(op),
      now,
      ...key,
      ...slots.map((slot) => `${row}.${quoteName(columnOf(relation, slot.columnId).name)}`),
    ],
  };
}

function imageInserts(relation: Relation, op: string | number, row: 'NEW' | 'OLD', now: string): string[] {
  return Array.from({ length: relation.layout.parts }, (_, part) => {
    const { columns, values } = imageOf(relation, part === 0 ? op : OP.more, row, now, part);
    return `INSERT INTO __dosql_log(${columns.join(', ')}) VALUES(${values.join(', ')})`;
  });
}

function updateInsert(relation: Relation, now: string): string {
  const { columns, values } = imageOf(relation, OP.update, 'OLD', now, 0);
  const { slots } = relation.layout;
  const after = slots.map((slot) => `NEW.${quoteName(columnOf(relation, slot.columnId).name)}`);
  const names = [...columns, ...slots.map((slot) => slot.after)];
  return `INSERT INTO __dosql_log(${names.join(', ')}) VALUES(${[...values, ...after].join(', ')})`;
}
