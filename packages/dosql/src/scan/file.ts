/** A file that is read by ranges: one object of R2, one file of a store, one answer over https. */
export interface RangeFile {
  /** How messages call it: its URL. */
  readonly name: string;
  readonly size: number;
  /** Names this version of the content: what was learnt of a file is kept under it. */
  readonly etag: string;
  /** Whether each read gives memory of its own, which who asked may free: a scan then holds no more than it works on. */
  readonly isCopied?: boolean;
  /**
   * The bytes from `offset` on; exactly `length` of them, which must lie within the file.
   *
   * @throws DoSQLError `STORAGE_UNAVAILABLE`, `NO_SUCH_FILE`, also when it has become another version.
   */
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
}
