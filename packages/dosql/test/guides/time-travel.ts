import { DB, DoSQLError, type Database, type Point } from '@dotdo/dosql';

export async function open(storage: DurableObjectStorage) {
  return DB('tasks', { storage, history: { keep: '30d', maxBytes: 500_000_000 } });
}

export async function board(db: Database, point: Point) {
  return db.asOf(point).query<{ id: number; status: string }>('SELECT id, status FROM tasks ORDER BY id');
}

export async function story(db: Database, id: number) {
  const versions = await db.history<{ title: string; status: string }>('tasks', id);
  return versions.map(({ row, validFrom, validTo }) => [row.title, row.status, validFrom, validTo]);
}

export async function lastChanges(db: Database, id: number) {
  const cells = await db.blame('tasks', id);
  return cells.map(({ column, value, timestamp }) => [column, value, timestamp]);
}

export async function backToNoon(db: Database) {
  const { changes } = await db.restore('2026-11-21 12:00', { tables: ['tasks'] });
  return changes;
}

export async function undo(db: Database, lsn: bigint) {
  try {
    const { updated } = await db.revert(lsn);
    return updated;
  } catch (error) {
    if (DoSQLError.from(error)?.code === 'MERGE_CONFLICT') return 'these cells have changed again since';
    throw error;
  }
}

export async function forget(db: Database, email: string) {
  const { rows, logEntries } = await db.purge('people', { where: 'email = ?', params: [email] });
  return { rows, logEntries };
}

export async function forgetOld(db: Database) {
  await db.purge('people', { before: '2026-01-01', column: 'joined' }); // rows older than that, and their past
  await db.purge('people', { before: { ago: '30d' } }); // what all rows were before that, not the rows
}

export async function boardOrOldest(db: Database, point: Point) {
  try {
    return await board(db, point);
  } catch (error) {
    if (DoSQLError.from(error)?.code !== 'HISTORY_EXPIRED') throw error;
    const { lsn } = await db.earliest();
    return board(db, { lsn });
  }
}
