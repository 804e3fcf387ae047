import type { Database, RowDiff } from '@dotdo/dosql';
import { json, notFound, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { blockOf, type BlockRow } from './block.ts';
import { NewBranch } from './input.ts';
import { MAIN } from './line.ts';
import { requireRole } from './members.ts';
import type { Context } from './routes.ts';
import { diff } from './text.ts';

/** `GET /branches`: all but main, oldest first. */
export async function listBranches({ main, query }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const branches = await main.branches();
  return json({
    branches: branches.map(({ name, base, createdAt }) => ({ name, base_lsn: base, created_at: createdAt })),
  });
}

/** `POST /branches { name }`: a branch of main as it is now. Nothing is copied. */
export async function createBranch(context: Context): Promise<Response> {
  requireRole(context, 'editor');
  const { main, rooms, request } = context;
  const { name } = parseInput(NewBranch, await readJson(request));
  await rooms.turns.take(() => main.branch(name));
  return json({ name }, { status: 201 });
}

/** `DELETE /branches/:branch`: with all that was done on it; who is there has to go. */
export async function dropBranch(context: Context): Promise<Response> {
  requireRole(context, 'editor');
  const { main, rooms, query } = context;
  parseQuery(NoQuery, query);
  const name = branchOf(context);
  await rooms.turns.take(async () => {
    await main.dropBranch(name);
    rooms.close(name);
    await main.batch([
      { sql: 'DELETE FROM touched WHERE run IN (SELECT id FROM runs WHERE line = ?)', params: [name] },
      { sql: 'DELETE FROM runs WHERE line = ?', params: [name] },
    ]);
  });
  return new Response(null, { status: 204 });
}

/** `GET /branches/:branch/diff`: what was done on the branch since it was made; of each text, what has changed. */
export async function diffBranch(context: Context): Promise<Response> {
  const { main, query } = context;
  parseQuery(NoQuery, query);
  const changes = await changesOf(main, branchOf(context));
  return json({ changes: changes.map(shown) });
}

/** The branch that the path names. Main is none: it can be neither dropped nor merged into itself. */
export function branchOf({ params }: Pick<Context, 'params'>): string {
  const name = params['branch'] ?? MAIN;
  if (name === MAIN) throw notFound('branch');
  return name;
}

/** Blocks that differ between what the branch has in common with main, and the branch. */
function changesOf(main: Database, name: string): Promise<RowDiff[]> {
  return main.diff(MAIN, name, { table: 'blocks', base: true });
}

function shown({ type, key, before, after }: RowDiff): object {
  const [was, is] = [before, after].map((row) => (row === null ? null : blockOf(row as unknown as BlockRow)));
  return { type, id: key['id'], before: was, after: is, text: diff(was?.text ?? '', is?.text ?? '') };
}
