import type { SqlValue } from '../../src/value/row.ts';
import type { Random } from '../support/random.ts';
import { literalText, type Kind, type TableColumn } from './duckdb-tables.ts';

/** An expression in both languages. */
export interface Both {
  readonly scan: string;
  readonly duck: string;
}

export interface Value extends Both {
  readonly kind: Kind;
}

/** An expression of both languages out of others; text stands for itself. */
export function both(texts: TemplateStringsArray, ...parts: (Both | string | number)[]): Both {
  const join = (language: keyof Both): string =>
    texts.reduce((all, text, i) => {
      const part = parts[i - 1] as Both | string | number;
      return all + (typeof part === 'object' ? part[language] : part) + text;
    });
  return { scan: join('scan'), duck: join('duck') };
}

export function joined(parts: readonly Both[], separator: string): Both {
  const join = (language: keyof Both): string => parts.map((part) => part[language]).join(separator);
  return { scan: join('scan'), duck: join('duck') };
}

const quoteText = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const as = (kind: Kind, { scan, duck }: Both): Value => ({ kind, scan, duck });

/**
 * SQLite folds ASCII alone, DuckDB all letters, so that it gets macros of SQLite's meaning.
 */
export const MACROS: readonly string[] = [
  `CREATE OR REPLACE MACRO low(x) AS translate(x, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')`,
  `CREATE OR REPLACE MACRO up(x) AS translate(x, 'abcdefghijklmnopqrstuvwxyz', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ')`,
];

/** How a column stands in DuckDB's view of a file, so that its values are those of SQL here. */
export function duckColumn({ name, kind }: { name: string; kind: Kind }): string {
  switch (kind) {
    case 'integer':
    case 'big':
      return `CAST(${name} AS BIGINT) AS ${name}`;
    case 'real':
    case 'wild':
      // NaN is NULL here.
      return `CASE WHEN isnan(CAST(${name} AS DOUBLE)) THEN NULL ELSE CAST(${name} AS DOUBLE) END AS ${name}`;
    case 'text':
      return `CAST(${name} AS VARCHAR) AS ${name}`;
    case 'blob':
      // DuckDB 1.5 misses blobs when it looks them up in the Bloom filters of files, which it does for plain columns.
      return `${name} || ''::BLOB AS ${name}`;
    case 'time':
      return `CAST(${name} AS TIME) AS ${name}`;
    default:
      return name === 'utc' ? `CAST(${name} AS TIMESTAMP) AS ${name}` : name;
  }
}

/** Random expressions over the columns of a table `t` that both sides know. */
export class Expressions {
  readonly #random: Random;
  readonly #columns: readonly TableColumn[];
  /** The values of the parameters that have been named so far. */
  params: SqlValue[] = [];

  constructor(random: Random, columns: readonly TableColumn[]) {
    this.#random = random;
    this.#columns = columns;
  }

  /** Any column. */
  column(): Value {
    const { name, kind } = this.#random.pick(this.#columns);
    return { kind, scan: this.#random.chance(0.1) ? `t.${name}` : name, duck: name };
  }

  /** A column of a kind. */
  named(kind: Kind): Value {
    return this.#of(this.#random.pick(this.#columns.filter((column) => column.kind === kind)));
  }

  #of({ name, kind }: TableColumn): Value {
    return { kind, scan: name, duck: name };
  }

  /** A constant of a column's kind, mostly one that the column has. */
  #constant(column: TableColumn): Both {
    const random = this.#random;
    if (random.chance(0.03)) return both`NULL`;
    const value = random.pick(column.values) ?? null;
    const usable = value === null || Number.isNaN(value) ? undefined : value;
    const asParameter = (value: SqlValue, literal: string): string => {
      if (!random.chance(0.2)) return literal;
      this.params.push(value);
      return `?${this.params.length}`;
    };
    switch (column.kind) {
      case 'integer':
      case 'big': {
        const integer = BigInt((usable ?? 7) as number) + (random.chance(0.2) ? 1n : 0n);
        const held = integer > 2n ** 63n - 1n ? 2n ** 63n - 1n : integer;
        return { scan: asParameter(held, String(held)), duck: `CAST('${held}' AS BIGINT)` };
      }
      case 'real':
      case 'wild': {
        const real = Number(usable ?? 1.5);
        if (!Number.isFinite(real))
          return {
            scan: asParameter(real, real > 0 ? '9e999' : '-9e999'),
            duck: `CAST('${real}' AS DOUBLE)`,
          };
        const literal = /e|\./.test(String(real)) ? String(real) : `${real}.0`;
        return { scan: asParameter(real, literal), duck: `CAST('${real}' AS DOUBLE)` };
      }
      case 'text': {
        const text = String(usable ?? 'a') + (random.chance(0.1) ? 'x' : '');
        return { scan: asParameter(text, quoteText(text)), duck: quoteText(text) };
      }
      case 'blob': {
        const bytes = usable instanceof Uint8Array ? usable : Uint8Array.of(1, 2);
        const hex = Buffer.from(bytes).toString('hex');
        return { scan: asParameter(bytes, `x'${hex}'`), duck: `unhex('${hex}')` };
      }
      case 'time': {
        const text = usable === undefined ? '12:00:00' : literalText(column, usable);
        return { scan: asParameter(text, quoteText(text)), duck: `TIME '${text}'` };
      }
      case 'date': {
        const text = usable === undefined ? '1999-12-31' : literalText(column, usable);
        return { scan: asParameter(text, quoteText(text)), duck: `DATE '${text}'` };
      }
      default: {
        const text = usable === undefined ? '2001-02-03T04:05:06.000' : literalText(column, usable);
        const way = random.pick([
          text,
          text.replace('T', ' '),
          `${text}Z`,
          text.slice(0, 10),
          text.replace('T', ' ').slice(0, 16),
        ]);
        const duckType = column.name === 'ns' ? 'TIMESTAMP_NS' : 'TIMESTAMP';
        // DuckDB's cast to TIMESTAMP would drop the last three of nine digits.
        const duck = `CAST('${way.replace('Z', '')}' AS ${duckType})`;
        return { scan: asParameter(way, quoteText(way)), duck };
      }
    }
  }

  /** Any expression. */
  value(depth: number): Value {
    const random = this.#random;
    if (depth === 0 || random.chance(0.4)) return this.column();
    switch (random.int(7)) {
      case 0:
      case 1:
        return this.number(depth);
      case 2:
      case 3:
        return this.#text(depth);
      case 4:
        return this.#choice(depth);
      case 5:
        return this.#time();
      default: {
        const { scan, duck } = this.predicate(depth - 1);
        return as('integer', { scan: `(${scan})`, duck: `CAST((${duck}) AS BIGINT)` });
      }
    }
  }

  #choice(depth: number): Value {
    const random = this.#random;
    const { kind } = random.chance(0.3) ? this.named('timestamp') : random.pick(this.#columns);
    // Times with a zone and without one are different texts, where an expression can give both.
    const own = this.#columns.filter((column) => column.kind === kind && column.name !== 'utc');
    const one = (): Value => this.#of(random.pick(own));
    const value = ((): Both =>
      random.pick([
        () => both`CASE WHEN ${this.predicate(depth - 1)} THEN ${one()} ELSE ${one()} END`,
        () => both`CASE WHEN ${this.predicate(0)} THEN ${one()} WHEN ${this.predicate(0)} THEN ${one()} END`,
        () => {
          const [operand, other] = [this.named('integer'), this.named('integer')];
          return both`CASE ${operand} WHEN ${other} THEN ${one()} WHEN 3 THEN NULL ELSE ${one()} END`;
        },
        () => both`coalesce(${one()}, ${one()})`,
        () => both`nullif(${one()}, ${one()})`,
        () => {
          const [condition, a, b] = [this.predicate(depth - 1), one(), one()];
          return {
            scan: `iif(${condition.scan}, ${a.scan}, ${b.scan})`,
            duck: `CASE WHEN ${condition.duck} THEN ${a.duck} ELSE ${b.duck} END`,
          };
        },
      ])())();
    return as(kind, value);
  }

  /** A number. */
  number(depth: number): Value {
    const random = this.#random;
    const int = (): Value => this.named('integer');
    const real = (): Value => this.named('real');
    const any = (): Value => (random.chance(0.5) ? int() : real());
    if (depth === 0) return any();
    switch (random.int(14)) {
      case 0:
        return as('integer', both`(${int()} ${random.pick(['+', '-', '*'])} ${int()})`);
      case 1: {
        const [a, b] = [int(), int()];
        return as('integer', { scan: `(${a.scan} / ${b.scan})`, duck: `(${a.duck} // ${b.duck})` });
      }
      case 2:
        return as('integer', both`(${int()} % ${random.chance(0.5) ? int() : '7'})`);
      case 3:
        return as('real', both`(${real()} ${random.pick(['+', '-', '*', '/'])} ${any()})`);
      case 4:
        return as('real', both`(${any()} * ${real()} + 0.5e0)`);
      case 5: {
        const value = any();
        return as(value.kind, both`abs(${value})`);
      }
      case 6: {
        const value = real();
        return as('integer', {
          scan: `CAST(${value.scan} AS INTEGER)`,
          duck: `CAST(trunc(${value.duck}) AS BIGINT)`,
        });
      }
      case 7:
        return as('real', {
          scan: `round(r)`,
          duck: `round(r)`,
        });
      case 8: {
        const value = real();
        return as('real', both`${random.pick(['floor', 'ceil'])}(${value})`);
      }
      case 9:
        return as('integer', both`length(${this.named('text')})`);
      case 10:
        return as('integer', both`-(${int()})`);
      case 11: {
        const part = random.pick([
          'year',
          'quarter',
          'month',
          'day',
          'hour',
          'minute',
          'second',
          'dayofweek',
          'isodow',
          'dayofyear',
          'week',
        ]);
        const time = random.chance(0.8) ? this.named('timestamp') : this.named('date');
        return as(
          'integer',
          random.chance(0.8) ? both`date_part('${part}', ${time})` : both`${part}(${time})`,
        );
      }
      case 12:
        return as('integer', both`(${int()} ${random.pick(['&', '|'])} ${int()})`);
      default:
        return random.chance(0.5)
          ? as('real', both`sqrt(abs(${any()}))`)
          : as('real', { scan: 'CAST(i AS REAL)', duck: 'CAST(i AS DOUBLE)' });
    }
  }

  #time(): Value {
    const random = this.#random;
    const part = random.pick(['minute', 'hour', 'day', 'week', 'month', 'quarter', 'year', 'decade']);
    if (random.chance(0.75)) return as('timestamp', both`date_trunc('${part}', ${this.named('timestamp')})`);
    if (random.chance(0.5)) return as('date', both`date_trunc('${part}', day)`);
    const { scan, duck } = random.chance(0.5) ? this.named('timestamp') : this.named('date');
    const format = random.pick(['%Y-%m', '%Y-%m-%d', '%H:%M', '%Y week day %w', '%j', '%d.%m.%Y']);
    return as('text', { scan: `strftime('${format}', ${scan})`, duck: `strftime(${duck}, '${format}')` });
  }

  #text(depth: number): Value {
    const random = this.#random;
    const text = (): Both => (depth > 1 && random.chance(0.3) ? this.#text(depth - 1) : this.named('text'));
    switch (random.int(9)) {
      case 0:
        return as('text', both`(${text()} || ${text()})`);
      case 1:
        return as('text', { scan: `(few || i)`, duck: `(few || CAST(i AS VARCHAR))` });
      case 2: {
        const { scan, duck } = text();
        return random.chance(0.5)
          ? as('text', { scan: `lower(${scan})`, duck: `low(${duck})` })
          : as('text', { scan: `upper(${scan})`, duck: `up(${duck})` });
      }
      case 3:
      case 4: {
        const length = random.chance(0.8) ? `, ${random.int(5)}` : '';
        return as('text', both`substr(${text()}, ${1 + random.int(4)}${length})`);
      }
      case 5:
        return as('text', both`replace(${text()}, ${random.pick(["'a'", "'ä'", "'1'", "'😀'"])}, 'zz')`);
      case 6:
        return as('text', both`${random.pick(['trim', 'ltrim', 'rtrim'])}(${text()})`);
      case 7: {
        const { scan, duck } =
          this.#columns.some(({ kind }) => kind === 'blob') && random.chance(0.5)
            ? this.named('blob')
            : text();
        return as('text', { scan: `hex(${scan})`, duck: `coalesce(hex(${duck}), '')` });
      }
      default:
        return as('text', {
          scan: `CAST(day AS TEXT)`,
          duck: `strftime(day, '%Y-%m-%d')`,
        });
    }
  }

  /** A condition. */
  predicate(depth: number): Both {
    const random = this.#random;
    if (depth > 0 && random.chance(0.45)) {
      const inner = (): Both => this.predicate(depth - 1);
      return random.pick([
        () => both`${inner()} AND ${inner()}`,
        () => both`(${inner()} OR ${inner()})`,
        () => both`NOT (${inner()})`,
        () => both`${inner()} AND (${inner()} OR ${inner()})`,
      ])();
    }
    const column = random.pick(this.#columns);
    const value: Both = both`${column.name}`;
    const not = random.chance(0.25) ? ' NOT' : '';
    switch (random.int(11)) {
      case 0:
        return both`${value} IS${not} NULL`;
      case 1: {
        const many = random.chance(0.2) ? 12 : 1 + random.int(4);
        const list = random.times(many, () => this.#constant(column));
        const all = not === '' && random.chance(0.1) ? [...list, both`NULL`] : list;
        return both`${value}${not} IN (${joined(all, ', ')})`;
      }
      case 2:
        return both`${value}${not} BETWEEN ${this.#constant(column)} AND ${this.#constant(column)}`;
      case 3:
      case 4:
        return this.#like(not);
      case 5: {
        const other = this.named(column.kind);
        return both`${value} ${random.pick(['=', '<>', '<', '<=', '>', '>='])} ${other}`;
      }
      case 6: {
        const constant = this.#constant(column);
        return {
          scan: `${value.scan} IS${not} ${constant.scan}`,
          duck: `${value.duck} IS${not === '' ? ' NOT' : ''} DISTINCT FROM ${constant.duck}`,
        };
      }
      case 7: {
        const number = this.number(1);
        const constant = random.int(300) - 100;
        return both`${number} ${random.pick(['<', '>=', '='])} ${constant}`;
      }
      case 8: {
        const other = this.#constant(column);
        return random.chance(0.3)
          ? both`${other} ${random.pick(['<', '>', '='])} ${value}`
          : both`${value} >= ${other} AND ${value} < ${this.#constant(column)}`;
      }
      default:
        return both`${value} ${random.pick(['=', '<>', '<', '<=', '>', '>='])} ${this.#constant(column)}`;
    }
  }

  #like(not: string): Both {
    const random = this.#random;
    const { scan, duck } = random.chance(0.8) ? this.named('text') : this.#text(1);
    if (random.chance(0.2)) {
      const pattern = random.pick(["'a*'", "'*1?'", "'*'", "'?ä*'", "'*[0-4]'", "'[a-z]*'"]);
      return { scan: `${scan}${not} GLOB ${pattern}`, duck: `(${not} ${duck} GLOB ${pattern})` };
    }
    const pattern = random.pick([
      'a%',
      '%1',
      '%b%',
      'A_',
      '_',
      '%ä%',
      '%',
      '',
      '%3%7%',
      "it's%",
      '%😀_%',
      '__%2',
      'RED',
      '%-0000-%',
      '5%',
      '%Ü%',
    ]);
    const escape = random.chance(0.15) ? ` ESCAPE '\\'` : '';
    const text = quoteText(escape === '' ? pattern : random.pick(['50\\%', '%\\_%', 'a%', '%x\\\\%']));
    return {
      scan: `${scan}${not} LIKE ${text}${escape}`,
      duck: `low(${duck})${not} LIKE low(${text})${escape}`,
    };
  }
}
