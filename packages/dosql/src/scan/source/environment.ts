import { DoSQLError } from '../../error.ts';
import type { Buckets, FetchAccess } from '../url.ts';

/** What of a file store is needed to read from it: the database's own, in the object. */
export interface FileReader {
  read(path: string, options?: { offset?: number; length?: number }): Promise<Uint8Array | null>;
  stat(path: string): Promise<{ readonly size: number; readonly etag: string } | null>;
  list(
    prefix?: string,
    options?: { cursor?: string; limit?: number },
  ): Promise<{
    readonly files: readonly { readonly path: string; readonly size: number; readonly etag: string }[];
    readonly cursor?: string;
  }>;
}

/** What may be read from, and by what means. */
export interface SourceEnvironment {
  readonly buckets?: Buckets | undefined;
  /** Hosts that may be fetched from; none by default. */
  readonly fetch?: FetchAccess | undefined;
  /** What `fsx://` names. */
  readonly files?: FileReader | undefined;
  readonly fetcher: typeof fetch;
  /** A number from 0 to 1, for the time between tries. */
  readonly random: () => number;
  /** Waits so many ms; by the clock by default. */
  readonly sleep?: ((ms: number) => Promise<void>) | undefined;
}

const TRIES = 4;
const FIRST_WAIT_MS = 50;

/**
 * What `work` gives, tried up to four times: storage and networks fail for moments. Errors of ours are final.
 *
 * @throws DoSQLError `STORAGE_UNAVAILABLE` naming what could not be reached.
 */
export async function retried<T>(
  name: string,
  work: () => Promise<T>,
  { random, sleep = wait }: SourceEnvironment,
  signal?: AbortSignal,
): Promise<T> {
  for (let i = 1; ; i++) {
    signal?.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof DoSQLError) throw error;
      if (i === TRIES)
        throw new DoSQLError(
          'STORAGE_UNAVAILABLE',
          `${name} could not be read in ${TRIES} tries, the last failed with: ${messageOf(error)}`,
          { cause: error },
        );
    }
    // Twice as long each time, and never at the same time as everyone else.
    await sleep(FIRST_WAIT_MS * 2 ** (i - 1) * (0.5 + random()));
  }
}

/** The words of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
