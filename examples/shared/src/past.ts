import { DoSQLError, type Database, type Point, type SqlParameters } from '@dotdo/dosql';
import { HttpError } from './http.ts';

/**
 * Rows of the present, or as of a point of the past.
 *
 * @throws HttpError 410 for a point before the history that is kept, 400 for one that is none or in the
 * future; both tell the earliest point.
 */
export async function rowsAt<T>(
  db: Database,
  point: Point | undefined,
  sql: string,
  params: SqlParameters = [],
): Promise<T[]> {
  if (point === undefined) return db.query<T>(sql, params);
  try {
    return await db.asOf(point).query<T>(sql, params);
  } catch (error) {
    // The history begins before the first migration: a table that was not there yet had no rows.
    if (error instanceof DoSQLError && error.code === 'NO_SUCH_TABLE') return [];
    throw await outsideHistory(db, error);
  }
}

/** The answer to a time or an LSN that the history does not reach; any other error as it is. */
export async function outsideHistory(db: Database, error: unknown): Promise<unknown> {
  if (!(error instanceof DoSQLError)) return error;
  const { code, reason } = error;
  const isExpired = code === 'HISTORY_EXPIRED' || code === 'LSN_EXPIRED';
  if (!isExpired && code !== 'BAD_PARAMETER') return error;
  return new HttpError(isExpired ? 410 : 400, reason, {
    earliest: await db.earliest(),
  });
}
