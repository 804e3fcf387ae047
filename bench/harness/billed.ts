/** Rows that the platform bills. */
export interface Billed {
  readonly rowsRead: number;
  readonly rowsWritten: number;
}

/** What all statements that `run` makes are billed for, whoever makes them. */
export async function billed(sql: SqlStorage, run: () => Promise<unknown>): Promise<Billed> {
  const cursors: Billed[] = [];
  const exec = sql.exec.bind(sql);
  sql.exec = ((text: string, ...values: unknown[]) => {
    const cursor = exec(text, ...values);
    cursors.push(cursor);
    return cursor;
  }) as SqlStorage['exec'];
  try {
    await run();
  } finally {
    // The method of the prototype shows again.
    Reflect.deleteProperty(sql, 'exec');
  }
  const sum = (of: keyof Billed): number => cursors.reduce((total, cursor) => total + cursor[of], 0);
  return { rowsRead: sum('rowsRead'), rowsWritten: sum('rowsWritten') };
}
