import { DoSQLError } from '../error.ts';
import { parse, type Statement } from './statement.ts';

const MAX_CACHED_STATEMENTS = 500;
const MAX_CACHED_LENGTH = 20_000;

/** Statements by their texts, the last ones that were asked for. */
export class Statements {
  readonly #known = new Map<string, Statement>();

  /**
   * The one statement that `sql` is.
   *
   * @throws DoSQLError `SYNTAX` when it is none or several, and what {@link parse} throws.
   */
  get(sql: string): Statement {
    const known = this.#known.get(sql);
    if (known !== undefined) return known;
    if (typeof sql !== 'string')
      throw new DoSQLError('BAD_PARAMETER', `the statement is ${typeof sql}, not text`);
    const [statement, ...more] = parse(sql);
    if (statement === undefined) throw new DoSQLError('SYNTAX', 'the text holds no statement', { sql });
    if (more.length > 0)
      throw new DoSQLError(
        'SYNTAX',
        `the text holds ${more.length + 1} statements: run several with exec() or batch()`,
        { sql, offset: sql.indexOf((more[0] as Statement).sql) },
      );
    if (sql.length <= MAX_CACHED_LENGTH) {
      if (this.#known.size >= MAX_CACHED_STATEMENTS)
        this.#known.delete(this.#known.keys().next().value as string);
      this.#known.set(sql, statement);
    }
    return statement;
  }
}
