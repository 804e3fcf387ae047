import type { Random } from '../support/random.ts';

/** What an expression gives: an integer, a real, a text, or any of them. */
export type Type = 'I' | 'R' | 'T';

/** A column that an expression can name. */
export interface Column {
  /** As it is written: with its table's alias, if it has one. */
  readonly sql: string;
  readonly type: Type;
}

/** A column of a result. */
export interface Item {
  readonly sql: string;
  readonly type: Type;
}

const TEXTS = ['a', 'A', 'b', 'abc', 'Abcd', 'b%', '', ' pad ', '10', '9', 'ä', "it''s", 'x_y'];
const PATTERNS = ['a%', '%b%', '_b%', 'A%', '%', '10', '%_y', '%s', ''];
const GLOBS = ['a*', '*b*', '?b*', '[aA]*', '*', '[^a]*', '*[0-9]'];

/** A constant as SQL text. */
export function constant(random: Random, type: Type): string {
  if (random.chance(0.08)) return 'NULL';
  if (type === 'I') return String(random.int(12) - 2);
  if (type === 'R') return (random.int(40) / 4 - 2).toFixed(2);
  return `'${random.pick(TEXTS)}'`;
}

/**
 * An expression of the type over these columns. Its numbers are small and its reals quarters, as long as nothing is
 * divided, so that sums do not depend on the order of rows.
 */
export function expression(random: Random, columns: readonly Column[], type: Type, depth = 2): string {
  const own = columns.filter((column) => column.type === type);
  if (depth === 0 || random.chance(0.25))
    return own.length > 0 && random.chance(0.75) ? random.pick(own).sql : constant(random, type);
  const of = (each: Type): string => expression(random, columns, each, depth - 1);
  if (random.chance(0.15)) return conditional(random, columns, type, depth);
  if (type === 'I')
    return random.pick([
      () => `(${of('I')} ${random.pick(['+', '-', '&', '|', '%', '/'])} ${of('I')})`,
      () => `length(${of('T')})`,
      () => `abs(${of('I')})`,
      () => `instr(${of('T')}, ${of('T')})`,
      () => `(${condition(random, columns, depth - 1)})`,
      () => `CAST(${of(random.pick(['R', 'T']))} AS INTEGER)`,
      () => `unicode(${of('T')})`,
      () => `-(${of('I')})`,
      () => `(${of('I')} << ${random.int(3)})`,
      () => `sign(${of('R')})`,
    ])();
  if (type === 'R')
    return random.pick([
      () => `(${of('R')} ${random.pick(['+', '-'])} ${of('I')})`,
      () => `(${of('R')} * ${1 + random.int(3)})`,
      () => `CAST(${of('I')} AS REAL)`,
      () => `round(${of('R')})`,
      () => `abs(${of('R')})`,
      () => `floor(${of('R')})`,
    ])();
  return random.pick([
    () => `(${of('T')} || ${of('T')})`,
    () => `${random.pick(['upper', 'lower', 'trim', 'ltrim', 'hex', 'quote'])}(${of('T')})`,
    () => `substr(${of('T')}, ${random.int(5) - 2}${random.chance(0.5) ? `, ${random.int(4) - 1}` : ''})`,
    () => `replace(${of('T')}, 'a', ${of('T')})`,
    () => `typeof(${of(random.pick(['I', 'R', 'T']))})`,
    () => `CAST(${of('I')} AS TEXT)`,
    () => `printf('%03d|%s', ${of('I')}, ${of('T')})`,
    () => `quote(${of(random.pick(['I', 'T']))})`,
    () => `char(64 + abs(${of('I')}) % 26)`,
  ])();
}

function conditional(random: Random, columns: readonly Column[], type: Type, depth: number): string {
  const of = (each: Type): string => expression(random, columns, each, depth - 1);
  return random.pick([
    () => `CASE WHEN ${condition(random, columns, depth - 1)} THEN ${of(type)} ELSE ${of(type)} END`,
    () => `CASE ${of('I')} WHEN ${of('I')} THEN ${of(type)} WHEN ${of('I')} THEN ${of(type)} END`,
    () => `coalesce(${of(type)}, ${of(type)})`,
    () => `ifnull(${of(type)}, ${of(type)})`,
    () => `nullif(${of(type)}, ${of(type)})`,
    () => `iif(${condition(random, columns, depth - 1)}, ${of(type)}, ${of(type)})`,
    () => `max(${of(type)}, ${of(type)})`,
  ])();
}

/** A condition over these columns, which is true, false or NULL. */
export function condition(random: Random, columns: readonly Column[], depth = 2): string {
  const type = random.pick<Type>(['I', 'I', 'R', 'T', 'T']);
  const of = (each: Type): string => expression(random, columns, each, Math.max(0, depth - 1));
  const compare = (): string => `${of(type)} ${random.pick(['=', '<', '>', '<=', '>=', '<>'])} ${of(type)}`;
  if (depth === 0) return compare();
  const inner = (): string => condition(random, columns, depth - 1);
  return random.pick([
    compare,
    compare,
    () => `(${inner()} AND ${inner()})`,
    () => `(${inner()} OR ${inner()})`,
    () => `NOT (${inner()})`,
    () => `${of(type)} IS ${random.pick(['', 'NOT '])}${random.chance(0.5) ? 'NULL' : of(type)}`,
    () => `${of(type)} IS ${random.pick(['', 'NOT '])}DISTINCT FROM ${of(type)}`,
    () =>
      `${of(type)} ${random.pick(['', 'NOT '])}BETWEEN ${constant(random, type)} AND ${constant(random, type)}`,
    () =>
      `${of(type)} ${random.pick(['', 'NOT '])}IN (${random.times(1 + random.int(4), () => constant(random, type)).join(', ')})`,
    () => `${of('T')} ${random.pick(['', 'NOT '])}LIKE '${random.pick(PATTERNS)}'`,
    () => `${of('T')} LIKE '%x#_y' ESCAPE '#'`,
    () => `${of('T')} ${random.pick(['', 'NOT '])}GLOB '${random.pick(GLOBS)}'`,
    () => `${of('T')} = ${of('T')} COLLATE ${random.pick(['NOCASE', 'BINARY', 'RTRIM'])}`,
    () => `(${of('I')}, ${of('T')}) ${random.pick(['=', '<', '>=', 'IS'])} (${of('I')}, ${of('T')})`,
    () => `(${inner()}) IS ${random.pick(['TRUE', 'FALSE', 'NOT TRUE', 'NOT FALSE', 'NULL'])}`,
    () => `${of('T')} ${random.pick(['<', '=', '>'])} ${of('I')}`,
  ])();
}

/** Columns of a result, each with a name of its own, or with that which SQLite makes of its text. */
export function items(random: Random, columns: readonly Column[], count: number): Item[] {
  const names = new Set<string>();
  return random.times(count, (i): Item => {
    const type = random.pick<Type>(['I', 'R', 'T']);
    const sql = expression(random, columns, type);
    // A name that is a number would come first in an object.
    const isNamed = names.has(sql) || /^\d+$/.test(sql) || random.chance(0.6);
    names.add(sql);
    return { sql: isNamed ? `${sql} AS c${i}` : sql, type };
  });
}
