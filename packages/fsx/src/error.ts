/**
 * What kind of failure a {@link FileStoreError} is.
 *
 * - `INVALID_PATH`: the path, list prefix or key prefix is not allowed; nothing was touched.
 * - `PRECONDITION_FAILED`: `ifAbsent` or `ifMatch` did not hold; nothing was written.
 * - `BAD_PARAMETER`: an option or the data is of the wrong type or out of range; nothing was touched.
 * - `STORAGE_UNAVAILABLE`: the storage underneath failed, and `cause` holds its error. A write or
 *   delete that fails this way may or may not have happened.
 * - `STREAM_FAILED`: the stream handed to `write` failed, and `cause` holds its error; nothing was written.
 */
export type FileStoreErrorCode =
  | 'INVALID_PATH'
  | 'PRECONDITION_FAILED'
  | 'STORAGE_UNAVAILABLE'
  | 'STREAM_FAILED'
  | 'BAD_PARAMETER';

/** What a {@link FileStoreError} can carry beside its code and message. */
export interface FileStoreErrorOptions {
  readonly cause?: unknown;
  /** Default: true for `STORAGE_UNAVAILABLE`, false for all others. */
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
}

/**
 * Every error that a file store throws. Tell them apart by `code`; the message names the value that
 * was wrong and what to do instead.
 */
export class FileStoreError extends Error {
  override readonly name = 'FileStoreError';
  readonly code: FileStoreErrorCode;
  /** Whether the same call may succeed later. False where only another call or set-up can help. */
  readonly retryable: boolean;
  /** How long to wait before trying again, where the storage asks for that: it was called too often. */
  readonly retryAfterMs: number | undefined;

  constructor(code: FileStoreErrorCode, message: string, options: FileStoreErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.retryable = options.retryable ?? code === 'STORAGE_UNAVAILABLE';
    this.retryAfterMs = options.retryAfterMs;
  }
}

/**
 * Turns whatever the storage threw while doing `action` into a {@link FileStoreError}. An error that
 * already is one passes unchanged, so a failed precondition keeps its code.
 */
export function toFileStoreError(
  action: string,
  cause: unknown,
  options: FileStoreErrorOptions = {},
): FileStoreError {
  if (cause instanceof FileStoreError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new FileStoreError('STORAGE_UNAVAILABLE', `Could not ${action}: ${reason}`, { ...options, cause });
}

/** A value as an error message shows it: quoted, and cut where it would drown the message. */
export function show(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean')
    return `${typeof value} ${value}`;
  if (typeof value !== 'string') return `a ${typeof value}`;
  return value.length > 120
    ? `${JSON.stringify(value.slice(0, 120))}… (${value.length} characters)`
    : JSON.stringify(value);
}
