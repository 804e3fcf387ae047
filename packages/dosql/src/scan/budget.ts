import { DoSQLError } from '../error.ts';

/** What one query may take. */
export interface Limits {
  /** Rows in its result, or handed to SQLite. */
  readonly rows: number;
  /** Bytes read from files. */
  readonly bytes: number;
  /** Bytes that these are decompressed to. */
  readonly decodedBytes: number;
}

/** What a query may take by default: what an object of 128 MB and 30 s can bear. */
export const DEFAULT_LIMITS: Limits = { rows: 1_000_000, bytes: 2 ** 31, decodedBytes: 2 ** 34 };

/** What a query has read. */
export interface ScanCounts {
  /** Files that match the name; those that were left out by name or statistics; those that were read. */
  files: { total: number; pruned: number; read: number };
  rowGroups: { total: number; pruned: number; read: number };
  pages: { total: number; pruned: number; read: number };
  requests: number;
  bytes: number;
  /** Of those bytes, what the pages take that were decoded: the rest was read beside them, or turned out not to be needed. */
  pageBytes: number;
  decodedBytes: number;
  rows: number;
}

/** Counts what a query reads and stops it where it would go past a limit. */
export class Budget {
  readonly limits: Limits;
  readonly counts: ScanCounts = {
    files: { total: 0, pruned: 0, read: 0 },
    rowGroups: { total: 0, pruned: 0, read: 0 },
    pages: { total: 0, pruned: 0, read: 0 },
    requests: 0,
    bytes: 0,
    pageBytes: 0,
    decodedBytes: 0,
    rows: 0,
  };

  constructor(limits: Partial<Limits> = {}) {
    this.limits = { ...DEFAULT_LIMITS, ...limits };
  }

  /**
   * Counts, before it is done: a request of so many bytes.
   *
   * @throws DoSQLError `TOO_BIG`
   */
  request(bytes: number): void {
    this.counts.requests++;
    this.counts.bytes += bytes;
    if (this.counts.bytes > this.limits.bytes)
      throw tooBig('read', this.counts.bytes, this.limits.bytes, 'bytes');
  }

  /**
   * Counts, before it is done: that so many bytes come out of decoding.
   *
   * @throws DoSQLError `TOO_BIG`
   */
  decode(bytes: number): void {
    this.counts.decodedBytes += bytes;
    if (this.counts.decodedBytes > this.limits.decodedBytes)
      throw tooBig('decode', this.counts.decodedBytes, this.limits.decodedBytes, 'decodedBytes');
  }

  /**
   * Counts rows of the result.
   *
   * @throws DoSQLError `TOO_BIG`
   */
  emit(rows: number): void {
    this.counts.rows += rows;
    if (this.counts.rows > this.limits.rows) throw tooBig('give', this.counts.rows, this.limits.rows, 'rows');
  }
}

function tooBig(verb: string, wanted: number, limit: number, name: keyof Limits): DoSQLError {
  return new DoSQLError(
    'TOO_BIG',
    `the query would ${verb} ${wanted.toLocaleString('en')} ${name === 'rows' ? 'rows' : 'bytes'}, ` +
      `more than its limit of ${limit.toLocaleString('en')}: narrow it, or raise limits.${name}`,
  );
}
