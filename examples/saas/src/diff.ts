import type { Database, Row } from '@dotdo/dosql';
import { openBranch } from './branches.ts';
import { json, notFound } from '@dotdo/example-shared/http';
import { NoQuery, parseQuery } from '@dotdo/example-shared/input';
import type { Context } from './routes.ts';

type RowDiff = Awaited<ReturnType<Database['diff']>>[number];

/** `GET /branches/:name/diff`: each row that the branch has changed, as it was when the branch was made and is there. */
export async function diffBranch(context: Context): Promise<Response> {
  const { main, query, name } = context;
  await openBranch(context, name);
  parseQuery(NoQuery, query);
  return json({ changes: await changesOf(main, name) });
}

/**
 * What the branch has changed and main has not got. Comparing the two as they are would also tell what main has
 * changed since, the wrong way round: so the rows that differ are compared with what they were then.
 */
async function changesOf(main: Database, name: string): Promise<RowDiff[]> {
  const branch = (await main.branches()).find((branch) => branch.name === name);
  if (branch === undefined) throw notFound('branch');
  const then = main.asOf({ lsn: branch.base });
  const differing = Map.groupBy(await main.diff('main', name), ({ table }) => table);
  const changes: RowDiff[] = [];
  for (const [table, diffs] of differing) {
    const rows = await then.query(`SELECT * FROM "${table}" WHERE id IN (SELECT value FROM json_each(?))`, [
      JSON.stringify(diffs.map(({ key }) => key['id'])),
    ]);
    const before = new Map(rows.map((row) => [row['id'], row]));
    for (const { key, after } of diffs) {
      const change = between(before.get(key['id'] ?? null) ?? null, after);
      if (change !== undefined) changes.push({ table, key, ...change });
    }
  }
  return changes;
}

function between(before: Row | null, after: Row | null): Omit<RowDiff, 'table' | 'key'> | undefined {
  const columns = Object.keys(after ?? before ?? {}).filter((column) => before?.[column] !== after?.[column]);
  if (columns.length === 0) return undefined;
  return {
    type: before === null ? 'added' : after === null ? 'removed' : 'modified',
    before,
    after,
    columns,
  };
}
