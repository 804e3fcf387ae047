import type { ChangeRow } from '../change-log.ts';
import { rowFromJson, rowToJson, type JsonRow } from '../json.ts';

/** Where a page keeps texts: `localStorage`, or anything that waits. */
export interface LiveStorage {
  getItem(key: string): string | null | Promise<string | null>;
  setItem(key: string, value: string): unknown;
}

/** Rows that were all there was at a position. */
export interface KeptRows {
  readonly position: string;
  readonly rows: Map<string, ChangeRow>;
}

/** Rows as they were kept; undefined when there are none, or they are of another version. */
export function parseKept(text: string | null): KeptRows | undefined {
  if (text === null) return undefined;
  try {
    const { v, position, rows } = JSON.parse(text) as {
      v: unknown;
      position: unknown;
      rows: [string, JsonRow][];
    };
    if (v !== 1 || typeof position !== 'string') return undefined;
    return { position, rows: new Map(rows.map(([name, row]) => [name, rowFromJson(row)])) };
  } catch {
    // Whoever else writes there: the server has it all.
    return undefined;
  }
}

/** The text to keep. */
export function formatKept(position: string, rows: ReadonlyMap<string, ChangeRow>): string {
  return JSON.stringify({ v: 1, position, rows: Array.from(rows, ([name, row]) => [name, rowToJson(row)]) });
}
