import { DoSQLError } from '../error.ts';
import { keepNames } from '../sql/names.ts';
import { splice, type Statement } from '../sql/statement.ts';

/** A value that a parameter takes. */
export type SqlParameter =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | Date
  | ArrayBuffer
  | ArrayBufferView;

/** Values for `?` and `?NNN` by position, or for `:a`, `@a` and `$a` by name without the sigil. */
export type SqlParameters = readonly SqlParameter[] | Readonly<Record<string, SqlParameter>>;

/** What `ctx.storage.sql.exec` takes as it is. */
export type Binding = string | number | null | ArrayBuffer | ArrayBufferView;

/** A statement's text and what to bind to it. */
export interface Bound {
  readonly sql: string;
  readonly bindings: readonly Binding[];
}

/** The platform's limit on bound parameters (https://developers.cloudflare.com/durable-objects/platform/limits/). */
const MAX_BINDINGS = 100;
const MAX_INT64 = 9_223_372_036_854_775_807n;

/**
 * The values of `params` in the order of the statement's parameter numbers.
 *
 * @throws DoSQLError `BAD_PARAMETER` when values are missing, left over, or of a kind that SQL has no value for.
 */
export function orderParameters(
  statement: Statement,
  params: SqlParameters | undefined,
): readonly SqlParameter[] {
  const { parameterCount: count, parameterNames: names, sql } = statement;
  if (params === undefined || Array.isArray(params)) {
    const given = params === undefined ? 0 : (params as readonly SqlParameter[]).length;
    if (given === count) return (params ?? []) as readonly SqlParameter[];
    throw new DoSQLError(
      'BAD_PARAMETER',
      `the statement has ${count} parameter(s), ${given} value(s) were given`,
      { sql },
    );
  }
  if (typeof params !== 'object' || params === null)
    throw new DoSQLError('BAD_PARAMETER', `parameters are an array or an object, not ${describe(params)}`, {
      sql,
    });
  const named = params as Readonly<Record<string, SqlParameter>>;
  const used = new Set<string>();
  const ordered: SqlParameter[] = [];
  for (let index = 1; index <= count; index++) {
    const text = names.get(index);
    if (text === undefined)
      throw new DoSQLError('BAD_PARAMETER', `parameter ?${index} has no name: give the values as an array`, {
        sql,
      });
    const name = text.slice(1);
    const key = [text, name, `:${name}`, `@${name}`, `$${name}`].find((key) => Object.hasOwn(named, key));
    if (key === undefined)
      throw new DoSQLError('BAD_PARAMETER', `no value was given for the parameter :${name}`, { sql });
    used.add(key);
    ordered.push(named[key]);
  }
  const extra = Object.keys(named).find((key) => !used.has(key));
  if (extra === undefined) return ordered;
  throw new DoSQLError('BAD_PARAMETER', `the statement has no parameter named "${extra}"`, { sql });
}

/** Values as the platform binds them, and how the text refers to each. */
export interface Encoded {
  /** Tells texts apart that refer differently; empty when every parameter is a plain one. */
  readonly variant: string;
  readonly bindings: Binding[];
  /** What stands in the text for the parameter with this number. */
  readonly write: (index: number) => string;
}

/**
 * Values ready to bind: booleans become 1 and 0, dates ISO-8601 text in UTC, undefined NULL; a bigint is
 * bound as text under a CAST, since the platform binds no 64-bit integer, and under a plus, which takes the
 * CAST's affinity away; past 100 parameters the values travel in one JSON array. `reserved` bindings are left free for what the caller adds.
 *
 * @throws DoSQLError `BAD_PARAMETER` for a value that SQL has none for.
 */
export function encode(sql: string, values: readonly SqlParameter[], reserved = 0): Encoded {
  const count = values.length;
  if (count === 0) return NOTHING;
  const bindings: Binding[] = Array.from({ length: count });
  let bigints: Set<number> | undefined;
  for (let i = 0; i < count; i++) {
    const value = values[i];
    if (typeof value === 'string' || typeof value === 'number' || value === null) {
      bindings[i] = value;
    } else if (typeof value === 'bigint') {
      (bigints ??= new Set()).add(i + 1);
      bindings[i] = integerText(value, i + 1, sql);
    } else {
      bindings[i] = convert(value, i + 1, sql);
    }
  }
  if (count + reserved > MAX_BINDINGS) return encodeAsJson(sql, bindings, bigints, reserved);
  if (bigints === undefined) return { variant: '', bindings, write: plain };
  const casts = bigints;
  return {
    variant: `int ${[...casts].join()}`,
    bindings,
    write: (index) => (casts.has(index) ? `(+CAST(?${index} AS INTEGER))` : plain(index)),
  };
}

/** The statement by its own text, with `values` bound. */
export function bind(statement: Statement, values: readonly SqlParameter[]): Bound {
  if (isBindable(values)) return { sql: statement.sql, bindings: values };
  const { variant, bindings, write } = encode(statement.sql, values);
  if (variant === '') return { sql: statement.sql, bindings };
  const edits = statement.parameters.map(({ start, end, index }) => ({ start, end, text: write(index) }));
  return { sql: splice(statement.sql, [...edits, ...keepNames(statement, edits)]), bindings };
}

/** Most values are bound as they are: then nothing is copied. */
function isBindable(values: readonly SqlParameter[]): values is readonly Binding[] {
  if (values.length > MAX_BINDINGS) return false;
  for (const value of values)
    if (typeof value !== 'string' && typeof value !== 'number' && value !== null) return false;
  return true;
}

function plain(index: number): string {
  return `?${index}`;
}

const NOTHING: Encoded = { variant: '', bindings: [], write: plain };

function convert(value: SqlParameter, position: number, sql: string): Binding {
  if (value === undefined) return null;
  if (value === true) return 1;
  if (value === false) return 0;
  if (value instanceof Date) {
    if (!Number.isNaN(value.getTime())) return value.toISOString();
    throw new DoSQLError('BAD_PARAMETER', `parameter ${position} is an invalid Date`, { sql });
  }
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return value;
  throw new DoSQLError(
    'BAD_PARAMETER',
    `parameter ${position} is ${describe(value)}, which is no SQL value: store JSON.stringify(value)`,
    { sql },
  );
}

function integerText(value: bigint, position: number, sql: string): string {
  if (value <= MAX_INT64 && value >= -MAX_INT64 - 1n) return String(value);
  throw new DoSQLError(
    'BAD_PARAMETER',
    `parameter ${position} is ${value}, which does not fit into 64 bits`,
    { sql },
  );
}

/** What `value` is, for an error message: a kind, and a short excerpt that carries no more than it must. */
export function describe(value: unknown): string {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null)
    return `an object (${value.constructor?.name ?? 'without prototype'})`;
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`;
  const [type, text] = [typeof value, String(value)];
  if (type === 'undefined' || type === 'object') return text;
  return text === '' ? 'an empty text' : `${type} ${text}`.slice(0, 80);
}

/**
 * Blobs stay bindings of their own, everything else is read out of one JSON text: SQLite parses it once and
 * keeps the parse while the text stays the same. Numbers keep the REAL that binding them would give.
 */
function encodeAsJson(
  sql: string,
  bindings: readonly Binding[],
  bigints: ReadonlySet<number> | undefined,
  reserved: number,
): Encoded {
  const own: Binding[] = [];
  const places = bindings.map((value, i) => {
    if (typeof value !== 'object' || value === null) return `(?1 ->> ${i})`;
    own.push(value);
    return plain(own.length + 1);
  });
  if (own.length + reserved >= MAX_BINDINGS)
    throw new DoSQLError(
      'BAD_PARAMETER',
      `${own.length} of ${bindings.length} parameters are blobs: past ${MAX_BINDINGS} at most ${MAX_BINDINGS - 1 - reserved} can be`,
      { sql },
    );
  const json = bindings.map((value, i) => {
    if (typeof value === 'number') return numberJson(value);
    if (typeof value !== 'string') return 'null';
    return bigints?.has(i + 1) === true ? value : JSON.stringify(value);
  });
  return {
    variant: `json ${places.filter((place) => !place.startsWith('(')).join()}`,
    bindings: [`[${json.join(',')}]`, ...own],
    write: (index) => places[index - 1] as string,
  };
}

function numberJson(value: number): string {
  if (Number.isNaN(value)) return 'null';
  if (!Number.isFinite(value)) return value > 0 ? '9e999' : '-9e999';
  const text = Object.is(value, -0) ? '-0.0' : String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}
