import { json, notFound, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { outsideHistory, rowsAt } from '@dotdo/example-shared/past';
import { blockOf, compareBlocks, type BlockRow } from './block.ts';
import { BlocksQuery, BranchQuery, HistoryQuery, Restore, TitleChange } from './input.ts';
import { requireRole } from './members.ts';
import type { Context } from './routes.ts';

/** `GET /`: the document, who is asking, and how far its history reaches. */
export async function getDocument({ main, query, member, place }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const document = await main.get<object>('SELECT title, created_by, created_at FROM document');
  return json({
    id: place.id,
    ...document,
    you: { id: member.id, name: member.name, role: member.role },
    lsn: main.lsn(),
    earliest: await main.earliest(),
    size_bytes: main.size,
  });
}

/** `PATCH / { title }` */
export async function setTitle(context: Context): Promise<Response> {
  requireRole(context, 'editor');
  const { main, rooms, request } = context;
  const { title } = parseInput(TitleChange, await readJson(request));
  await main.run('UPDATE document SET title = ?', [title]);
  const room = await rooms.room('main');
  await room.tell();
  return json({ title });
}

/** `GET /blocks?as_of=&branch=`: the document, now or as it was. */
export async function getBlocks({ rooms, query }: Context): Promise<Response> {
  const { as_of, branch } = parseQuery(BlocksQuery, query);
  const { line } = await rooms.room(branch);
  const rows = await rowsAt<BlockRow>(line.db, as_of, 'SELECT * FROM blocks');
  return json({ blocks: rows.map(blockOf).sort(compareBlocks) });
}

/** `GET /blocks/:block/history?branch=`: every version of a block that the log knows, with whose it is. */
export async function blockHistory({ main, rooms, query, params }: Context): Promise<Response> {
  const { branch } = parseQuery(BranchQuery, query);
  const { line } = await rooms.room(branch);
  const versions = await line.db.history<BlockRow>('blocks', params['block'] ?? '');
  if (versions.length === 0) throw notFound('block');
  const users = await main.query<{ id: string; user_id: string }>(
    'SELECT id, user_id FROM runs WHERE id IN (SELECT value FROM json_each(?))',
    [JSON.stringify(versions.map(({ row }) => row.run))],
  );
  const userOf = new Map(users.map(({ id, user_id }) => [id, user_id]));
  return json({
    versions: versions.map(({ row, lsnFrom, lsnTo, validFrom, validTo }) => ({
      block: blockOf(row),
      user: userOf.get(row.run) ?? null,
      lsn_from: lsnFrom,
      lsn_to: lsnTo,
      valid_from: validFrom,
      valid_to: validTo,
    })),
  });
}

/**
 * `GET /history?before=&limit=&branch=`: what people have done, newest first. Each has the LSN before it: the
 * document as of that is what they began with. Go on before the last `number`.
 */
export async function listHistory({ main, query }: Context): Promise<Response> {
  const { branch, before, limit } = parseQuery(HistoryQuery, query);
  const earliest = await main.earliest();
  const runs = await main.query(
    `SELECT r.number, r.kind, r.user_id, m.name AS user_name, r.lsn, r.at,
            (SELECT count(*) FROM touched WHERE run = r.id) AS blocks
       FROM runs AS r LEFT JOIN members AS m ON m.id = r.user_id
      WHERE r.line = :branch AND r.lsn >= :earliest AND (:before IS NULL OR r.number < :before)
      ORDER BY r.number DESC LIMIT :limit`,
    { branch, earliest: earliest.lsn, before: before ?? null, limit },
  );
  return json({ runs, lsn: main.lsn(), earliest });
}

/**
 * `POST /restore { to, branch? }`: sets the blocks back to how they were, as new changes: everyone sees them at once,
 * and restoring to before the restore undoes it. What was done before it is not undone step by step any more.
 */
export async function restore(context: Context): Promise<Response> {
  requireRole(context, 'editor');
  const { main, rooms, member, request } = context;
  const { to, branch } = parseInput(Restore, await readJson(request));
  const room = await rooms.room(branch);
  const { line } = room;
  try {
    const result = await rooms.turns.take(async () => {
      const before = main.lsn();
      const { changes } = await line.db.restore(to, { tables: ['blocks'] });
      await main.batch([
        {
          sql: 'UPDATE runs SET taken_back_by = ?1 WHERE line = ?2 AND taken_back_by IS NULL',
          params: ['restore', branch],
        },
        {
          sql: `INSERT INTO runs (id, line, user_id, kind, lsn, at) VALUES (?, ?, ?, 'restore', ?, ?)`,
          params: [`restore/${crypto.randomUUID()}`, branch, member.id, before, new Date()],
        },
      ]);
      return { changes, before };
    });
    return json({ ...result, lsn: main.lsn() });
  } catch (error) {
    throw await outsideHistory(line.db, error);
  } finally {
    await room.tell();
  }
}
