import { rowKey } from '@dotdo/cdc/client';
import { ask, type Session } from './api.ts';

export const STATUSES = ['todo', 'in_progress', 'review', 'done'] as const;
export type TaskStatus = (typeof STATUSES)[number];

export interface User {
  readonly id: number;
  readonly name: string;
}

export interface Project {
  readonly id: number;
  readonly name: string;
  readonly status: string;
}

export interface Task {
  readonly id: number;
  readonly project_id: number;
  readonly title: string;
  readonly description: string | null;
  readonly assignee_id: number | null;
  readonly status: TaskStatus;
  readonly priority: number;
  readonly due_date: string | null;
  readonly label: string | null;
}

/** A row of any table. */
export type Cells = Readonly<Record<string, string | number | null>>;

/** A change of one row, as the activity feed has it. */
export interface Change {
  readonly lsn: number;
  readonly timestamp: string;
  readonly table: string;
  readonly op: 'insert' | 'update' | 'delete';
  readonly key: { readonly id: number };
  readonly before: Cells | null;
  readonly after: Cells | null;
}

/** How far the history reaches, from `earliest` to `lsn`, the present; and who is asking. */
export interface Status {
  readonly lsn: number;
  readonly earliest: { readonly lsn: number };
  readonly user?: { readonly id: number; readonly role: string };
}

/** A row that main and a branch do not have alike. */
export interface RowDiff {
  readonly table: string;
  readonly key: { readonly id: number };
  readonly type: 'added' | 'removed' | 'modified';
  readonly before: Cells | null;
  readonly after: Cells | null;
  readonly columns: readonly string[];
}

/** A row that has changed on main, `ours`, and on a branch, `theirs`, each otherwise. */
export interface Conflict {
  readonly table: string;
  readonly key: { readonly id: number };
  readonly base: Cells | null;
  readonly ours: Cells | null;
  readonly theirs: Cells | null;
  readonly columns: readonly string[];
}

type Rows<T> = ReadonlyMap<string, T>;

/** The tenant's rows by {@link rowKey}: those of live queries, or of a point of the past. */
export interface Snapshot {
  readonly users: Rows<User>;
  readonly projects: Rows<Project>;
  readonly tasks: Rows<Task>;
}

/**
 * Reads the three tables as of one LSN, so that they belong together, whatever is written meanwhile. Users are
 * main's on every branch.
 */
export async function snapshotAt(
  session: Session,
  lsn: number,
  { signal, branch }: { signal?: AbortSignal; branch?: string } = {},
): Promise<Snapshot> {
  const asOf = `?as_of=lsn:${lsn}`;
  const onBranch = branch === undefined ? asOf : `${asOf}&branch=${encodeURIComponent(branch)}`;
  const read = <T>(path: string): Promise<T> => ask<T>(session, 'GET', path, undefined, signal);
  const [{ users }, { projects }, { tasks }] = await Promise.all([
    read<{ users: User[] }>(`/users${asOf}`),
    read<{ projects: Project[] }>(`/projects${onBranch}`),
    read<{ tasks: Task[] }>(`/tasks${onBranch}`),
  ]);
  return { users: byKey(users), projects: byKey(projects), tasks: byKey(tasks) };
}

/** The projects to choose from, by name. */
export function activeProjects({ projects }: Snapshot): Project[] {
  return [...projects.values()]
    .filter(({ status }) => status === 'active')
    .sort((a, b) => compare(a.name, b.name) || a.id - b.id);
}

/** The tasks of a project with a status, in the order of the server's list. */
export function tasksIn({ tasks }: Snapshot, projectId: number | undefined, status: TaskStatus): Task[] {
  return [...tasks.values()]
    .filter((task) => task.project_id === projectId && task.status === status)
    .sort((a, b) => b.priority - a.priority || compare(a.due_date ?? '', b.due_date ?? '') || a.id - b.id);
}

function byKey<T extends { readonly id: number }>(rows: readonly T[]): Rows<T> {
  return new Map(rows.map((row) => [rowKey(row.id), row]));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
