import { DoSQLError } from '../error.ts';
import { first } from '../sql/read.ts';
import type { Span, TableReference } from '../sql/scan.ts';
import { splice, type Statement } from '../sql/statement.ts';
import { encode, type SqlParameter } from '../value/parameter.ts';
import type { Interval, Points } from './point.ts';

/**
 * What the FOR SYSTEM_TIME of a reference says, once the statement has its values.
 *
 * @throws DoSQLError `READ_ONLY` for a reference that is written, `SYNTAX` for an operand that is no constant, and what
 * {@link Points} throws.
 */
export class SystemTimes {
  readonly #sql: SqlStorage;
  readonly #points: Points;

  constructor(sql: SqlStorage, points: Points) {
    this.#sql = sql;
    this.#points = points;
  }

  /** The stretch of time whose versions a reference names; undefined when it names none. */
  intervalOf(
    statement: Statement,
    reference: TableReference,
    values: readonly SqlParameter[],
  ): Interval | undefined {
    const { systemTime } = reference;
    if (systemTime === undefined || systemTime.kind === 'as of') return undefined;
    refuseWrite(statement, reference);
    if (systemTime.kind === 'all') return this.#points.all();
    const [low, high] = systemTime.operands.map((operand) => this.#evaluate(statement, operand, values));
    return this.#points.interval(systemTime.kind, systemTime.unit, low, high);
  }

  /** The LSN of the point at which a reference names its table; undefined when it names none. */
  lsnOf(
    statement: Statement,
    reference: TableReference,
    values: readonly SqlParameter[],
  ): number | undefined {
    const { systemTime } = reference;
    if (systemTime?.kind !== 'as of') return undefined;
    refuseWrite(statement, reference);
    const value = this.#evaluate(statement, systemTime.operands[0] as Span, values);
    return systemTime.unit === 'lsn' ? this.#points.lsn(value) : this.#points.timestamp(value);
  }

  /** The value of the expression at `span`: a parameter's as it was given, any other as SQLite computes it. */
  #evaluate(statement: Statement, span: Span, values: readonly SqlParameter[]): unknown {
    const inside = statement.parameters.filter(({ start, end }) => start >= span.start && end <= span.end);
    const [only] = inside;
    if (only !== undefined && only.start === span.start && only.end === span.end)
      return values[only.index - 1];
    const text = splice(
      statement.sql.slice(span.start, span.end),
      inside.map(({ start, end }, i) => ({
        start: start - span.start,
        end: end - span.start,
        text: `?${i + 1}`,
      })),
    );
    const { bindings } = encode(
      statement.sql,
      inside
        .map(({ index }) => values[index - 1])
        .map((value) => (typeof value === 'bigint' ? Number(value) : value)),
    );
    try {
      return first(this.#sql, `SELECT ${text}`, ...bindings)?.[0];
    } catch (cause) {
      throw new DoSQLError('SYNTAX', `the point "${text}" is no constant expression`, {
        sql: statement.sql,
        offset: span.start,
        cause,
      });
    }
  }
}

/** @throws DoSQLError `READ_ONLY` where the past is written. */
export function refuseWrite({ sql }: Statement, { name, kind, systemTime }: TableReference): void {
  if (kind === 'from') return;
  const message = `"${name}" as of a point cannot be written: the past does not change`;
  throw new DoSQLError('READ_ONLY', message, { sql, offset: systemTime?.start });
}
