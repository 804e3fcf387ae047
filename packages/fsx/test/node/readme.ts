import { createNodeBackend } from '@dotdo/fsx/node';

/** Counts the runs of a program, in a folder of its own. */
export async function countRun(folder: string): Promise<number> {
  const files = createNodeBackend(folder);
  const stat = await files.stat('runs');
  const runs = Number(new TextDecoder().decode((await files.read('runs')) ?? undefined)) + 1;
  await files.write('runs', `${runs}`, stat ? { ifMatch: stat.etag } : { ifAbsent: true });
  return runs;
}
