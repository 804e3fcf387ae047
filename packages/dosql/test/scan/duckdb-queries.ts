import type { SqlValue } from '../../src/value/row.ts';
import type { Random } from '../support/random.ts';
import { both, Expressions, joined, type Both, type Value } from './duckdb-expressions.ts';
import type { Kind, TableColumn } from './duckdb-tables.ts';

/** What a value of a result is, by which it is compared. */
export type OutputKind = Kind | 'estimate' | 'list';

/** The same query for the scan, in SQLite's words, and for DuckDB, in its own. */
export interface Query {
  readonly scan: string;
  readonly params: readonly SqlValue[];
  readonly duck: string;
  readonly kinds: readonly OutputKind[];
  /** Whether the order of the rows is part of the answer. */
  readonly isOrdered: boolean;
}

const isWhole = (kind: Kind): boolean => kind === 'integer' || kind === 'big';

/** Random queries over a table `t` that both sides know. */
export class DuckQueries {
  readonly #random: Random;
  readonly #columns: readonly TableColumn[];
  readonly #hasOrder: boolean;
  readonly #expressions: Expressions;

  /** `hasOrder`: rows of the table come in the same order on both sides. */
  constructor(random: Random, columns: readonly TableColumn[], hasOrder = true) {
    this.#random = random;
    this.#columns = columns;
    this.#hasOrder = hasOrder;
    this.#expressions = new Expressions(random, columns);
  }

  query(): Query {
    this.#expressions.params = [];
    const random = this.#random;
    const where = random.chance(0.75) ? both` WHERE ${this.#expressions.predicate(2)}` : both``;
    const shape = random.next();
    const query =
      shape < 0.5 ? this.#grouped(where) : shape < 0.6 ? this.#distinct(where) : this.#plain(where);
    return { ...query, params: this.#expressions.params };
  }

  #finish(
    select: Both,
    outputs: readonly { value: Both; kind: OutputKind }[],
    tail: Both,
    isOrdered: boolean,
  ): Query {
    const kinds = outputs.map(({ kind }) => kind);
    const names = outputs.map((_, i) => `o${i}`).join(', ');
    const list = joined(
      outputs.map(({ value }, i) => both`${value} AS o${i}`),
      ', ',
    );
    const { scan, duck } = both`${select} ${list} FROM t${tail}`;
    return { scan, duck: `SELECT ${names} FROM (${duck})`, kinds, isOrdered, params: [] };
  }

  #plain(where: Both): Query {
    const random = this.#random;
    const outputs = random.chance(0.15)
      ? this.#columns.map((column) => ({ value: both`${column.name}`, kind: column.kind }))
      : random.times(1 + random.int(4), () => {
          const value = this.#expressions.value(2);
          return { value, kind: value.kind };
        });
    const limit = random.chance(0.8)
      ? ` LIMIT ${random.int(30)}${random.chance(0.4) ? ` OFFSET ${random.int(40)}` : ''}`
      : '';
    // Without ORDER BY rows come as they stand in the file, on both sides.
    if (this.#hasOrder && random.chance(0.3))
      return this.#finish(both`SELECT`, outputs, both`${where}${limit}`, true);
    const order = random.times(random.int(3), () => this.#term(this.#expressions.value(1)));
    const tail = both`${where} ORDER BY ${joined([...order, both`id`], ', ')}${limit}`;
    return this.#finish(both`SELECT`, outputs, tail, true);
  }

  #term(value: Both): Both {
    const random = this.#random;
    const isDown = random.chance(0.5);
    const direction = isDown ? ' DESC' : random.pick(['', ' ASC']);
    const said = random.pick([undefined, 'FIRST', 'LAST']);
    const nulls = said ?? (isDown ? 'LAST' : 'FIRST');
    return {
      scan: `${value.scan}${direction}${said === undefined ? '' : ` NULLS ${said}`}`,
      duck: `${value.duck}${direction} NULLS ${nulls}`,
    };
  }

  #distinct(where: Both): Query {
    const random = this.#random;
    const values = random.times(1 + random.int(3), () =>
      random.chance(0.6) ? this.#expressions.column() : this.#expressions.value(1),
    );
    const outputs = values.map((value) => ({ value, kind: value.kind }));
    if (random.chance(0.5)) return this.#finish(both`SELECT DISTINCT`, outputs, where, false);
    const order = joined(
      values.map((_, i) => this.#term(both`${i + 1}`)),
      ', ',
    );
    const tail = both`${where} ORDER BY ${order} LIMIT ${1 + random.int(20)}`;
    return this.#finish(both`SELECT DISTINCT`, outputs, tail, true);
  }

  #grouped(where: Both): Query {
    const random = this.#random;
    const keys = random.times(random.pick([0, 1, 1, 1, 2, 2, 3]), () =>
      random.chance(0.65) ? this.#expressions.column() : this.#expressions.value(1),
    );
    const aggregates = random.times(1 + random.int(4), () => this.#aggregate());
    const outputs = [...keys.map((value) => ({ value, kind: value.kind as OutputKind })), ...aggregates];
    const having = random.chance(0.25) ? both` HAVING ${this.#having()}` : both``;
    if (keys.length === 0) return this.#finish(both`SELECT`, outputs, both`${where}${having}`, false);
    const groupBy = joined(
      keys.map((key, i) => random.pick([both`${i + 1}`, both`o${i}`, key, key])),
      ', ',
    );
    const grouped = both`${where} GROUP BY ${groupBy}${having}`;
    if (random.chance(0.5)) return this.#finish(both`SELECT`, outputs, grouped, false);
    const first = random.pick([[], [this.#term(this.#sortable())]]);
    const order = [...first, ...keys.map((_, i) => this.#term(random.pick([both`${i + 1}`, both`o${i}`])))];
    const limit = random.chance(0.6) ? ` LIMIT ${1 + random.int(10)}` : '';
    return this.#finish(
      both`SELECT`,
      outputs,
      both`${grouped} ORDER BY ${joined(order, ', ')}${limit}`,
      true,
    );
  }

  /** An aggregate that is the same to the last digit. */
  #sortable(): Both {
    const random = this.#random;
    return random.pick([
      () => both`count(*)`,
      () => both`max(${this.#expressions.column()})`,
      () => both`min(${this.#expressions.column()})`,
      () => both`sum(${this.#expressions.named('integer')})`,
      () => both`count(DISTINCT ${this.#expressions.column()})`,
    ])();
  }

  #having(): Both {
    const random = this.#random;
    return random.pick([
      () => both`count(*) > ${random.int(6)}`,
      () => both`max(${this.#expressions.named('integer')}) > min(${this.#expressions.named('integer')})`,
      () => both`count(${this.#expressions.column()}) = count(*)`,
      () => both`${this.#sortable()} IS NOT NULL`,
      () => both`avg(r) > 0.123 AND count(*) < 200`,
    ])();
  }

  #aggregate(): { value: Both; kind: OutputKind } {
    const random = this.#random;
    const filter = random.chance(0.15) ? both` FILTER (WHERE ${this.#expressions.predicate(1)})` : both``;
    const distinct = random.chance(0.2) ? 'DISTINCT ' : '';
    const of = (kind: OutputKind, value: Both): { value: Both; kind: OutputKind } => ({
      kind,
      value: both`${value}${filter}`,
    });
    const number = (): Value =>
      random.chance(0.5) ? this.#expressions.named('integer') : this.#expressions.named('real');
    switch (random.int(12)) {
      case 0:
        return of('integer', both`count(*)`);
      case 1:
        return of('integer', both`count(${distinct}${this.#expressions.value(1)})`);
      case 2: {
        const value = random.chance(0.5) ? this.#expressions.number(1) : number();
        return of(isWhole(value.kind) ? 'big' : 'real', both`sum(${distinct}${value})`);
      }
      case 3:
        return of('real', both`${random.pick(['avg', 'mean'])}(${distinct}${this.#expressions.number(1)})`);
      case 4: {
        const value = this.#expressions.number(1);
        return {
          kind: 'real',
          value: {
            scan: `total(${value.scan})${filter.scan}`,
            duck: `coalesce(sum(CAST(${value.duck} AS DOUBLE))${filter.duck}, 0)`,
          },
        };
      }
      case 5: {
        const value = number();
        return of('real', both`median(${value})`);
      }
      case 6:
        return of('real', both`quantile_cont(${number()}, ${random.pick([0, 0.1, 0.5, 0.9, 1])})`);
      case 7: {
        const isTime = random.chance(0.3);
        const value = isTime ? this.#expressions.named(random.pick(['timestamp', 'date', 'time'])) : number();
        // Nanoseconds are cut to microseconds.
        if (value.scan === 'ns') return of('timestamp', both`quantile_disc(date_trunc('second', ns), 0.5)`);
        return of(value.kind, both`quantile_disc(${value}, ${random.pick([0, 0.25, 0.5, 0.99, 1])})`);
      }
      case 8: {
        const name = random.pick(['stddev', 'stddev_samp', 'stddev_pop', 'variance', 'var_samp', 'var_pop']);
        return of('real', both`${name}(${number()})`);
      }
      case 9: {
        if (this.#hasOrder && random.chance(0.5))
          return of('list', { scan: `group_concat(few, '|')`, duck: `string_agg(few, '|')` });
        const { scan, duck } = this.#expressions.column();
        return of('estimate', { scan: `approx_count_distinct(${scan})`, duck: `count(DISTINCT ${duck})` });
      }
      default: {
        const value = random.chance(0.7) ? this.#expressions.column() : this.#expressions.value(1);
        return of(value.kind, both`${random.pick(['min', 'max'])}(${value})`);
      }
    }
  }
}
