import { DoSQLError } from '../error.ts';
import type { SqlValue } from '../value/row.ts';
import type { Budget } from './budget.ts';
import { conditionsOf, expressionOf } from './condition.ts';
import { columnIndex, compile, type Scope } from './expression.ts';
import { filterFrame, trueRows } from './expression-compare.ts';
import type { Node } from './expression-node.ts';
import { Frame } from './frame.ts';
import { Grouper } from './group.ts';
import { refuse, type Plan } from './plan.ts';
import { Declined } from './plan-expression.ts';
import { resolve, type Resolved } from './plan-resolve.ts';
import { operands, type Expression } from './plan-syntax.ts';
import { ResultRows, rowsOf, type ResultShape } from './result.ts';
import { fromParameter, toInteger, type Scalar } from './scalar.ts';
import { Scratch } from './scratch.ts';
import type { Batch, Condition, ScanTable } from './table.ts';
import { normalise } from './values.ts';
import type { ScanColumn } from './vector.ts';

/** How a query is executed. */
export interface ExecuteOptions {
  readonly signal?: AbortSignal | undefined;
  /** Integers come as bigint, all of them, and exact; else as numbers. */
  readonly bigints?: boolean;
}

/** The rows of a query, as arrays. */
export interface ExecuteResult {
  readonly names: string[];
  readonly rows: SqlValue[][];
}

/**
 * Runs a planned query over `table`. `values` are the parameters' values by number; as the platform binds them, a number is
 * a REAL and a bigint an INTEGER.
 *
 * It differs from SQLite in this, and in nothing else that is known:
 * - NaN is NULL, as SQLite would store it; a timestamp, date or time is its ISO 8601 text, but compares as the instant.
 * - A sum of integers fails when the sum itself is beyond 64 bits, not when one on the way to it is. A sum of reals may
 *   differ in the last digit, since it is exact before it is rounded.
 * - Where an expression gives times of several types, as CASE or coalesce can, they are texts to what comes after it.
 * - In a column of no one class (`any`) a number without fraction is an INTEGER.
 * - group_concat, any_value and rows without ORDER BY follow the order of the scan, equal rows of ORDER BY too.
 * - Where 1 and 1.0 are in one group, which of them stands for it. Of very small and very large REALs as text, the 17th digit.
 * - A column's collation is BINARY; times are read from texts as SQLite does, but for `now`, which is no time.
 * - What SQLite's text functions make of bytes that are no UTF-8, and of text that holds NUL, may differ.
 *
 * Functions that SQLite lacks are those of DuckDB, but for this:
 * - A median or quantile is of numbers and times. Text counts as the number that it begins with, an integer beyond ±2^53
 *   is rounded, a time is cut to microseconds; between two dates lies a date, between two times of milliseconds another.
 * - date_trunc of a date is a date. What it gives of an expression that may be of several types ends in `Z`.
 * - approx_count_distinct estimates in another way, and for 20,000 groups at most.
 *
 * @throws DoSQLError `NO_SUCH_COLUMN`, `TOO_BIG`, `BAD_PARAMETER`, `SYNTAX`, and what the table throws.
 */
export async function execute(
  plan: Plan,
  table: ScanTable,
  values: readonly SqlValue[],
  budget: Budget,
  { signal, bigints = false }: ExecuteOptions = {},
): Promise<ExecuteResult> {
  const resolved = resolveFor(plan, table);
  const scope: Scope = { columns: table.columns, slots: [], parameters: values.map(fromParameter) };
  const where = cheapestFirst(resolved.where).map((conjunct) => compile(conjunct, scope));
  const { outputs, names } = outputsOf(resolved, table.columns);
  const grouper = resolved.grouping === undefined ? undefined : new Grouper(resolved.grouping, scope);
  const above: Scope = grouper === undefined ? scope : { ...scope, slots: grouper.slots };
  const having = resolved.having.map((conjunct) => compile(conjunct, above));
  const distinct = resolved.distinct ? new Grouper({ keys: outputs, aggregates: [] }, above) : undefined;
  const last: Scope = distinct === undefined ? above : { ...scope, slots: distinct.slots };
  const shape: ResultShape = {
    outputs: outputs.map((output, index) =>
      compile(distinct === undefined ? output : { kind: 'slot', index }, last),
    ),
    order: resolved.orderBy.map(({ expression, ...term }) => ({ ...term, node: compile(expression, last) })),
    ...limitOf(resolved, scope),
    bigints,
  };
  const result = new ResultRows(shape, budget);
  const afterGroups = (frame: Frame): void => {
    const kept = filterFrame(frame, having);
    if (distinct === undefined) result.add(kept);
    else distinct.add(kept);
  };
  const conditions = conditionsOf(resolved.where, scope);
  const isTop = grouper === undefined && distinct === undefined && result.isTop;
  const first = columnsOf(isTop ? [...where, ...shape.order.map(({ node }) => node)] : where);
  const rest = columnsOf(usedNodes(resolved, scope, outputs)).filter((column) => !first.includes(column));
  const isLate = first.length > 0 && rest.length >= lateColumns(resolved.where, isTop);
  const late = namesOf(table, rest);
  const request = {
    columns: namesOf(table, isLate ? first : [...first, ...rest]),
    late: isLate ? late : [],
    conditions,
    isTransient: true,
    budget,
    signal,
  };
  const scratch = new Scratch();
  const take = (kept: Frame): void => {
    if (grouper !== undefined) grouper.add(kept);
    else afterGroups(kept);
  };
  if (!result.isFull)
    for await (const batch of areExtremes(resolved) && table.extremes !== undefined
      ? table.extremes(request)
      : table.scan(request)) {
      signal?.throwIfAborted();
      // A frame keeps what it has read in the scratch's arrays, so each work gets one of its own.
      const frame = (): Frame => frameOf(batch, table.columns);
      if (isLate) {
        const kept = scratch.use(() => keptRows(frame(), where));
        const rows = isTop
          ? at(
              kept,
              scratch.use(() => result.look(frame().select(kept))),
            )
          : kept;
        if (rows.length === 0) continue;
        await batch.fetch(late, rows.length === batch.rowCount ? undefined : rows);
        scratch.use(() => (isTop ? result.fill(frame().select(rows)) : take(frame().select(rows))));
      } else scratch.use(() => take(filterFrame(frame(), where)));
      if (result.isFull) break;
    }
  if (grouper !== undefined) afterGroups(grouper.finish());
  if (distinct !== undefined) result.add(distinct.finish());
  return { names, rows: result.finish() };
}

function resolveFor(plan: Plan, table: ScanTable): Resolved {
  try {
    return resolve(
      plan.select,
      table.columns.map(({ name }) => name),
    );
  } catch (error) {
    throw error instanceof Declined ? refuse(plan) : error;
  }
}

function outputsOf(
  resolved: Resolved,
  columns: readonly ScanColumn[],
): { outputs: Expression[]; names: string[] } {
  const outputs: Expression[] = [];
  const names: string[] = [];
  for (const output of resolved.outputs) {
    if (output === undefined) {
      for (const { name } of columns) {
        outputs.push({ kind: 'column', name });
        names.push(name);
      }
    } else {
      outputs.push(output.expression);
      names.push(
        output.isColumn ? (columns[columnIndex(columns, output.name)]?.name ?? output.name) : output.name,
      );
    }
  }
  return { outputs, names };
}

/** Everything over the table's own columns but the conditions. */
function usedNodes(resolved: Resolved, scope: Scope, outputs: readonly Expression[]): Node[] {
  const { grouping, distinct, orderBy } = resolved;
  const used =
    grouping === undefined
      ? [...outputs, ...(distinct ? [] : orderBy.map(({ expression }) => expression))]
      : [...grouping.keys, ...grouping.aggregates.flatMap(operands)];
  return used.map((expression) => compile(expression, scope));
}

function limitOf(
  { limit, offset }: Resolved,
  scope: Scope,
): { readonly limit: number; readonly offset: number } {
  const count = limit === undefined ? -1 : wholeNumber(limit, scope, 'LIMIT');
  const skip = offset === undefined ? 0 : wholeNumber(offset, scope, 'OFFSET');
  return { limit: count < 0 ? Number.POSITIVE_INFINITY : count, offset: Math.max(0, skip) };
}

function wholeNumber(expression: Expression, scope: Scope, what: string): number {
  const value: Scalar = compile(expression, scope).constant ?? null;
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  const integer = typeof number === 'number' && !Number.isInteger(number) ? null : toInteger(number);
  if (integer === null || number instanceof Uint8Array || typeof number === 'string')
    throw new DoSQLError('BAD_PARAMETER', `${what} takes a whole number, not ${String(value)}`);
  return Number(integer);
}

/** Conditions that cost least come first: the others then look at what these have left. */
function cheapestFirst(where: readonly Expression[]): Expression[] {
  return where.toSorted((a, b) => costOf(a) - costOf(b));
}

function costOf(expression: Expression): number {
  const inner = operands(expression).reduce((sum, operand) => sum + costOf(operand), 0);
  switch (expression.kind) {
    case 'call':
    case 'case':
    case 'cast':
      return inner + 20;
    case 'like':
      return inner + 10;
    case 'binary':
      return inner + (expression.operator === '||' ? 20 : 1);
    default:
      return inner + 1;
  }
}

/** Reading so many columns only where rows are left is worth another request for each batch. */
const LATE_COLUMNS = 4;
/** Where so many columns are to have one value each, batches without such a row are the rule: any column is worth it. */
const MANY_EQUAL = 3;

/** How many columns, at least, are read only where the conditions have left rows. */
function lateColumns(where: readonly Expression[], isTop: boolean): number {
  const equal = where.filter((conjunct) => conjunct.kind === 'binary' && conjunct.operator === '=');
  if (equal.length >= MANY_EQUAL) return 1;
  const isSearched = where.some((conjunct) => conjunct.kind === 'like' && !conjunct.not);
  return isTop || equal.length > 0 || isSearched ? LATE_COLUMNS : Infinity;
}

/** Whether nothing but the least and the greatest value of some columns is asked for. */
function areExtremes({ where, grouping }: Resolved): boolean {
  return (
    where.length === 0 &&
    grouping?.keys.length === 0 &&
    grouping.aggregates.every(
      ({ name, args, filter }) =>
        (name === 'min' || name === 'max') && args[0]?.kind === 'column' && filter === undefined,
    )
  );
}

function columnsOf(nodes: readonly Node[]): number[] {
  return [...new Set(nodes.flatMap(({ columns }) => columns))].toSorted((a, b) => a - b);
}

function namesOf(table: ScanTable, columns: readonly number[]): string[] {
  return columns.map((index) => (table.columns[index] as ScanColumn).name);
}

function at(rows: Uint32Array, positions: Uint32Array): Uint32Array {
  return positions.map((position) => rows[position]!);
}

/** The rows that fulfil all of `where`, in an array of their own. */
function keptRows(frame: Frame, where: readonly Node[]): Uint32Array {
  let rows: Uint32Array | undefined;
  let kept = frame;
  for (const predicate of where) {
    const some = trueRows(predicate.truths(kept));
    if (rows !== undefined) for (let i = 0; i < some.length; i++) some[i] = rows[some[i]!]!;
    rows = some;
    if (rows.length === 0) break;
    kept = frame.select(rows);
  }
  return rows?.slice() ?? Uint32Array.from({ length: frame.length }, (_, i) => i);
}

/** The batches of a scan as frames. */
async function* frames(
  table: ScanTable,
  columns: readonly number[],
  conditions: readonly Condition[],
  budget: Budget,
  signal: AbortSignal | undefined,
): AsyncGenerator<Frame> {
  for await (const batch of table.scan({ columns: namesOf(table, columns), conditions, budget, signal })) {
    signal?.throwIfAborted();
    yield frameOf(batch, table.columns);
  }
}

function frameOf(batch: Batch, columns: readonly ScanColumn[]): Frame {
  return new Frame(batch.rowCount, (index) => {
    const column = columns[index] as ScanColumn;
    return normalise(column, batch.column(column.name));
  });
}

/**
 * The columns `names` of the rows that fulfil all of `conditions`, batch by batch: what SQLite gets where the scan does
 * not answer a query itself. Integers beyond ±2^53 are bigint.
 */
export async function* project(
  table: ScanTable,
  names: readonly string[],
  conditions: readonly Condition[],
  budget: Budget,
  signal?: AbortSignal,
): AsyncGenerator<SqlValue[][]> {
  const scope: Scope = { columns: table.columns, slots: [], parameters: [] };
  const where = conditions.map((condition) =>
    compile(expressionOf(condition, table.columns[columnIndex(table.columns, condition.column)]), scope),
  );
  const outputs = names.map((name) => compile({ kind: 'column', name }, scope));
  const columns = columnsOf([...where, ...outputs]);
  for await (const frame of frames(table, columns, conditions, budget, signal)) {
    const kept = filterFrame(frame, where);
    if (kept.length === 0) continue;
    budget.emit(kept.length);
    yield rowsOf(kept, { outputs, bigints: false });
  }
}
