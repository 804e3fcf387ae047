/** Codes of errors that are about what a client has asked for, so that it is told. */
export const TOLD: ReadonlySet<string> = new Set([
  'BAD_PARAMETER',
  'LSN_EXPIRED',
  'FORBIDDEN',
  'NO_SUCH_TABLE',
  'NO_SUCH_COLUMN',
  'SYNTAX',
]);

/** The code of an error; empty for one without. */
export function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === 'string' ? code : '';
}

/** What a client is told of an error that is about its request. */
export function textOf(error: unknown): string {
  const text = (error as Error).message.replace(/^[A-Z_]+: /, '');
  // SQLite's own words may quote more than the client has written.
  return codeOf(error) === 'SYNTAX' && !text.startsWith('where of table')
    ? 'where is no condition over one row, or from no position of this stream'
    : text;
}
