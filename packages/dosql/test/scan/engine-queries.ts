import type { Random } from '../support/random.ts';

/** Random queries over the table `t` of the engine's tests, in SQLite's dialect. */
export class Queries {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** A query, and whether its order is total. */
  query(): { sql: string; isOrdered: boolean } {
    const random = this.#random;
    const where = random.chance(0.7) ? ` WHERE ${this.predicate(2)}` : '';
    return random.chance(0.55) ? this.#grouped(where) : this.#plain(where);
  }

  #plain(where: string): { sql: string; isOrdered: boolean } {
    const random = this.#random;
    const outputs = random.chance(0.1) ? ['*'] : random.times(1 + random.int(3), () => this.value(2));
    if (random.chance(0.25) && outputs[0] !== '*') {
      const list = outputs.map((output, i) => `${output} AS o${i}`);
      return { sql: `SELECT DISTINCT ${list.join(', ')} FROM t${where}`, isOrdered: false };
    }
    const list = outputs.join(', ');
    if (random.chance(0.4)) return { sql: `SELECT ${list} FROM t${where}`, isOrdered: false };
    const order = random.times(random.int(3), () => `${this.value(1)}${this.#direction()}`);
    const limit = random.chance(0.7)
      ? ` LIMIT ${random.int(20)}${random.chance(0.4) ? ` OFFSET ${random.int(9)}` : ''}`
      : '';
    return {
      sql: `SELECT ${list} FROM t${where} ORDER BY ${[...order, 'id'].join(', ')}${limit}`,
      isOrdered: true,
    };
  }

  #direction(): string {
    return this.#random.pick(['', ' DESC', ' ASC', ' DESC NULLS LAST', ' NULLS LAST', ' DESC NULLS FIRST']);
  }

  #grouped(where: string): { sql: string; isOrdered: boolean } {
    const random = this.#random;
    const keys = random.times(random.int(4), () => (random.chance(0.6) ? this.#column() : this.value(1)));
    const aggregates = random.times(1 + random.int(3), () => this.aggregate());
    const having = random.chance(0.2)
      ? ` HAVING ${random.pick(['count(*) > 2', `${this.aggregate()} IS NOT NULL`, 'max(i) > min(i)'])}`
      : '';
    if (keys.length === 0)
      return { sql: `SELECT ${aggregates.join(', ')} FROM t${where}${having}`, isOrdered: false };
    const names = keys.map((key, i) =>
      random.chance(0.3) ? `${i + 1}` : random.chance(0.4) ? `k${i}` : `(${key})`,
    );
    const outputs = [...keys.map((key, i) => `${key} AS k${i}`), ...aggregates];
    // Two groups of numbers that differ in class only come out under the one that SQLite saw last.
    const order = random.chance(0.4)
      ? ` ORDER BY ${[aggregates[0], ...keys.map((_, i) => i + 1)].join(', ')}`
      : '';
    const limit = order !== '' && random.chance(0.5) ? ` LIMIT ${1 + random.int(8)}` : '';
    return {
      sql: `SELECT ${outputs.join(', ')} FROM t${where} GROUP BY ${names.join(', ')}${having}${order}${limit}`,
      isOrdered: order !== '',
    };
  }

  aggregate(): string {
    const random = this.#random;
    const distinct = random.chance(0.2) ? 'DISTINCT ' : '';
    const filter = random.chance(0.15) ? ` FILTER (WHERE ${this.predicate(1)})` : '';
    switch (random.int(8)) {
      case 0:
        return `count(*)${filter}`;
      case 1:
        return `count(${distinct}${this.value(1)})${filter}`;
      case 2:
        return `sum(${distinct}${this.value(1)})${filter}`;
      case 3:
        return `${random.pick(['total', 'avg'])}(${distinct}${this.value(1)})${filter}`;
      case 4:
        return `count(${distinct}${this.#column()})${filter}`;
      case 5:
        return `sum(${this.number(1)})${filter}`;
      default:
        return `${random.pick(['min', 'max'])}(${this.value(1)})${filter}`;
    }
  }

  #column(): string {
    return this.#random.pick([
      'id',
      'i',
      'big',
      'r',
      's',
      'u',
      'code',
      'b',
      'a',
      '"odd ""name"',
      'run',
      't.i',
    ]);
  }

  #literal(): string {
    return this.#random.pick([
      '0',
      '1',
      '-1',
      '3',
      '7',
      '2.5',
      '-0.5',
      '1e3',
      'NULL',
      "'s1'",
      "''",
      "'5'",
      "'7abc'",
      "' 12 '",
      "'2.5'",
      "'ä'",
      '9007199254740993',
      '-9223372036854775808',
      '9223372036854775807',
      "x'6162'",
      "x''",
      '0x1f',
      'TRUE',
    ]);
  }

  /** Any expression. */
  value(depth: number): string {
    const random = this.#random;
    if (depth === 0 || random.chance(0.35)) return random.chance(0.75) ? this.#column() : this.#literal();
    switch (random.int(6)) {
      case 0:
      case 1:
        return this.number(depth);
      case 2:
        return this.text(depth);
      case 3:
        return this.#choice(depth);
      case 4:
        return `CAST(${this.value(depth - 1)} AS ${random.pick(['INTEGER', 'REAL', 'TEXT', 'BLOB', 'NUMERIC'])})`;
      default:
        return random.chance(0.5) ? `(${this.predicate(depth - 1)})` : `typeof(${this.value(depth - 1)})`;
    }
  }

  #choice(depth: number): string {
    const random = this.#random;
    const value = (): string => this.value(depth - 1);
    switch (random.int(5)) {
      case 0:
        return `CASE WHEN ${this.predicate(depth - 1)} THEN ${value()} ELSE ${value()} END`;
      case 1:
        return `CASE ${value()} WHEN ${value()} THEN ${value()} WHEN ${value()} THEN ${value()} END`;
      case 2:
        return `coalesce(${value()}, ${value()})`;
      case 3:
        return `nullif(${value()}, ${value()})`;
      default:
        return `iif(${this.predicate(depth - 1)}, ${value()}, ${value()})`;
    }
  }

  number(depth: number): string {
    const random = this.#random;
    const value = (): string => this.value(depth - 1);
    switch (random.int(8)) {
      case 0:
        return `abs(${random.pick(['i', 'r', 's', 'u', 'code'])})`;
      case 1:
        return `length(${value()})`;
      case 2:
        return `round(${random.pick(['r', 'i', 's'])}, ${random.int(4)})`;
      case 3:
        return `-(${value()})`;
      case 4:
        return `(${value()} ${random.pick(['&', '|', '<<', '>>'])} ${value()})`;
      case 5:
        return `instr(${value()}, ${value()})`;
      default:
        return `(${value()} ${random.pick(['+', '-', '*', '/', '%'])} ${value()})`;
    }
  }

  text(depth: number): string {
    const random = this.#random;
    const value = (): string => this.value(depth - 1);
    switch (random.int(7)) {
      case 0:
        return `(${value()} || ${value()})`;
      case 1:
        return `${random.pick(['lower', 'upper', 'trim', 'ltrim', 'rtrim'])}(${value()})`;
      case 2:
        return `substr(${value()}, ${random.int(9) - 4}${random.chance(0.7) ? `, ${random.int(7) - 2}` : ''})`;
      case 3:
        return `substr(${random.pick(['s', 'u', 'code'])}, ${1 + random.int(3)}, ${random.int(4)})`;
      case 4:
        return `replace(${value()}, ${random.pick(["'s'", "'1'", "''", "'ä'"])}, 'zz')`;
      case 5:
        return `hex(${value()})`;
      default:
        return `${random.pick(['min', 'max'])}(${value()}, ${value()})`;
    }
  }

  predicate(depth: number): string {
    const random = this.#random;
    if (depth > 0 && random.chance(0.4)) {
      const inner = (): string => this.predicate(depth - 1);
      return random.pick([
        () => `${inner()} AND ${inner()}`,
        () => `${inner()} OR ${inner()}`,
        () => `NOT (${inner()})`,
        () => `(${inner()}) OR ${inner()} AND ${inner()}`,
      ])();
    }
    const value = (): string => this.value(Math.max(0, depth - 1));
    const operand = random.chance(0.7) ? this.#column() : value();
    const not = random.chance(0.25) ? ' NOT' : '';
    switch (random.int(8)) {
      case 0:
        return `${operand} IS${not} ${random.chance(0.6) ? 'NULL' : value()}`;
      case 1:
        return `${operand}${not} IN (${random.times(1 + random.int(4) + (random.chance(0.2) ? 9 : 0), () => this.#literal()).join(', ')})`;
      case 2:
        return `${operand}${not} BETWEEN ${value()} AND ${value()}`;
      case 3:
        return `${operand}${not} LIKE ${random.pick(["'s%'", "'%1%'", "'S_'", "'%ä%'", "'_%_'", "'%'", "''", "'a\\_%' ESCAPE '\\'", "'%S1'", 's', "'s%1%'"])}`;
      case 4:
        return `${operand}${not} GLOB ${random.pick(["'s*'", "'[a-s]?'", "'*1'", "'[^s]*'", "'*'", "'?ä*'"])}`;
      default:
        return `${operand} ${random.pick(['=', '<>', '<', '<=', '>', '>=', '==', '!='])} ${random.chance(0.6) ? this.#literal() : value()}`;
    }
  }
}
