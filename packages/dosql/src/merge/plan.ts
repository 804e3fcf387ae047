import { lowerName, quoteName, tokenize, type Token } from '../sql/token.ts';
import {
  columnsIn,
  printTable,
  renamed,
  sameText,
  type ColumnDefinition,
  type TableDefinition,
} from './definition.ts';
import { sameColumn } from './elements.ts';

/** How a table gets another definition: by ALTER TABLE, or only by being made anew and filled from what it was. */
export type Plan = { readonly alters: readonly string[] } | { readonly rebuild: string };

/**
 * How to bring a table that is as `from` says to what `to` says, with its rows.
 *
 * `used` are the columns that indexes, views and triggers name: SQLite drops none of them. What SQLite refuses
 * depending on the rows in the table counts as refused here, but for CHECK: adding a column with one fails where a row
 * violates it.
 */
export function planOf(from: TableDefinition, to: TableDefinition, used: Iterable<string> = []): Plan {
  const alters = altersOf(from, to, new Set([...used].map(lowerName)));
  return alters === undefined ? { rebuild: printTable(to) } : { alters };
}

function altersOf(
  from: TableDefinition,
  to: TableDefinition,
  used: ReadonlySet<string>,
): string[] | undefined {
  if (from.isStrict !== to.isStrict || from.isWithoutRowid !== to.isWithoutRowid) return undefined;
  const kept = from.columns.flatMap((column) => {
    const now = to.columns.find((other) => sameColumn(column, other));
    return now === undefined ? [] : [{ column, now }];
  });
  const dropped = from.columns.filter((column) => !kept.some((pair) => pair.column === column));
  const added = to.columns.slice(kept.length);
  const isInOrder = kept.every(({ now }, i) => to.columns[i] === now);
  if (!isInOrder || !saysTheSame(from, to, kept) || !canDrop(from, dropped, used)) return undefined;
  if (!added.every(canAdd)) return undefined;
  const renames = renamesOf(from, dropped, kept);
  if (renames === undefined) return undefined;
  const table = `ALTER TABLE ${quoteName(to.name)}`;
  return [
    ...(from.name === to.name ? [] : [`ALTER TABLE ${quoteName(from.name)} RENAME TO ${quoteName(to.name)}`]),
    ...dropped.map(({ name }) => `${table} DROP COLUMN ${quoteName(name)}`),
    ...renames.map(([old, name]) => `${table} RENAME COLUMN ${quoteName(old)} TO ${quoteName(name)}`),
    ...added.map(({ text }) => `${table} ADD COLUMN ${text}`),
  ];
}

type Pair = { readonly column: ColumnDefinition; readonly now: ColumnDefinition };

/** Whether, names aside, what stays is defined as before. */
function saysTheSame(from: TableDefinition, to: TableDefinition, kept: readonly Pair[]): boolean {
  const renames = new Map(
    kept
      .filter(({ column, now }) => column.name !== now.name)
      .map(({ column, now }) => [lowerName(column.name), now.name]),
  );
  const same = (old: string, now: string): boolean => sameText(renamed(old, from.name, renames), now);
  const constraints = to.constraints.map(({ text }) => text);
  return (
    from.constraints.length === constraints.length &&
    from.constraints.every(({ text }, i) => same(text, constraints[i] as string)) &&
    kept.every(({ column, now }) => same(column.rest, now.rest))
  );
}

/** The names to change, unless one is still another column's when it is given. */
function renamesOf(
  from: TableDefinition,
  dropped: readonly ColumnDefinition[],
  kept: readonly Pair[],
): [string, string][] | undefined {
  const renames = kept.filter(({ column, now }) => column.name !== now.name);
  const taken = new Set(
    from.columns.filter((column) => !dropped.includes(column)).map(({ name }) => lowerName(name)),
  );
  const isFree = ({ column, now }: Pair): boolean =>
    lowerName(column.name) === lowerName(now.name) || !taken.has(lowerName(now.name));
  return renames.every(isFree) ? renames.map(({ column, now }) => [column.name, now.name]) : undefined;
}

/** SQLite drops no column that something else names, nor one that is a key. */
function canDrop(
  table: TableDefinition,
  dropped: readonly ColumnDefinition[],
  used: ReadonlySet<string>,
): boolean {
  if (dropped.length > 0 && dropped.length === table.columns.length) return false;
  return dropped.every((column) => {
    const name = lowerName(column.name);
    const { words } = traitsOf(column);
    if (used.has(name) || ['PRIMARY', 'UNIQUE', 'REFERENCES'].some((word) => words.has(word))) return false;
    const others = [
      ...table.columns.filter((other) => other !== column).map(({ rest }) => rest),
      ...table.constraints.map(({ text }) => text),
    ];
    return others.every((text) => !columnsIn(text, table.name).has(name));
  });
}

/** What SQLite takes for ADD COLUMN (https://sqlite.org/lang_altertable.html). */
function canAdd(column: ColumnDefinition): boolean {
  const { words, value } = traitsOf(column);
  if (words.has('PRIMARY') || words.has('UNIQUE')) return false;
  if (words.has('AS')) return !words.has('STORED') && !words.has('NOT NULL');
  const isNull = value === undefined || value === 'NULL';
  if (isNull) return !words.has('NOT NULL');
  return !words.has('REFERENCES') && isConstant(value);
}

/** What a column's definition consists of outside of parentheses. */
interface Traits {
  readonly words: ReadonlySet<string>;
  /** The default, without the parentheses around it. */
  readonly value: string | undefined;
}

function traitsOf({ rest }: ColumnDefinition): Traits {
  const tokens = tokenize(rest);
  const words = new Set<string>();
  let value: string | undefined;
  let depth = 0;
  tokens.forEach(({ text, kind }, i) => {
    depth += text === '(' ? 1 : text === ')' ? -1 : 0;
    if (depth > 0 || kind !== 'word') return;
    // NOT DEFERRABLE and SET DEFAULT are a foreign key's.
    words.add(text === 'NOT' && tokens[i + 1]?.text === 'NULL' ? 'NOT NULL' : text);
    if (text === 'DEFAULT' && tokens[i - 1]?.text !== 'SET') value = defaultAt(rest, tokens, i + 1);
  });
  return { words, value };
}

function defaultAt(rest: string, tokens: readonly Token[], first: number): string {
  let start = first;
  let end = first;
  if (tokens[first]?.text === '(') {
    let depth = 0;
    do {
      depth += tokens[end]?.text === '(' ? 1 : tokens[end]?.text === ')' ? -1 : 0;
      end++;
    } while (depth > 0 && end < tokens.length);
    start++;
    end--;
  } else end += /^[-+]$/.test(tokens[first]?.text ?? '') ? 2 : 1;
  return tokens
    .slice(start, end)
    .map((token) => token.text || rest.slice(token.start, token.end))
    .join(' ');
}

/** Whether a default is a literal; of other expressions SQLite takes none, or not all. */
function isConstant(value: string): boolean {
  const tokens = tokenize(value);
  const [first, second] = tokens;
  const isSigned = first?.text === '-' || first?.text === '+';
  if (tokens.length !== (isSigned ? 2 : 1)) return false;
  const kind = isSigned ? second?.kind : first?.kind;
  if (/^(?:TRUE|FALSE)$/.test(value)) return true;
  return kind === 'number' || (!isSigned && (kind === 'string' || kind === 'blob'));
}
