import type { Engine } from '../engine.ts';
import { quoteName } from '../sql/token.ts';
import { boundary, endOf, hasForm } from './age.ts';
import type { ColdFile, Manifest, TieredTable } from './manifest.ts';
import type { Pass } from '../outcome.ts';
import { GRACE_MS } from './writes.ts';

/** Computes what is kept of the rows in files that are about to go: the text and values of the statements that keep it. */
export type Rollup = (
  tiered: TieredTable,
  files: readonly ColdFile[],
) => Promise<
  readonly {
    readonly sql: string;
    readonly params: readonly (string | number | bigint | null | Uint8Array)[];
  }[]
>;

/**
 * Deletes the rows of the oldest partition that is older than the policy keeps; returns how many, 0 when there is none.
 * Cold rows go with their files, without a change each in the log: they have expired, and so has their past.
 */
export async function expireNext(
  engine: Engine,
  manifest: Manifest,
  rollup: Rollup,
  tableId: number,
  pass: Pass,
): Promise<number> {
  // As it is now: what is computed of the files is good for this version of the manifest only.
  const { version } = manifest;
  const tiered = manifest.tables.get(tableId);
  if (tiered === undefined) return 0;
  const { policy, files } = tiered;
  const { expireAfterMs, partition, column } = policy;
  if (expireAfterMs === undefined) return 0;
  const limit = engine.nowMs() - expireAfterMs;
  const oldest = files.find((file) => endOf(file.partition, partition) <= limit);
  if (oldest === undefined) return pass(() => expireHot(engine, tableId, column, limit, partition));
  const going = files.filter((file) => file.partition === oldest.partition);
  const kept = policy.rollup === undefined ? [] : await rollup(tiered, going);
  return pass(() => {
    // Some row of them may have been written meanwhile: the next step sees it.
    if (manifest.version !== version) return 0;
    return engine.atomically(() => {
      for (const { sql, params } of kept) void engine.run(engine.statement(sql), params);
      const until = engine.nowMs() + GRACE_MS;
      for (const file of going) manifest.drop(file, until);
      return going.reduce((sum, { rows, goneCount }) => sum + rows - goneCount, 0);
    });
  });
}

/** Rows that were written late, older than is kept, are deleted like any others. */
function expireHot(
  engine: Engine,
  tableId: number,
  column: string,
  limit: number,
  partition: TieredTable['policy']['partition'],
): number {
  const relation = engine.catalog.present(tableId);
  if (relation === undefined) return 0;
  const name = quoteName(column);
  let expired = 0;
  for (const form of ['T', ' ', 's', 'ms'] as const) {
    const statement = engine.statement(
      `DELETE FROM ${quoteName(relation.name)} WHERE ${name} < ? AND ${hasForm(name, form)}`,
    );
    const params = [boundary(limit, form, partition)];
    expired += engine.run(statement, params, { isHotOnly: true }).changes;
  }
  return expired;
}
