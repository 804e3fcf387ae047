import type { Database, Version } from '@dotdo/dosql';
import type { BlockRow, Properties } from './block.ts';
import { Draft } from './draft.ts';
import type { Line } from './line.ts';
import { mergeText } from './text.ts';
import type { Run } from './write.ts';

/** Runs that came to nothing, since what they were about has gone, are passed over: so many at most. */
const MAX_PASSED_OVER = 20;

/** What taking back comes to. */
export interface Undoing {
  readonly run: Run;
  readonly draft: Draft;
}

interface RunRow {
  readonly id: string;
  readonly lsn: number;
}

const LAST_DONE = `
  SELECT id, lsn FROM runs
   WHERE user_id = ? AND line = ? AND kind IN ('edit', 'redo') AND taken_back_by IS NULL
   ORDER BY number DESC LIMIT 1 OFFSET ?`;
/** What was undone can be done again until something else is done. */
const LAST_UNDONE = `
  SELECT id, lsn FROM runs AS undo
   WHERE user_id = ?1 AND line = ?2 AND kind = 'undo' AND taken_back_by IS NULL
     AND number > (SELECT coalesce(max(number), 0) FROM runs WHERE user_id = ?1 AND line = ?2 AND kind = 'edit')
   ORDER BY number DESC LIMIT 1 OFFSET ?3`;

/**
 * Takes back the last thing that a person did, or undid, on a line, and leaves what others have done since. What it
 * was is not kept anywhere but in the log: each block's versions tell it, and whose doing they were.
 *
 * @returns undefined when there is nothing to take back.
 */
export async function takeBack(
  main: Database,
  line: Line,
  userId: string,
  kind: 'undo' | 'redo',
): Promise<Undoing | undefined> {
  for (let passed = 0; passed < MAX_PASSED_OVER; passed++) {
    const last = await main.get<RunRow>(kind === 'undo' ? LAST_DONE : LAST_UNDONE, [
      userId,
      line.name,
      passed,
    ]);
    if (last === null) return undefined;
    const run: Run = { id: `${kind}/${crypto.randomUUID()}`, userId, kind, takesBack: last.id };
    const draft = await invert(main, line, last, run.id);
    const { texts, rows, removed } = draft.written();
    if (texts.length + rows.length + removed.length > 0) return { run, draft };
  }
  return undefined;
}

/** The blocks of a run without what it did. */
async function invert(main: Database, line: Line, { id, lsn }: RunRow, run: string): Promise<Draft> {
  const touched = await main.query<{ block: string; removed: number }>(
    'SELECT block, removed FROM touched WHERE run = ?',
    [id],
  );
  const draft = await Draft.open(
    line,
    touched.map(({ block }) => ({ op: 'delete', id: block })),
  );
  for (const { block, removed } of touched) {
    const versions = await line.db.history<BlockRow>('blocks', block);
    const now = draft.get(block) ?? (removed === 1 ? versions.at(-1)?.row : undefined);
    if (now !== undefined) draft.put(block, without(versions, now, id, lsn, run));
  }
  return draft;
}

/** A block without the changes of a run, newest first; undefined for one that the run has made. */
function without(
  versions: readonly Version<BlockRow>[],
  now: BlockRow,
  undone: string,
  lsn: number,
  run: string,
): BlockRow | undefined {
  let row: BlockRow = { ...now, run };
  for (const [i, { row: after, lsnFrom, op }] of [...versions.entries()].reverse()) {
    if (Number(lsnFrom) <= lsn) break;
    if (after.run !== undone) continue;
    const last = versions[i - 1];
    const isNew = op === 'insert' && last?.lsnTo !== lsnFrom;
    if (!isNew && last !== undefined) row = withoutChange(row, last.row, after);
    if (!isNew) continue;
    const text = mergeText(after.text, row.text, '');
    const isOthers = versions.slice(i + 1).some(({ row }) => row.run !== undone && row.run !== '');
    // What others have written in it stays, and the block with it.
    if (text === '' || !isOthers) return undefined;
    row = { ...row, text };
  }
  return row;
}

/** A block without one change of it: a text without what was put in, all else as it was where it still is as it became. */
function withoutChange(row: BlockRow, before: BlockRow, after: BlockRow): BlockRow {
  return {
    ...row,
    text: mergeText(after.text, row.text, before.text),
    kind: row.kind === after.kind ? before.kind : row.kind,
    position: row.position === after.position ? before.position : row.position,
    properties: withoutProperties(row.properties, before.properties, after.properties),
  };
}

function withoutProperties(row: string, before: string, after: string): string {
  if (before === after) return row;
  const [now, was, became] = [row, before, after].map(
    (json) => JSON.parse(json) as Record<string, unknown>,
  ) as [Record<string, unknown>, Record<string, unknown>, Record<string, unknown>];
  const keys = new Set([...Object.keys(was), ...Object.keys(became)]);
  for (const key of keys) if (now[key] === became[key]) now[key] = was[key];
  return JSON.stringify(now satisfies Properties);
}
