import { quoted, type Random } from './random.ts';
import type { SqlParameter } from '../../src/index.ts';

/** A table as the generator knows it. */
export interface KnownTable {
  readonly name: string;
  readonly columns: readonly string[];
  readonly writable: readonly string[];
}

/** One call, in DoSQL's form and in that of plain `sql.exec`. */
export interface Call {
  readonly sql: string;
  readonly params: readonly SqlParameter[] | Readonly<Record<string, SqlParameter>>;
  readonly plainSql: string;
  readonly plainParams: readonly (string | number | null | Uint8Array)[];
}

export type Step =
  | { readonly kind: 'query'; readonly call: Call }
  | { readonly kind: 'run'; readonly call: Call }
  | { readonly kind: 'exec'; readonly sql: string; readonly statements: readonly string[] }
  | { readonly kind: 'batch'; readonly calls: readonly Call[] }
  | { readonly kind: 'transaction'; readonly steps: readonly Step[]; readonly fails: boolean };

type Piece = string | { readonly value: SqlParameter };

const NAMES = ['t', 'u', 'order', 'a b', 'naïve', 'NAÏVE', 'x"y', 'select', 'q`z', "it's", 'Été', 'w[0'];
const COLUMNS = ['a', 'b', 'c', 'end', 'key', 'e f', 'größe', 'GRÖSSE', 'ä"', 'replace', 'rowid2', 'from'];
const TYPES = [
  '',
  'INTEGER',
  'INT',
  'TEXT',
  'REAL',
  'NUMERIC',
  'BLOB',
  'VARCHAR(10)',
  'DOUBLE',
  'BOOLEAN',
  'DATETIME',
];
const STRICT_TYPES = ['INTEGER', 'TEXT', 'REAL', 'BLOB', 'ANY'];

/** Statements over whatever tables there are. Without `replaces` none has REPLACE, and triggers may fire themselves. */
export class Statements {
  readonly #random: Random;
  readonly #replaces: boolean;
  /** A branch's triggers make a STRICT table look at types before NULLs. */
  readonly #hasBranches: boolean;
  tables: readonly KnownTable[] = [];

  constructor(random: Random, replaces: boolean, hasBranches = false) {
    this.#random = random;
    this.#replaces = replaces;
    this.#hasBranches = hasBranches;
  }

  value(): SqlParameter {
    const r = this.#random;
    return r.pick<() => SqlParameter>([
      () => r.int(6),
      () => r.int(6),
      () => r.int(6),
      () => -r.int(3),
      () => r.next() * 10,
      () => 0.1 + 0.2,
      () => -0,
      () => 1e300,
      () => null,
      () => undefined,
      () => r.pick(['', 'a', 'A', 'abc', '5', ' 5', '1e2', 'naïve', '💥', "it's", 'x'.repeat(300)]),
      () => BigInt(r.int(6)),
      () => 9_007_199_254_740_993n,
      () => -9_223_372_036_854_775_808n,
      () => r.chance(0.5),
      () => new Date(1_700_000_000_000 + r.int(5)),
      () => new Uint8Array(r.times(r.int(4), () => r.int(256))),
      () => Infinity,
    ])();
  }

  /** A value as SQL text. */
  literal(): string {
    return plainLiteral(this.value());
  }

  step(): Step {
    const r = this.#random;
    const dice = r.next();
    if (dice < 0.14 || this.tables.length === 0) return { kind: 'run', call: this.call([this.ddl()]) };
    if (dice < 0.2) return this.script();
    if (dice < 0.26) return { kind: 'batch', calls: r.times(1 + r.int(4), () => this.call(this.dml())) };
    if (dice < 0.34) return this.transaction(0);
    if (dice < 0.62) return { kind: 'query', call: this.call(this.query()) };
    return { kind: r.chance(0.7) ? 'run' : 'query', call: this.call(this.dml()) };
  }

  transaction(depth: number): Step {
    const r = this.#random;
    const steps = r.times(1 + r.int(4), (): Step => {
      const dice = r.next();
      if (dice < 0.2 && depth < 2) return this.transaction(depth + 1);
      if (dice < 0.3) return { kind: 'run', call: this.call([this.ddl()]) };
      if (dice < 0.4) return this.script();
      return dice < 0.6
        ? { kind: 'query', call: this.call(this.query()) }
        : { kind: 'run', call: this.call(this.dml()) };
    });
    return { kind: 'transaction', steps, fails: r.chance(0.35) };
  }

  /** Several statements, which may fail half-way. */
  script(): Step {
    const r = this.#random;
    const texts = r.times(1 + r.int(4), () =>
      r.chance(0.25)
        ? this.ddl()
        : this.dml()
            .map((piece) => (typeof piece === 'string' ? piece : plainLiteral(piece.value)))
            .join(''),
    );
    const separator = r.pick([';', '; ', ';\n-- a; comment\n', '; /* ; */ ;']);
    return { kind: 'exec', sql: texts.join(separator) + (r.chance(0.2) ? ';' : ''), statements: texts };
  }

  #table(): KnownTable {
    return this.#random.pick(this.tables);
  }

  #name(name: string): string {
    return quoted(this.#random, name);
  }

  #column(table: KnownTable): string {
    return this.#name(this.#random.chance(0.03) ? 'missing' : this.#random.pick(table.columns));
  }

  ddl(): string {
    const r = this.#random;
    const dice = r.next();
    const tables = this.tables.filter(({ name }) => name !== 'parent' && name !== 'audit');
    if (dice < 0.35 || tables.length === 0) return this.#createTable();
    const table = r.pick(tables);
    const name = this.#name(table.name);
    const fresh = this.#name(r.pick(COLUMNS));
    const n = r.int(1_000);
    const column = this.#column(table);
    return r.pick<() => string>([
      () =>
        `ALTER TABLE ${name} ADD ${r.pick(['', 'COLUMN '])}${fresh} ${r.pick(TYPES)}${r.pick(['', " DEFAULT 'd'", ' NOT NULL DEFAULT 5', ' COLLATE NOCASE', ' CHECK (1)', ' AS (1 + 1)'])}`,
      () => `ALTER TABLE ${name} RENAME TO ${this.#name(r.pick(NAMES))}`,
      () => `ALTER TABLE ${name} RENAME ${r.pick(['', 'COLUMN '])}${column} TO ${fresh}`,
      () => `ALTER TABLE ${name} DROP ${r.pick(['', 'COLUMN '])}${column}`,
      () => `DROP TABLE ${r.pick(['', 'IF EXISTS '])}${r.chance(0.3) ? this.#name(r.pick(NAMES)) : name}`,
      () =>
        `CREATE ${r.pick(['', 'UNIQUE '])}INDEX i${n} ON ${name}(${column}${r.pick(['', ' DESC', ' COLLATE NOCASE'])}${r.chance(0.3) ? `, ${this.#column(table)}` : ''})${r.chance(0.3) ? ` WHERE ${column} IS NOT NULL` : ''}`,
      () => `CREATE INDEX i${n} ON ${name}(lower(${column}))`,
      () =>
        `CREATE VIEW ${r.pick(['', 'IF NOT EXISTS '])}v${r.int(4)} AS SELECT ${column} AS x, count(*) AS n FROM ${name} GROUP BY 1`,
      () => `DROP VIEW IF EXISTS v${r.int(4)}`,
      () => `CREATE TABLE IF NOT EXISTS ${this.#name(r.pick(NAMES))} AS SELECT * FROM ${name}`,
      () =>
        `CREATE TRIGGER tr${n} AFTER ${r.pick(this.#replaces ? ['INSERT', 'UPDATE'] : ['INSERT', 'UPDATE', 'DELETE'])} ON ${name} BEGIN INSERT INTO audit(what, at) VALUES('tr${n}; x', CASE WHEN 1 THEN 2 ELSE 3 END); END`,
      () =>
        this.#replaces
          ? `DROP INDEX IF EXISTS i${n}`
          : `CREATE TRIGGER tr${n} AFTER UPDATE ON ${name} BEGIN UPDATE ${name} SET ${this.#name(r.pick(table.writable))} = 'touched' WHERE ${column} IS NEW.${column}; END`,
    ])();
  }

  #createTable(): string {
    const r = this.#random;
    const strict = r.chance(0.2);
    const names = r.some(COLUMNS).slice(0, 5);
    const withoutRowid = r.chance(0.2) && !(strict && this.#hasBranches);
    const picked = withoutRowid
      ? r.pick(['first', 'pair'])
      : r.pick(['none', 'integer', 'integer', 'auto', 'first', 'pair', 'desc']);
    // Any other key of a STRICT table is NOT NULL.
    const primary = strict && this.#hasBranches && !/^(?:none|auto)$/.test(picked) ? 'integer' : picked;
    const rowidName = primary === 'integer' || primary === 'auto' || primary === 'desc' ? 'id' : undefined;
    const types: string[] = [];
    const columns = names.map((name, i) => {
      const type = r.pick(strict ? STRICT_TYPES : TYPES);
      types.push(type);
      const constraints = [
        r.chance(0.1) && !(strict && this.#hasBranches) ? ' NOT NULL' : '',
        r.chance(0.15) ? ' COLLATE NOCASE' : '',
        r.chance(0.1) ? " DEFAULT 'x'" : '',
        r.chance(0.1) ? ` UNIQUE${this.#replaces && r.chance(0.3) ? ' ON CONFLICT REPLACE' : ''}` : '',
        r.chance(0.05) ? ' ON CONFLICT IGNORE' : '',
        r.chance(0.08) ? ` CHECK (typeof(${this.#name(name)}) <> 'real')` : '',
      ]
        .join('')
        .replace(/^ ON CONFLICT IGNORE$/, '')
        .replace(/(DEFAULT 'x'|NOCASE) ON CONFLICT IGNORE/, '$1')
        .replace('REPLACE ON CONFLICT IGNORE', 'REPLACE');
      if (i > 0 && i === names.length - 1 && r.chance(0.3))
        return `${this.#name(name)} ${type} AS (${this.#name(names[0] as string)} || 'g')${r.pick(['', ' STORED', ' VIRTUAL'])}`;
      return `${this.#name(name)} ${type}${constraints}`;
    });
    const keys = names.slice(0, primary === 'pair' ? 2 : 1).map((name) => this.#name(name));
    if (rowidName !== undefined)
      columns.unshift(
        `id INTEGER PRIMARY KEY${primary === 'auto' ? ' AUTOINCREMENT' : primary === 'desc' ? ' DESC' : ''}`,
      );
    else if (primary !== 'none') columns.push(`PRIMARY KEY (${keys.join(', ')})`);
    if (r.chance(0.3)) {
      const parent = r.pick(['', '(id)', '(code)']);
      // SQLite looks for children by an index with the parent's value turned into a number, and shows it so to AFTER
      // triggers as OLD, the log's as well as others: '0.0' is deleted as 0.
      const isTurned = parent === '(code)' && !/^$|CHAR|TEXT|BLOB|ANY/.test(types[0] as string);
      columns.push(
        `FOREIGN KEY (${keys[0]}) REFERENCES parent${isTurned ? '(id)' : parent} ON DELETE ${r.pick(['CASCADE', 'SET NULL', 'RESTRICT', 'NO ACTION'])} ON UPDATE ${r.pick(['CASCADE', 'SET DEFAULT', 'NO ACTION'])}`,
      );
    }
    const options = [withoutRowid ? 'WITHOUT ROWID' : '', strict ? 'STRICT' : '']
      .filter((option) => option !== '')
      .join(', ');
    return `CREATE TABLE ${r.pick(['', '', 'IF NOT EXISTS '])}${this.#name(r.pick(NAMES))}(${columns.join(', ')}) ${options}`;
  }

  dml(): Piece[] {
    const r = this.#random;
    const table = this.#table();
    const name = this.#name(table.name);
    let fails = false;
    const p = (): Piece => ({ value: fails ? r.int(6) : this.value() });
    const where = (): Piece[] => this.#where(table);
    const returning = (): string =>
      r.chance(0.25) ? ` RETURNING ${r.pick(['*', `${this.#column(table)} AS r`, '1 + 1'])}` : '';
    const columns = r.chance(0.5) ? table.writable : r.some(table.writable);
    const list = columns.map((column) => this.#name(column)).join(', ');
    const row = (): Piece[] => [
      '(',
      ...columns.flatMap((_, i) => [i === 0 ? '' : ', ', r.chance(0.1) && !fails ? this.literal() : p()]),
      ')',
    ];
    const or = (): string => {
      const clause = r.pick([
        '',
        '',
        '',
        'OR IGNORE ',
        'OR ABORT ',
        'OR FAIL ',
        ...(this.#replaces ? ['OR REPLACE '] : []),
      ]);
      // A type that the rowid does not take is no constraint: plain SQLite, without triggers, then keeps rows or not.
      fails = clause === 'OR FAIL ';
      return clause;
    };
    const source = this.#table();
    const set = (): Piece[] =>
      r
        .some(table.writable)
        .slice(0, 2)
        .flatMap((column, i): Piece[] => [
          i === 0 ? '' : ', ',
          this.#name(column),
          ' = ',
          r.chance(0.2) && !fails ? this.#column(table) : p(),
        ]);
    return r.pick<() => Piece[]>([
      () => [`INSERT ${or()}INTO ${name}(${list}) VALUES `, ...row(), returning()],
      () => [`INSERT INTO ${name}(${list}) VALUES `, ...row()],
      () => [
        `INSERT ${or()}INTO ${name}(${list}) VALUES `,
        ...r.times(1 + r.int(4), (i) => [i === 0 ? '' : ', ', ...row()]).flat(),
        returning(),
      ],
      () => [this.#replaces ? 'REPLACE' : 'INSERT', ` INTO ${name}(${list}) VALUES `, ...row()],
      () => [
        `INSERT ${or().replace('OR FAIL ', '')}INTO ${name}(${list}) SELECT ${columns.map(() => this.#column(source)).join(', ')} FROM ${this.#name(source.name)} ORDER BY ${columns.map((_, i) => i + 1).join(', ')} LIMIT 3`,
        returning(),
      ],
      () => [`INSERT INTO ${name} DEFAULT VALUES`],
      () => [
        `INSERT INTO ${name}(${list}) VALUES `,
        ...row(),
        ' ON CONFLICT DO ',
        ...(r.chance(0.4) ? ['NOTHING'] : ['UPDATE SET ', ...set()]),
        returning(),
      ],
      () => [
        `WITH s(x) AS (SELECT `,
        p(),
        `) INSERT INTO ${name}(${columns.map((column) => this.#name(column))[0]}) SELECT x FROM s`,
      ],
      () => [`UPDATE ${or()}${name} SET `, ...set(), ...where(), returning()],
      () => [`UPDATE ${or()}${name} SET `, ...set(), ...where(), returning()],
      () => [
        `UPDATE ${name} SET `,
        ...set(),
        ` FROM (SELECT ${this.#column(source)} AS z FROM ${this.#name(source.name)} ORDER BY 1 LIMIT 1) AS s WHERE s.z IS NOT `,
        p(),
      ],
      () => [
        `WITH k AS (SELECT `,
        p(),
        ` AS x) UPDATE ${name} SET `,
        ...set(),
        ` WHERE ${this.#column(table)} IN k`,
      ],
      () => [`DELETE FROM ${name}`, ...where(), returning()],
      () => [
        `DELETE FROM ${name} WHERE ${this.#column(table)} IN (SELECT ${this.#column(source)} FROM ${this.#name(source.name)} WHERE ${this.#column(source)} > `,
        p(),
        ')',
      ],
    ])();
  }

  #where(table: KnownTable): Piece[] {
    const r = this.#random;
    if (r.chance(0.15)) return [];
    const condition = (): Piece[] => [
      this.#column(table),
      ` ${r.pick(['=', '<', '>=', 'IS', 'IS NOT', '<>', 'LIKE', '=='])} `,
      r.chance(0.2) ? this.literal() : { value: this.value() },
    ];
    return [' WHERE ', ...condition(), ...(r.chance(0.3) ? [r.pick([' AND ', ' OR ']), ...condition()] : [])];
  }

  query(): Piece[] {
    const r = this.#random;
    const table = this.#table();
    const other = this.#table();
    const name = this.#name(table.name);
    const [column, second, far] = [this.#column(table), this.#column(table), this.#column(other)];
    const p = (): Piece => ({ value: this.value() });
    return r.pick<() => Piece[]>([
      () => [`SELECT * FROM ${name}`, ...this.#where(table)],
      () => [
        `SELECT ${column}, ${second} AS z, `,
        p(),
        ` AS p FROM ${name} AS q`,
        ...this.#where(table),
        ' ORDER BY 1, 2',
      ],
      () => [
        `SELECT count(*), max(${column}), group_concat(typeof(${second})) FROM ${name}`,
        ...this.#where(table),
      ],
      () => [
        `SELECT a.*, b.${far} FROM ${name} AS a LEFT JOIN ${this.#name(other.name)} AS b ON a.${column} = b.${far} LIMIT 20`,
      ],
      () => [
        `WITH c AS (SELECT ${column} AS x FROM ${name}`,
        ...this.#where(table),
        `) SELECT x, count(*) AS n FROM c GROUP BY x HAVING n >= `,
        p(),
      ],
      () => [
        `SELECT ${column}, row_number() OVER (ORDER BY ${second}, ${column}) AS n FROM ${name} ORDER BY n`,
      ],
      () => [
        `SELECT ${column} FROM ${name} `,
        r.pick(['UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT']),
        ` SELECT ${far} FROM ${this.#name(other.name)} ORDER BY 1`,
      ],
      () => [
        `SELECT ${column} FROM ${name} WHERE EXISTS (SELECT 1 FROM ${this.#name(other.name)} WHERE ${far} IS NOT `,
        p(),
        ')',
      ],
      () => [
        `SELECT ${column}, (SELECT count(*) FROM ${this.#name(other.name)} AS o WHERE o.${far} = q.${column}) AS n FROM ${name} AS q`,
      ],
      () => [
        'SELECT ',
        p(),
        ' AS a, typeof(',
        p(),
        ') AS b, ',
        p(),
        ' || ',
        p(),
        ' AS c, quote(',
        p(),
        ') AS d',
      ],
      () => [
        `SELECT quote(${column}) AS q FROM ${name} WHERE ${column} IN (`,
        ...r.times(120, (i) => [i === 0 ? '' : ',', p()]).flat(),
        ')',
      ],
      () => [
        `SELECT type, name, tbl_name, sql FROM sqlite_${r.pick(['master', 'schema'])} WHERE type <> 'trigger' AND name NOT GLOB '_cf_*' ORDER BY name`,
      ],
      () => ['SELECT last_insert_rowid() AS r'],
      () => [`SELECT * FROM v${r.int(4)} ORDER BY 1`],
      () => [`PRAGMA table_info(${name})`],
      () => ['VALUES (', p(), ', 1), (2, ', p(), ')'],
      () => ['SELECT FROM'],
      () => [`SELECT nothing(${column}) FROM ${name}`],
    ])();
  }

  /** Pieces as a call, its parameters in one of the styles that SQLite takes. */
  call(pieces: readonly Piece[]): Call {
    const r = this.#random;
    const values = pieces.flatMap((piece) => (typeof piece === 'string' ? [] : [piece.value]));
    const style = r.pick(['?', '?', '?', '?n', ':', '@', '$', '$::'] as const);
    const order = r.some(values.map((_, i) => i));
    const numbers = [...order, ...[...values.keys()].filter((i) => !order.includes(i))];
    const isPlain = values.length <= 100;
    let at = 0;
    let sql = '';
    let plainSql = '';
    const plainParams: (string | number | null | Uint8Array)[] = [];
    for (const piece of pieces) {
      if (typeof piece === 'string') {
        sql += piece;
        plainSql += piece;
        continue;
      }
      const i = at++;
      sql +=
        style === '?'
          ? '?'
          : style === '?n'
            ? `?${numbers.indexOf(i) + 1}`
            : style === '$::'
              ? `$p${i}::x(y)`
              : `${style}p${i}`;
      if (!isPlain || typeof piece.value === 'bigint') plainSql += plainLiteral(piece.value);
      else {
        plainSql += '?';
        plainParams.push(plainValue(piece.value));
      }
    }
    const params =
      style === '?'
        ? values
        : style === '?n'
          ? numbers.map((i) => values[i])
          : Object.fromEntries(values.map((value, i) => [style === '$::' ? `p${i}::x(y)` : `p${i}`, value]));
    return { sql, params: values.length === 0 ? [] : params, plainSql, plainParams };
  }
}

function plainValue(value: SqlParameter): string | number | null | Uint8Array {
  if (value === undefined || value === null) return null;
  if (typeof value === 'boolean' || typeof value === 'bigint') return Number(value);
  return value instanceof Date ? value.toISOString() : (value as string | number | Uint8Array);
}

/** The literal of what a parameter binds: numbers are REAL, as the platform binds them. */
function plainLiteral(value: SqlParameter): string {
  if (typeof value === 'bigint') return String(value);
  const plain = plainValue(value);
  if (plain === null) return 'NULL';
  if (typeof plain === 'string') return `'${plain.replaceAll("'", "''")}'`;
  if (typeof plain !== 'number')
    return `x'${[...plain].map((byte) => byte.toString(16).padStart(2, '0')).join('')}'`;
  if (!Number.isFinite(plain)) return plain > 0 ? '9e999' : '-9e999';
  const text = Object.is(plain, -0) ? '-0.0' : String(plain);
  return /[.e]/.test(text) ? text : `${text}.0`;
}
