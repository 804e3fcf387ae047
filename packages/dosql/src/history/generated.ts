import type { Affinity, Column, Relation } from '../schema/relation.ts';
import { isName, lowerName, nameOf, quoteName, tokenize, type Token } from '../sql/token.ts';
import { defaultsOf } from './default.ts';

/** How a generated column is computed. */
export interface Generated {
  /** Over the table's columns, by their names. */
  readonly expression: string;
  /** Those that it names. */
  readonly reads: readonly Column[];
}

/** What columns of `shape` have in rows of versions that lack them: their constant default, or what they are generated as. */
export function addedOf(shape: Relation): {
  readonly defaults: ReadonlyMap<number, string>;
  readonly generated: ReadonlyMap<number, Generated>;
} {
  return { defaults: defaultsOf(shape), generated: generatedOf(shape) };
}

/** The generated columns of a table, by their ids. */
function generatedOf({ sql, columns }: Relation): Map<number, Generated> {
  const found = new Map<number, Generated>();
  if (!columns.some(({ isGenerated }) => isGenerated)) return found;
  const named = (token: Token): Column | undefined =>
    columns.find(({ name }) => isName(token) && lowerName(name) === lowerName(nameOf(sql, token)));
  const tokens = tokenize(sql);
  let depth = 0;
  let column: Column | undefined;
  let opened = -1;
  tokens.forEach((token, i) => {
    const before = tokens[i - 1]?.text;
    if (depth === 1 && (before === '(' || before === ',')) column = named(token);
    if (token.text === '(' && depth++ === 1 && before === 'AS') opened = i;
    if (token.text !== ')' || --depth !== 1 || opened < 0) return;
    const inside = tokens.slice(opened + 1, i).filter(({ kind }) => kind !== 'string');
    if (column?.isGenerated === true)
      found.set(column.id, {
        expression: sql.slice(tokens[opened]?.end, token.start),
        reads: columns.filter((other) => inside.some((name) => named(name) === other)),
      });
    opened = -1;
  });
  return found;
}

/**
 * `query`, which gives the columns called `kept`, with generated columns computed from them. Each SELECT around it adds
 * those that name none of the others.
 */
export function computed(
  query: string,
  kept: readonly string[],
  columns: readonly Column[],
  generated: ReadonlyMap<number, Generated>,
): string {
  if (columns.length === 0) return query;
  const isReady = ({ id }: Column): boolean =>
    generated.get(id)?.reads.every((other) => !columns.includes(other)) === true;
  const ready = columns.filter(isReady);
  const raw = ready.map(({ id, name }) => `(${generated.get(id)?.expression}) AS ${quoteName(name)}`);
  const stored = ready.map(({ name, affinity, collation }) => {
    const collate = collation === undefined ? '' : ` COLLATE ${collation}`;
    return `${asStored(quoteName(name), affinity)}${collate} AS ${quoteName(name)}`;
  });
  const names = kept.map(quoteName);
  const text = `SELECT ${[...names, ...stored].join(', ')} FROM (SELECT ${[...names, ...raw].join(', ')} FROM (${query}))`;
  const left = columns.filter((column) => !isReady(column));
  return computed(text, [...kept, ...ready.map(({ name }) => name)], left, generated);
}

/** `value` as a column of this affinity stores it (https://sqlite.org/datatype3.html#type_affinity), as SQL. */
function asStored(value: string, affinity: Affinity): string {
  if (affinity === 'blob') return value;
  if (affinity === 'text')
    return `iif(typeof(${value}) IN ('integer', 'real'), CAST(${value} AS TEXT), ${value})`;
  // Compared with a number a text becomes one where it looks like one as a whole; CAST takes what it begins with.
  const [type, other] = affinity === 'real' ? ['REAL', 'integer'] : ['NUMERIC', 'real'];
  const text = `iif(${value} = CAST(${value} AS NUMERIC), CAST(${value} AS ${type}), ${value})`;
  const number =
    affinity === 'real'
      ? `CAST(${value} AS REAL)`
      : `iif(${value} = CAST(${value} AS INTEGER) AND ${value} > -9223372036854775808, CAST(${value} AS INTEGER), ${value})`;
  return `CASE typeof(${value}) WHEN 'text' THEN ${text} WHEN '${other}' THEN ${number} ELSE ${value} END`;
}
