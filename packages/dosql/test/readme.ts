import { DurableObject } from 'cloudflare:workers';
import { createCDC, DB, DoSQLError } from '@dotdo/dosql';

export class Tenant extends DurableObject {
  db() {
    return DB('tenant', {
      storage: this.ctx.storage,
      migrations: [
        {
          name: '001_tasks',
          sql: `CREATE TABLE tasks(
            id INTEGER PRIMARY KEY,
            title TEXT NOT NULL UNIQUE,
            status TEXT NOT NULL DEFAULT 'todo'
          )`,
        },
      ],
    });
  }

  async addTask(title: string) {
    const db = await this.db();
    const { lastRowId, lsn } = await db.run('INSERT INTO tasks(title) VALUES (?)', [title]);
    return { id: lastRowId, lsn };
  }

  async finishAll() {
    const db = await this.db();
    await db.run("UPDATE tasks SET status = 'done'");
  }

  /** The board now, or as it was: a Date, ISO text, `{ ago: '1h' }` or `{ lsn }`. */
  async tasks(asOf?: Date | string | { lsn: bigint }) {
    const db = await this.db();
    const at = asOf === undefined ? db : db.asOf(asOf);
    return at.query<{ id: number; title: string; status: string }>('SELECT * FROM tasks ORDER BY id');
  }

  override async alarm() {
    await (await this.db()).alarm();
  }
}

export class Guide extends Tenant {
  async whatChanged(lsn: bigint) {
    const db = await this.db();
    return db.query(
      `SELECT now.title, was.status AS was, now.status AS is_now
         FROM tasks AS now
         JOIN tasks FOR SYSTEM_TIME AS OF LSN ? AS was ON was.id = now.id
        WHERE was.status <> now.status`,
      [lsn],
    );
  }

  async versions(id: number) {
    const db = await this.db();
    return db.query<{ status: string; _valid_from: string; _valid_to: string | null }>(
      'SELECT status, _valid_from, _valid_to FROM tasks FOR SYSTEM_TIME ALL WHERE id = ? ORDER BY _lsn_from',
      [id],
    );
  }

  async raisePriority(title: string) {
    const db = await this.db();
    const draft = await db.branch('drafts/urgent');
    await draft.run("UPDATE tasks SET status = 'urgent' WHERE title LIKE ?", [title]);
    const changes = await db.diff('main', 'drafts/urgent');
    const { merged, updated, conflicts } = await db.merge('drafts/urgent');
    if (merged) await db.dropBranch('drafts/urgent');
    return { wouldChange: changes.map(({ key }) => key.id), merged, updated, conflicts };
  }

  async undo(lsn: bigint) {
    const db = await this.db();
    const { updated } = await db.revert(lsn); // that transaction only, whatever came after it
    return updated;
  }

  async rename(id: number, title: string) {
    const db = await this.db();
    try {
      return await db.transaction(async (tx) => {
        const task = await tx.get<{ title: string }>('SELECT title FROM tasks WHERE id = ?', [id]);
        if (task === null) throw new Error('no such task');
        await tx.run('UPDATE tasks SET title = ? WHERE id = ?', [title, id]);
        return `${task.title} is now ${title}`;
      });
    } catch (error) {
      if (DoSQLError.from(error)?.code === 'CONSTRAINT_UNIQUE') return `${title} is taken`;
      throw error;
    }
  }

  async follow(lastSeen: bigint, signal: AbortSignal) {
    const db = await this.db();
    const seen: string[] = [];
    for await (const change of createCDC(db).subscribe(lastSeen, { tables: ['tasks'], signal })) {
      seen.push([change.op, change.key.id, change.after?.status].join(' '));
      lastSeen = change.lsn; // keep it: the next subscribe(lastSeen) goes on from here
      if (seen.length === 2) break;
    }
    return seen;
  }

  async remindMe(id: number, at: Date) {
    const db = await this.db();
    db.onTimer<{ id: number }>('reminder', async ({ payload }) => {
      await db.run("UPDATE tasks SET status = 'overdue' WHERE id = ?", [payload.id]);
    });
    await db.schedule(`reminder:${id}`, at, { id });
  }
}
