import { connect } from '@tursodatabase/database';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { memoryFolder, version } from '../harness/report.ts';
import { insertRows, portions, SCHEMA } from '../scenarios/item.ts';
import type { Form, StreamEngine } from '../scenarios/streaming.ts';

/** Both images as JSON text, as Turso decodes them. */
const CHANGES = `SELECT change_id, change_time, change_type, table_name, id,
  bin_record_json_object(table_columns_json_array(table_name), before) AS before,
  bin_record_json_object(table_columns_json_array(table_name), after) AS after
  FROM turso_cdc WHERE change_id > ? AND table_name = 'item' ORDER BY change_id LIMIT 1000`;

interface TursoChange {
  readonly change_id: number;
  readonly before: string | null;
  readonly after: string | null;
}

interface Item {
  readonly stock: number;
}

function objectOf({ before, after, ...change }: TursoChange): { before: Item | null; after: Item | null } {
  const image = (text: string | null): Item | null => (text === null ? null : (JSON.parse(text) as Item));
  return { ...change, before: image(before), after: image(after) };
}

/** The images are JSON already. */
function textOf({ before, after, ...change }: TursoChange): string {
  return `${JSON.stringify(change).slice(0, -1)},"before":${before},"after":${after}}`;
}

function stockIn(json: string): number {
  return Number(/"stock":(\d+)[^{]*$/.exec(json)?.[1]);
}

/** Turso's database with its table of changes, each with both images. Its table of changes is never emptied. */
export async function tursoStreams(): Promise<StreamEngine> {
  const folder = mkdtempSync(join(memoryFolder, 'dosql-turso-'));
  const [bare, captured] = await Promise.all([
    connect(join(folder, 'bare.db')),
    connect(join(folder, 'captured.db')),
  ]);
  let seen = 0;
  const readOut = async (form: Form): Promise<{ count: number; sum: number; last: number }> => {
    let [count, sum, last] = [0, 0, seen];
    const statement = await captured.prepare(CHANGES);
    for (;;) {
      const rows = (await statement.all(last)) as TursoChange[];
      if (rows.length === 0) return { count, sum, last };
      for (const row of rows)
        sum += form === 'json' ? stockIn(textOf(row)) : (objectOf(row).after?.stock ?? 0);
      count += rows.length;
      last = rows.at(-1)?.change_id ?? last;
    }
  };
  return {
    name: 'Turso',
    bareName: 'Turso',
    version: version('@tursodatabase/database'),
    load: async (rows) => {
      for (const db of [bare, captured]) {
        for (const sql of SCHEMA) await db.exec(sql);
        for (const [first, last] of portions(rows))
          await db.exec(insertRows(`SELECT value AS i FROM generate_series(${first}, ${last})`));
      }
      await captured.exec("PRAGMA capture_data_changes_conn('full')");
    },
    update: async (isCaptured) => {
      const started = performance.now();
      const statement = await (isCaptured ? captured : bare).prepare('UPDATE item SET stock = stock + 1');
      const { changes } = await statement.run();
      return { micros: ((performance.now() - started) * 1_000) / changes, sum: changes };
    },
    readOut: async (form) => {
      const started = performance.now();
      const { count, sum } = await readOut(form);
      return { micros: ((performance.now() - started) * 1_000) / count, sum };
    },
    forget: async () => {
      const statement = await captured.prepare('SELECT max(change_id) AS last FROM turso_cdc');
      const row = (await statement.get()) as { last: number | null } | undefined;
      seen = row?.last ?? 0;
    },
    close: async () => {
      await bare.close();
      await captured.close();
      rmSync(folder, { recursive: true });
    },
  };
}
