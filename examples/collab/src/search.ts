import { receiveBatch, type Batch, type ChangeEvent, type ChangeRow } from '@dotdo/cdc';
import type { Database, Transaction } from '@dotdo/dosql';
import { json } from '@dotdo/example-shared/http';
import { parseQuery } from '@dotdo/example-shared/input';
import { SearchQuery } from './input.ts';
import { audienceOf } from './place.ts';
import type { WorkspaceContext } from './workspace.ts';

/** More hits are looked at than are told, since documents that may not be read any more fall out. */
const SPARE_HITS = 2;

interface Hit {
  readonly document: string;
  readonly title: string;
  readonly block: string;
  readonly snippet: string;
}

/** What is written for each table: rows that are there, and keys that have gone. */
const PUT: Readonly<Record<string, string>> = {
  document: `INSERT INTO documents (id, title) SELECT ?1, value ->> 'title' FROM json_each(?2) WHERE true
             ON CONFLICT (id) DO UPDATE SET title = excluded.title`,
  members: `INSERT INTO readers (document, user_id, role) SELECT ?1, value ->> 'id', value ->> 'role' FROM json_each(?2)
            WHERE true ON CONFLICT (user_id, document) DO UPDATE SET role = excluded.role`,
  blocks: `INSERT INTO entries (document, block, text) SELECT ?1, value ->> 'id', value ->> 'text' FROM json_each(?2)
           WHERE true ON CONFLICT (document, block) DO UPDATE SET text = excluded.text WHERE text <> excluded.text`,
};
const REMOVE: Readonly<Record<string, string>> = {
  members: 'DELETE FROM readers WHERE document = ?1 AND user_id IN (SELECT value FROM json_each(?2))',
  blocks: 'DELETE FROM entries WHERE document = ?1 AND block IN (SELECT value FROM json_each(?2))',
};

/**
 * Brings the index up to date with what a document's change stream tells. Of a row that has changed many times, only
 * what it has become in the end is written.
 */
export async function index(db: Database, batch: Batch): Promise<void> {
  await receiveBatch<Transaction>(db, batch, async (events, tx) => {
    const latest = new Map<string, Extract<ChangeEvent, { key: unknown }>>();
    for (const event of events)
      if ('key' in event) latest.set(`${event.table}/${String(event.key['id'])}`, event);
    await write(tx, batch.source, [...latest.values()]);
  });
}

/**
 * `GET /search?q=&limit=`: blocks in which all these words stand, the best first. The index knows who may read what,
 * but hears of it a moment later: so each document that was found is asked again, and has the last word.
 */
export async function search({ env, workspace, db, user, query }: WorkspaceContext): Promise<Response> {
  const { q, limit } = parseQuery(SearchQuery, query);
  const found = await db.query<Hit>(
    `SELECT e.document, d.title, e.block, snippet(entry_index, 0, '', '', '…', 16) AS snippet
       FROM entry_index JOIN entries AS e ON e.id = entry_index.rowid
       JOIN readers AS r ON r.document = e.document AND r.user_id = ?1
       JOIN documents AS d ON d.id = e.document
      WHERE entry_index MATCH ?2 ORDER BY rank LIMIT ?3`,
    [user.id, matching(q), limit * SPARE_HITS],
  );
  const documents = [...new Set(found.map(({ document }) => document))];
  const roles = await Promise.all(
    documents.map((id) => env.DOCUMENTS.getByName(audienceOf({ workspace, id })).roleOf(user.id)),
  );
  const readable = new Set(documents.filter((_, i) => roles[i] !== undefined));
  return json({ hits: found.filter(({ document }) => readable.has(document)).slice(0, limit) });
}

async function write(
  tx: Transaction,
  document: string,
  events: readonly Extract<ChangeEvent, { key: unknown }>[],
): Promise<void> {
  for (const [table, changes] of Map.groupBy(events, ({ table }) => table)) {
    const rows = changes.map(({ after }) => after).filter((row): row is ChangeRow => row !== null);
    const gone = changes.filter(({ after }) => after === null).map(({ key }) => key['id']);
    const [put, remove] = [PUT[table], REMOVE[table]];
    if (put !== undefined && rows.length > 0) await tx.run(put, [document, JSON.stringify(rows)]);
    if (remove !== undefined && gone.length > 0) await tx.run(remove, [document, JSON.stringify(gone)]);
  }
}

/** What is asked for as FTS5 writes it: all of the words, the last of which may be unfinished. */
function matching(q: string): string {
  const words = q.match(/[\p{L}\p{N}\p{M}]+/gu) ?? [''];
  return words.map((word, i) => `"${word}"${i === words.length - 1 ? '*' : ''}`).join(' ');
}
