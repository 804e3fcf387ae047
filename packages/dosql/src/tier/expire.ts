import type { Engine } from '../engine.ts';
import type { Outcome, Pass } from '../outcome.ts';
import { splice } from '../sql/statement.ts';
import { quoteName } from '../sql/token.ts';
import type { SqlParameter } from '../value/parameter.ts';
import { boundary, endOf, hasForm } from './age.ts';
import type { ColdFile, Manifest, TieredTable } from './manifest.ts';
import type { TierPolicy } from './options.ts';
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
  const { expireAfterMs } = policy;
  if (expireAfterMs === undefined) return 0;
  const limit = engine.nowMs() - expireAfterMs;
  const oldest = files.find((file) => endOf(file.partition) <= limit);
  if (oldest === undefined)
    return pass(() => expireHot(engine, manifest.tables.get(tableId) ?? tiered, limit));
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

/** Hot rows that are older than is kept, because they came late or may not leave, are deleted like any others. */
function expireHot(engine: Engine, { tableId, policy, files }: TieredTable, limit: number): number {
  const hasCold = files.length > 0;
  const relation = engine.catalog.present(tableId);
  if (relation === undefined) return 0;
  const name = quoteName(policy.column);
  const forms = ['T', ' ', 's', 'ms'] as const;
  const { key } = relation;
  // SQLite gives the rowid after the highest that it sees: it stays for as long as there are cold rows below it.
  const stays =
    key.kind === 'rowid' && hasCold
      ? ` AND ${quoteName(key.name)} < (SELECT max(${quoteName(key.name)}) FROM main.${quoteName(relation.name)})`
      : '';
  const isOld = `(${forms.map((form) => `(${name} < ? AND ${hasForm(name, form)})`).join(' OR ')})${stays}`;
  const params = forms.map((form) => boundary(limit, form, policy.partition));
  const from = `${quoteName(relation.name)} WHERE ${isOld}`;
  const run = (sql: string): Outcome => engine.run(engine.statement(sql), params, { isHotOnly: true });
  if (run(`SELECT 1 FROM ${from} LIMIT 1`).raw.length === 0) return 0;
  return engine.atomically(() => {
    if (policy.rollup !== undefined) keepOf(engine, policy.rollup, `(SELECT * FROM main.${from})`, params);
    return run(`DELETE FROM ${from}`).changes;
  });
}

/** Keeps of hot rows what a rollup does of cold ones. */
function keepOf(
  engine: Engine,
  { into, select }: NonNullable<TierPolicy['rollup']>,
  rows: string,
  params: readonly SqlParameter[],
): void {
  const { sql, references } = engine.statement(select);
  const [reference] = references;
  if (reference === undefined) return;
  const { whole, alias, name } = reference;
  const text = splice(sql, [{ ...whole, text: `${rows} AS ${quoteName(alias ?? name)}` }]);
  const { names } = engine.run(engine.statement(`SELECT * FROM (${text}) LIMIT 0`), params, {
    isHotOnly: true,
  });
  const insert = `INSERT INTO ${quoteName(into)}(${names.map(quoteName).join(', ')}) ${text}`;
  void engine.run(engine.statement(insert), params, { isHotOnly: true });
}
