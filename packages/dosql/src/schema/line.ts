import { RESERVED } from '../sql/statement.ts';

/** The line of history that has no branch row: the database as it is without branches. */
export const MAIN = 0;

/** A line and those that it came from, itself first: each with the LSN up to which it counts. */
export type Lineage = readonly { readonly line: number; readonly upTo: number }[];

/** Main came from no other line. */
export const MAIN_LINEAGE: Lineage = [{ line: MAIN, upTo: Infinity }];

const COPY = new RegExp(`^${RESERVED}b(\\d+)_([\\s\\S]*)$`, 'i');

/** The name in SQLite's schema of what a branch calls `name`. */
export function physicalName(branch: number, name: string): string {
  return branch === MAIN ? name : `${RESERVED}b${branch}_${name}`;
}

/** Which branch a name in SQLite's schema belongs to, and what that branch calls it. */
export function lineOf(physical: string): { branch: number; name: string } {
  const match = COPY.exec(physical);
  return match === null
    ? { branch: MAIN, name: physical }
    : { branch: Number(match[1]), name: match[2] as string };
}

/** SQLite's words about a branch's tables, with the names that the branch gives them. */
export function plainNames(text: string): string {
  return text.includes(`${RESERVED}b`) ? text.replaceAll(new RegExp(`${RESERVED}b\\d+_`, 'g'), '') : text;
}

/** Whether a name belongs to SQLite, to the platform, local or not, or to DoSQL. */
export function isInternal(name: string): boolean {
  return /^(?:sqlite_|_cf_|__dosql_|__miniflare_)/i.test(name) || isConflictTable(name);
}

/** Whether `name` is that of a table in which merges leave conflicts: it belongs to no line, and is not logged. */
export function isConflictTable(name: string): boolean {
  return /^dosql_conflicts_/i.test(name);
}

/** What a name may mean, itself first: `"feature/tasks"` is a table called so, or tasks of the branch feature. */
export function namesBehind(name: string): string[] {
  const parts = name.split('/');
  return parts.map((_, i) => parts.slice(i).join('/'));
}
