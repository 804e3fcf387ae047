import { DoSQLError, type Database } from '@dotdo/dosql';
import { json, notFound, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { rowsAt } from '@dotdo/example-shared/past';
import { blockOf, compareBlocks, type BlockRow } from './block.ts';
import { NewVersion } from './input.ts';
import { requireRole } from './members.ts';
import type { Context } from './routes.ts';
import { trim } from './trim.ts';

/** Names the timer that archives what is not archived yet, and those that make each day's version. */
const ARCHIVE = 'archive';
const DAY = 'day';
const DAY_MS = 86_400_000;

/** A version, as the table has it. */
interface VersionRow {
  readonly id: number;
  readonly name: string;
  readonly lsn: number;
  readonly archived_at: string | null;
  /** Known once it is archived. */
  readonly blocks: number | null;
}

/** `POST /versions { name }`: keeps the document as it is now under a name, for good. */
export async function createVersion(context: Context): Promise<Response> {
  requireRole(context, 'editor');
  const { main, member, request } = context;
  const { name } = parseInput(NewVersion, await readJson(request));
  return json(await addVersion(main, name, member.id), { status: 201 });
}

/** `GET /versions`: newest first, and whether the archive has them. */
export async function listVersions({ main, query }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const versions = await main.query(
    'SELECT id, name, lsn, created_by, created_at, blocks, archived_at FROM versions ORDER BY id DESC LIMIT 1000',
  );
  return json({ versions });
}

/** `GET /versions/:version`: the document as it was, from the archive; from the log until it is there. */
export async function getVersion({ main, query, params }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const version = await main.get<VersionRow>('SELECT * FROM versions WHERE id = ?', [
    Number(params['version']),
  ]);
  if (version === null) throw notFound('version');
  const { id, name, lsn } = version;
  const source = await sourceOf(main, version);
  return json({ id, name, lsn, from: source.from, blocks: source.rows.map(blockOf).sort(compareBlocks) });
}

/** Archives what is not archived yet; each day makes a version of a document that has changed, and tidies it up. */
export function watchVersions(main: Database): void {
  main.onTimer(ARCHIVE, () => archive(main));
  main.onTimer<{ day: string }>(DAY, async ({ payload: { day } }) => {
    await addVersion(main, day, null);
    await trim(main);
  });
}

/** Sees to it that what has changed today has a version at the end of the day. */
export async function versionEachDay(main: Database): Promise<void> {
  const day = new Date().toISOString().slice(0, 10);
  if (scheduledDays.get(main) === day) return;
  scheduledDays.set(main, day);
  // A timer for each day: what is due today is not put off by what changes tomorrow.
  await main.schedule(`${DAY}:${day}`, Date.parse(day) + DAY_MS, { day });
}

/** Which day's timer has been set while the object was awake. To set it again changes nothing. */
const scheduledDays = new WeakMap<Database, string>();

/** Adds a version, to be archived; a day's, which is nobody's, once: timers may run twice, also at the same time. */
async function addVersion(
  main: Database,
  name: string,
  user: string | null,
): Promise<VersionRow | undefined> {
  const [version] = await main.query<VersionRow>(
    `INSERT INTO versions (name, lsn, created_by, created_at) SELECT ?1, ?2, ?3, ?4
      WHERE ?3 IS NOT NULL OR NOT EXISTS (SELECT 1 FROM versions WHERE name = ?1 AND created_by IS NULL)
     RETURNING id, name, lsn, created_by, created_at, archived_at, blocks`,
    [name, main.lsn(), user, new Date()],
  );
  await main.schedule(ARCHIVE, Date.now());
  return version;
}

/**
 * Puts versions into the archive, as of their LSNs: so it may be late, and what fails is tried again by the timer.
 * A file that is written again is the same file.
 */
async function archive(main: Database): Promise<void> {
  const waiting = await main.query<VersionRow>(
    'SELECT * FROM versions WHERE archived_at IS NULL ORDER BY id',
  );
  for (const { id, lsn } of waiting) {
    const { rows } = await main.copy(
      `SELECT ?1 AS version, id, kind, text, properties, position, run FROM blocks FOR SYSTEM_TIME AS OF LSN ?2`,
      'r2://archive/versions',
      { params: [id, lsn], partitionBy: ['version'] },
    );
    await main.run('UPDATE versions SET archived_at = ?, blocks = ? WHERE id = ?', [new Date(), rows, id]);
  }
}

/** The blocks of a version. While the archive does not answer, the log may still have them. */
async function sourceOf(
  main: Database,
  { id, lsn, archived_at, blocks }: VersionRow,
): Promise<{ from: 'archive' | 'log'; rows: BlockRow[] }> {
  const fromLog = async (): Promise<{ from: 'log'; rows: BlockRow[] }> => ({
    from: 'log',
    rows: await rowsAt<BlockRow>(main, { lsn: BigInt(lsn) }, 'SELECT * FROM blocks'),
  });
  if (archived_at === null) return fromLog();
  if (blocks === 0) return { from: 'archive', rows: [] };
  try {
    const rows = await main.query<BlockRow>(
      "SELECT id, kind, text, properties, position, run FROM 'r2://archive/versions/version=*/data.parquet' WHERE version = ?",
      [id],
    );
    return { from: 'archive', rows };
  } catch (error) {
    if (!(error instanceof DoSQLError) || error.code !== 'STORAGE_UNAVAILABLE') throw error;
    return fromLog().catch(() => {
      throw error;
    });
  }
}
