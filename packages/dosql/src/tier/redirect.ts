import { DoSQLError } from '../error.ts';
import { hintEnd, spellStars, unqualify } from '../history/mention.ts';
import type { HandOffBuilder } from '../scan/handoff.ts';
import { keepNames } from '../sql/names.ts';
import { isUrl, parse, splice, type Statement } from '../sql/statement.ts';
import { lowerName, quoteName } from '../sql/token.ts';
import type { Binding, Bound } from '../value/parameter.ts';

/** What is read in place of a name: rows that are handed over, and those of the table of that name, if it is one. */
export interface ReadInstead {
  readonly rows: HandOffBuilder;
  /** What is read of the table's own rows; undefined where there is no table. */
  readonly table:
    | {
        readonly columns: readonly string[];
        /** Columns that only rows that are handed over still have, with SQL for what the others had in them. */
        readonly dropped: readonly { readonly name: string; readonly value: string }[];
        /** The columns that a star stands for, where these are others. */
        readonly stars: readonly string[] | undefined;
      }
    | undefined;
}

/** The platform's limit on bound parameters (https://developers.cloudflare.com/durable-objects/platform/limits/). */
const MAX_BINDINGS = 100;

/**
 * Makes a text that SQLite is to run read other rows than it names: where main's table or a URL of `instead`, by the
 * name in lower case or the URL, stands in a FROM. It is the last thing that is done to a text, so what came before,
 * which reads the past or a branch from main's table, need not know that some of its rows are elsewhere.
 */
export function redirect(bound: Bound, instead: ReadonlyMap<string, ReadInstead>): Bound {
  const [statement] = parse(bound.sql, true) as [Statement];
  const bindings: Binding[] = [...bound.bindings];
  const texts = new Map<string, string>();
  const edits: { start: number; end: number; text: string }[] = [];
  const names: string[] = [];
  const stars: typeof edits = [];
  for (const reference of statement.references) {
    const { kind, isCte, name, schema, whole, alias } = reference;
    if (isCte || (kind !== 'from' && kind !== 'in')) continue;
    if (schema !== undefined && lowerName(schema) !== 'main') continue;
    const key = isUrl(name) ? name : lowerName(name);
    const source = instead.get(key);
    if (source === undefined) continue;
    let text = texts.get(key);
    if (text === undefined) {
      const handed = source.rows.finish(bindings.length + 1);
      bindings.push(...handed.bindings);
      texts.set(key, (text = textOf(source, name, handed.sql)));
    }
    names.push(alias ?? name);
    if (source.table?.stars !== undefined)
      stars.push(...spellStars(statement, reference, source.table.stars));
    if (kind === 'in') edits.push({ ...whole, text });
    else
      edits.push({
        start: whole.start,
        end: hintEnd(statement, reference),
        text: `${text} AS ${quoteName(alias ?? name)}`,
      });
  }
  if (edits.length === 0) return bound;
  if (bindings.length > MAX_BINDINGS)
    throw new DoSQLError(
      'TOO_BIG',
      `${bound.bindings.length} parameters and ${bindings.length - bound.bindings.length} parts of rows from files are more than the ${MAX_BINDINGS} that SQLite takes: read fewer rows of the files`,
      { sql: bound.sql },
    );
  // A `?` takes the number behind the highest so far, which would not be its own any more.
  const parameters = statement.parameters.map(({ start, end, index }) => ({ start, end, text: `?${index}` }));
  const { whole, inside } = unqualify(statement, names);
  const named = [...edits, ...parameters, ...inside];
  return { sql: splice(bound.sql, [...named, ...keepNames(statement, named), ...whole, ...stars]), bindings };
}

function textOf({ table }: ReadInstead, name: string, handed: string): string {
  if (table === undefined) return `(${handed})`;
  const own = table.columns.map(quoteName);
  const { dropped } = table;
  const list = [...own, ...dropped.map(({ name }) => quoteName(name))].join(', ');
  const present = [...own, ...dropped.map(({ name, value }) => `${value} AS ${quoteName(name)}`)].join(', ');
  // The table comes first: the first of a compound decides how its columns compare.
  return `(SELECT ${present} FROM main.${quoteName(name)} UNION ALL SELECT ${list} FROM (${handed}))`;
}
