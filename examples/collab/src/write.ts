import type { BatchStatement, Database } from '@dotdo/dosql';
import type { Draft, Written } from './draft.ts';
import { MAIN, type Line } from './line.ts';

/** Whose doing a change is. Only operations and undoing have a run: restoring and merging are not undone. */
export interface Run {
  /** Of a client's counting, with the client's id before it. */
  readonly id: string;
  readonly userId: string;
  readonly kind: 'edit' | 'undo' | 'redo';
  /** The run that undoing takes back. */
  readonly takesBack?: string;
}

/** What one person does at once. */
export interface Deed {
  readonly run: Run;
  readonly draft: Draft;
  /** The client, and its message that this has come by. */
  readonly client: string;
  readonly seq: number;
}

const SET_TEXTS = `
  UPDATE blocks SET text = w.value ->> 'text', run = w.value ->> 'run'
    FROM json_each(?) AS w WHERE blocks.id = w.value ->> 'id'`;
const PUT_ROWS = `
  INSERT INTO blocks (id, kind, text, properties, position, run)
  SELECT value ->> 'id', value ->> 'kind', value ->> 'text', value ->> 'properties', value ->> 'position', value ->> 'run'
    FROM json_each(?) WHERE true
  ON CONFLICT (id) DO UPDATE SET
    kind = excluded.kind, text = excluded.text, properties = excluded.properties,
    position = excluded.position, run = excluded.run`;
const REMOVE = 'DELETE FROM blocks WHERE id IN (SELECT value FROM json_each(?))';
const NOTE_CLIENTS = `
  INSERT INTO clients (id, seq, seen_at) SELECT value ->> 'client', value ->> 'seq', ?2 FROM json_each(?1) WHERE true
  ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, seen_at = excluded.seen_at`;
const NOTE_RUNS = `
  INSERT INTO runs (id, line, user_id, kind, takes_back, lsn, at)
  SELECT value ->> 'id', ?2, value ->> 'userId', value ->> 'kind', value ->> 'takesBack', ?3, ?4
    FROM json_each(?1) WHERE true
  ON CONFLICT (id) DO NOTHING`;
const NOTE_TOUCHED = `
  INSERT INTO touched (run, block, removed)
  SELECT value ->> 'run', value ->> 'block', value ->> 'removed' FROM json_each(?) WHERE true
  ON CONFLICT (run, block) DO UPDATE SET removed = excluded.removed WHERE excluded.removed <> touched.removed`;
const TAKE_BACK = 'UPDATE runs SET taken_back_by = ? WHERE id = ?';

/**
 * Writes what people have done on a line, and that they have: all of it or nothing. No two of these deeds are about
 * the same block, so each block changes once, and the log tells whose doing each change is.
 */
export async function write(main: Database, line: Line, deeds: readonly Deed[]): Promise<void> {
  const parts = deeds.map(({ draft }) => draft.written());
  const blocks = statementsFor(parts);
  const notes = notesFor(main, line, deeds);
  // A branch is written through a handle of its own, in the same turn: the platform commits both together.
  const writing =
    line.name === MAIN ? [main.batch([...blocks, ...notes])] : [line.db.batch(blocks), main.batch(notes)];
  await Promise.all(writing);
  line.noteChanged(
    parts.flatMap(({ texts, rows, removed }) => [...texts, ...rows].map(({ id }) => id).concat(removed)),
  );
}

function statementsFor(parts: readonly Written[]): BatchStatement[] {
  return [
    statement(
      SET_TEXTS,
      parts.flatMap(({ texts }) => texts),
    ),
    statement(
      PUT_ROWS,
      parts.flatMap(({ rows }) => rows),
    ),
    statement(
      REMOVE,
      parts.flatMap(({ removed }) => removed),
    ),
  ].filter((statement) => statement !== undefined);
}

function notesFor(main: Database, line: Line, deeds: readonly Deed[]): BatchStatement[] {
  const now = new Date();
  const runs = deeds.map(({ run }) => run);
  const touched = deeds.flatMap(({ run, draft }) =>
    draft.touchedBy(run.id).map((touch) => ({ run: run.id, ...touch })),
  );
  const clients = deeds.map(({ client, seq }) => ({ client, seq }));
  const takenBack = runs.flatMap(({ id, takesBack }) => (takesBack === undefined ? [] : [[id, takesBack]]));
  return [
    statement(NOTE_CLIENTS, clients, [now]),
    statement(NOTE_RUNS, runs, [line.name, main.lsn(), now]),
    statement(NOTE_TOUCHED, touched),
    ...takenBack.map((params) => ({ sql: TAKE_BACK, params })),
  ].filter((statement) => statement !== undefined);
}

function statement(
  sql: string,
  rows: readonly unknown[],
  params: readonly (Date | string | bigint)[] = [],
): BatchStatement | undefined {
  return rows.length === 0 ? undefined : { sql, params: [JSON.stringify(rows), ...params] };
}
