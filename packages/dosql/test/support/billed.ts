/** Counts what is billed as written through this from here on, by whomever. */
export function countWritten(sql: SqlStorage): () => number {
  const cursors: { readonly rowsWritten: number }[] = [];
  const exec = sql.exec.bind(sql);
  const counted = (...args: Parameters<SqlStorage['exec']>): ReturnType<SqlStorage['exec']> => {
    const cursor = exec(...args);
    cursors.push(cursor);
    return cursor;
  };
  Object.defineProperty(sql, 'exec', { value: counted, configurable: true });
  return () => cursors.splice(0).reduce((sum, { rowsWritten }) => sum + rowsWritten, 0);
}
