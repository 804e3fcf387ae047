import { join } from 'node:path';
import { isQuick, memoryFolder, report } from './harness/report.ts';
import { inWorkerd } from './harness/workerd.ts';
import type { Step } from './backup.worker.ts';

const ROWS = isQuick ? 20_000 : 2_000_000;
const CHANGED = ROWS / 20;
const worker = {
  entry: join(import.meta.dirname, 'backup.worker.ts'),
  classes: ['BackedUp'],
  folder: memoryFolder,
};

/** Backs a table up, changes some of it, backs that up, and makes the database anew in another object. */
export async function backup(): Promise<void> {
  await inWorkerd(worker, async (origin, memory) => {
    const run = async <T>(
      object: string,
      method: string,
      ...args: unknown[]
    ): Promise<{ seconds: number; result: T }> => {
      const response = await fetch(`${origin}/${object}/${method}`, {
        method: 'POST',
        body: JSON.stringify(args),
      });
      if (!response.ok) throw new Error(`${method}: ${await response.text()}`);
      const { ms, result } = await response.json<Step>();
      const seconds = Math.round(ms) / 1_000;
      console.log(`${object} ${method}: ${seconds} s, ${JSON.stringify(result)}`);
      return { seconds, result: result as T };
    };
    const loaded = await run<{ lsn: string }>('original', 'load', ROWS);
    const base = await run<{ bytes: number }>('original', 'backup');
    await run('original', 'change', CHANGED);
    const increment = await run<{ bytes: number }>('original', 'backup');
    const restored = await run<{ rows: number; bytes: number }>('remade', 'restore');
    for (const lsn of [undefined, loaded.result.lsn]) {
      const args = lsn === undefined ? [] : [lsn];
      const before = await run<{ hash: string }>('original', 'digest', ...args);
      const after = await run<{ hash: string }>('remade', 'digest', ...args);
      if (before.result.hash !== after.result.hash)
        throw new Error(`the restored rows are others, as of ${lsn ?? 'now'}`);
    }
    const rowsPerSecond = Math.round(ROWS / restored.seconds);
    console.log(
      `${ROWS} rows restored in ${restored.seconds} s, ${rowsPerSecond} rows/s; equal, also as of LSN ${loaded.result.lsn}`,
    );
    report('backup', {
      rows: ROWS,
      base: { seconds: base.seconds, bytes: base.result.bytes },
      increment: { changes: CHANGED, seconds: increment.seconds, bytes: increment.result.bytes },
      restore: { seconds: restored.seconds, rowsPerSecond, bytes: restored.result.bytes },
      memoryBytes: memory(),
    });
  });
}
