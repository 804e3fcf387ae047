import { DoSQLError } from '../../error.ts';

/** What breaks the format, found where the file's name is not known. */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}

/** Stops reading: `what` is not as the format has it. */
export function malformed(what: string): never {
  throw new Malformed(what);
}

/**
 * `error` as one of `file`: whatever a decoder stumbles over in damaged bytes, also the platform's own errors of
 * ranges, is `CORRUPT_FILE`.
 */
export function corruptFile(file: string, error: unknown): DoSQLError {
  if (error instanceof DoSQLError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new DoSQLError('CORRUPT_FILE', `${file} is not a sound Parquet file: ${reason}`, { cause: error });
}

/** Whether `error` tells of bad bytes, and not of the network, the caller or a mistake here. */
export function isOfBytes(error: unknown): boolean {
  return error instanceof Malformed || error instanceof RangeError;
}
