/**
 * Every way an operation can fail, as a stable code.
 *
 * - `SYNTAX` the statement does not parse, or is not one statement; `offset` tells where.
 * - `NO_SUCH_TABLE`, `NO_SUCH_COLUMN` the statement names what does not exist (as of the point it reads).
 * - `CONSTRAINT_*` a constraint refused the write; nothing of the statement was kept.
 * - `BAD_PARAMETER` a value, a count of values or an option is not one that the call takes.
 * - `TOO_BIG` a value, row or statement is larger than SQLite takes, or what is to be read larger than a limit allows.
 * - `FULL` the object's storage is full.
 * - `FORBIDDEN` the statement reaches for what is not the user's: reserved names, refused SQLite features.
 * - `READ_ONLY` a write through a handle that only reads.
 * - `NESTED_TRANSACTION` a statement through a handle whose own open transaction it would wait for.
 * - `TRANSACTION_OVER` a statement through a transaction that has ended.
 * - `TRANSACTION_OPEN` a synchronous statement while another caller's transaction is open.
 * - `TRANSACTION_TIMEOUT` a transaction stayed open so long that the platform would have reset the object.
 * - `HISTORY_EXPIRED` the point lies before the earliest that can still be read.
 * - `LSN_EXPIRED` the stream position lies before the first change that the log still holds.
 * - `NO_SUCH_BRANCH`, `BRANCH_EXISTS` no branch has the name, or one has it already.
 * - `MERGE_CONFLICT` rows that a change is about have changed otherwise since; `conflicts` holds them.
 * - `MIGRATION_FAILED` a statement of a migration failed; the database is as before that migration.
 * - `MIGRATION_CHANGED` a migration that was applied has another text now.
 * - `MIGRATION_MISSING` a migration that was applied, or the whole folder, is not there.
 * - `NAME_MISMATCH` the storage already holds a database of another name.
 * - `STORAGE_UNAVAILABLE` the storage is not SQLite-backed, or was deleted behind the open database.
 * - `FORBIDDEN_URL` the statement names a bucket, a host or a path that the database was not given.
 * - `NO_SUCH_FILE` no file has the name, or matches the pattern.
 * - `CORRUPT_FILE` a file is not what it says it is, or has been damaged: nothing of it was taken for true.
 * - `WAITS` a synchronous statement needs files, which only an asynchronous one can wait for; or one of a transaction
 *   the archive, which `db.recall()` brings back before.
 * - `DECRYPT_FAILED` a ciphertext is malformed, was changed, or names a key that is not there.
 * - `SQLITE` any other error of SQLite; the message is SQLite's.
 */
export type ErrorCode =
  | 'SYNTAX'
  | 'NO_SUCH_TABLE'
  | 'NO_SUCH_COLUMN'
  | 'CONSTRAINT_UNIQUE'
  | 'CONSTRAINT_FOREIGNKEY'
  | 'CONSTRAINT_CHECK'
  | 'CONSTRAINT_NOTNULL'
  | 'CONSTRAINT_DATATYPE'
  | 'CONSTRAINT_TRIGGER'
  | 'BAD_PARAMETER'
  | 'TOO_BIG'
  | 'FULL'
  | 'FORBIDDEN'
  | 'READ_ONLY'
  | 'NESTED_TRANSACTION'
  | 'TRANSACTION_OVER'
  | 'TRANSACTION_OPEN'
  | 'TRANSACTION_TIMEOUT'
  | 'HISTORY_EXPIRED'
  | 'LSN_EXPIRED'
  | 'NO_SUCH_BRANCH'
  | 'BRANCH_EXISTS'
  | 'MERGE_CONFLICT'
  | 'MIGRATION_FAILED'
  | 'MIGRATION_CHANGED'
  | 'MIGRATION_MISSING'
  | 'NAME_MISMATCH'
  | 'STORAGE_UNAVAILABLE'
  | 'FORBIDDEN_URL'
  | 'NO_SUCH_FILE'
  | 'CORRUPT_FILE'
  | 'WAITS'
  | 'DECRYPT_FAILED'
  | 'SQLITE';

/** What a {@link DoSQLError} may carry besides its code and message. */
export interface ErrorDetails {
  /** The statement that failed. */
  readonly sql?: string | undefined;
  /** Where in `sql` SQLite stopped, in UTF-8 bytes from its start. */
  readonly offset?: number | undefined;
  readonly cause?: unknown;
}

/**
 * The one error class. `code` says what went wrong, `message` says it with the value and the way out.
 *
 * The message begins with the code, so that the code survives every kind of RPC, also those that carry
 * nothing but a message: {@link DoSQLError.from} reads it back.
 */
export class DoSQLError extends Error {
  readonly code: ErrorCode;
  /** The message without the code in front. */
  readonly reason: string;
  readonly sql: string | undefined;
  readonly offset: number | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(`${code}: ${message}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'DoSQLError';
    this.code = code;
    this.reason = message;
    this.sql = details.sql;
    this.offset = details.offset;
  }

  /**
   * The `DoSQLError` that `error` is, or was before it crossed an RPC boundary; undefined when it never
   * was one. An object that was reset because its storage is full gives `FULL`.
   *
   * ```ts
   * try { await stub.addUser(user) } catch (error) {
   *   if (DoSQLError.from(error)?.code === 'CONSTRAINT_UNIQUE') return conflict();
   *   throw error;
   * }
   * ```
   */
  static from(error: unknown): DoSQLError | undefined {
    if (error instanceof DoSQLError) return error;
    if (!(error instanceof Error)) return undefined;
    // A full disk resets the object and breaks its answer, so this, the platform's error, is all that a caller gets.
    if (error.message === 'database or disk is full: SQLITE_FULL') return sqliteError(error, '');
    const match = /^(?:(?:Uncaught )?(?:DoSQLError|Error): )?([A-Z]+(?:_[A-Z]+)*): ([\s\S]*)$/.exec(
      error.message,
    );
    if (match === null || !CODES.has(match[1] ?? '')) return undefined;
    return new DoSQLError(match[1] as ErrorCode, match[2] ?? '', { cause: error });
  }
}

const CODES: ReadonlySet<string> = new Set(
  (
    'SYNTAX NO_SUCH_TABLE NO_SUCH_COLUMN CONSTRAINT_UNIQUE CONSTRAINT_FOREIGNKEY CONSTRAINT_CHECK ' +
    'CONSTRAINT_NOTNULL CONSTRAINT_DATATYPE CONSTRAINT_TRIGGER BAD_PARAMETER TOO_BIG FULL FORBIDDEN READ_ONLY ' +
    'NESTED_TRANSACTION TRANSACTION_OVER TRANSACTION_OPEN TRANSACTION_TIMEOUT HISTORY_EXPIRED LSN_EXPIRED ' +
    'NO_SUCH_BRANCH BRANCH_EXISTS MERGE_CONFLICT MIGRATION_FAILED MIGRATION_CHANGED MIGRATION_MISSING NAME_MISMATCH STORAGE_UNAVAILABLE ' +
    'FORBIDDEN_URL NO_SUCH_FILE CORRUPT_FILE WAITS DECRYPT_FAILED SQLITE'
  ).split(' ') satisfies string[],
);

// The wording is SQLite's own, the suffix workerd's (util/sqlite.c++). Order matters: first match wins.
const RULES: readonly (readonly [RegExp, ErrorCode])[] = [
  [/SQLITE_CONSTRAINT_(?:UNIQUE|PRIMARYKEY|ROWID)/, 'CONSTRAINT_UNIQUE'],
  [/SQLITE_CONSTRAINT_FOREIGNKEY|FOREIGN KEY constraint failed/, 'CONSTRAINT_FOREIGNKEY'],
  [/SQLITE_CONSTRAINT_CHECK/, 'CONSTRAINT_CHECK'],
  [/SQLITE_CONSTRAINT_NOTNULL/, 'CONSTRAINT_NOTNULL'],
  [/SQLITE_CONSTRAINT_DATATYPE|datatype mismatch: SQLITE_MISMATCH/, 'CONSTRAINT_DATATYPE'],
  [/SQLITE_CONSTRAINT_TRIGGER/, 'CONSTRAINT_TRIGGER'],
  [/SQLITE_TOOBIG|statement too long|too big/, 'TOO_BIG'],
  [/SQLITE_FULL|database or disk is full/, 'FULL'],
  [
    /SQLITE_AUTH|not authorized|prohibited|Please use the .*transaction|To execute a transaction/i,
    'FORBIDDEN',
  ],
  [/^no such table|no such view/, 'NO_SUCH_TABLE'],
  [/no such column|has no column named/, 'NO_SUCH_COLUMN'],
  [/Wrong number of parameter bindings/, 'BAD_PARAMETER'],
  [/syntax error|incomplete input|unrecognized token|parse error/, 'SYNTAX'],
];

/** What workerd threw for `sql`, as a {@link DoSQLError} with SQLite's own words. */
export function sqliteError(
  error: unknown,
  sql: string,
  worded: (text: string) => string = (text) => text,
): DoSQLError {
  if (error instanceof DoSQLError) return error;
  const text = worded(error instanceof Error ? error.message : String(error));
  const rule = RULES.find(([pattern]) => pattern.test(text));
  const at = / at offset (\d+)/.exec(text);
  const words = text.replace(/ at offset \d+/, '').replace(/: SQLITE_[A-Z]+(?: \(extended: \w+\))?$/, '');
  const code = rule?.[1] ?? (at === null ? 'SQLITE' : 'SYNTAX');
  const where = at === null ? '' : ` (at offset ${at[1]})`;
  return new DoSQLError(code, words + where, {
    sql,
    offset: at === null ? undefined : Number(at[1]),
    cause: error,
  });
}
