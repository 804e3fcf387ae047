import { rowKey } from '@dotdo/cdc/client';
import { COLUMN_NAMES } from './board.ts';
import { create } from '@dotdo/example-shared/page/dom';
import type { Cells, Conflict, RowDiff, Snapshot, TaskStatus } from './model.ts';

/** Columns that nobody edits. */
const HIDDEN: ReadonlySet<string> = new Set(['id', 'created_at', 'updated_at', 'completed_at']);
const LABELS: Readonly<Record<string, string>> = {
  project_id: 'Project',
  assignee_id: 'Assignee',
  due_date: 'Due',
};

/** What a conflict's row becomes: one side's, or cells from either. */
export type Choice = 'ours' | 'theirs' | Cells;

/** What a branch has changed, row by row. */
export function drawDiff(changes: readonly RowDiff[], snapshot: Snapshot): HTMLElement[] {
  if (changes.length === 0) return [create('p', {}, 'This branch has not changed anything.')];
  return changes.map(({ type, before, after, columns }) => {
    const cells = shownColumns(columns).filter((column) => before?.[column] !== after?.[column]);
    const rows = cells.map((column) => {
      const cell = create('td');
      if (before !== null) cell.append(create('del', {}, show(column, before[column], snapshot)));
      if (before !== null && after !== null) cell.append(' → ');
      if (after !== null) cell.append(create('ins', {}, show(column, after[column], snapshot)));
      return create('tr', {}, create('th', { scope: 'row' }, labelOf(column)), cell);
    });
    return rowBox(after ?? before, type, create('table', {}, ...rows));
  });
}

/** What has changed on both sides, with the choice that each asks for: main's, until one takes the branch's. */
export function drawConflicts(conflicts: readonly Conflict[], snapshot: Snapshot): HTMLElement[] {
  return conflicts.map((conflict, i) => {
    const { ours, theirs, base } = conflict;
    const radio = (name: string, side: 'ours' | 'theirs', text: string): HTMLElement => {
      const input = create('input', { type: 'radio', name, value: side, checked: side === 'ours' });
      return create('td', {}, create('label', {}, input, `${side === 'ours' ? 'main' : 'branch'}: ${text}`));
    };
    const line = (title: string, name: string, our: string, their: string): HTMLElement =>
      create(
        'tr',
        {},
        create('th', { scope: 'row' }, title),
        radio(name, 'ours', our),
        radio(name, 'theirs', their),
      );
    const lines = isWhole(conflict)
      ? [line('Row', `${i}`, state(ours), state(theirs))]
      : shownColumns(conflict.columns).map((column) =>
          line(
            labelOf(column),
            `${i} ${column}`,
            show(column, ours?.[column], snapshot),
            show(column, theirs?.[column], snapshot),
          ),
        );
    return rowBox(ours ?? theirs ?? base, 'changed on both sides', create('table', {}, ...lines));
  });
}

/** What has been chosen for the conflict that was drawn as number `i`. */
export function choiceIn(fields: Readonly<Record<string, string>>, conflict: Conflict, i: number): Choice {
  const side = (name: string): 'ours' | 'theirs' => (fields[name] === 'theirs' ? 'theirs' : 'ours');
  if (isWhole(conflict)) return side(`${i}`);
  return Object.fromEntries(
    shownColumns(conflict.columns).map((column) => [
      column,
      conflict[side(`${i} ${column}`)]?.[column] ?? null,
    ]),
  );
}

/** Of a row that one side has deleted, or that is no task, only the whole is chosen. */
function isWhole({ table, ours, theirs }: Conflict): boolean {
  return table !== 'tasks' || ours === null || theirs === null;
}

function rowBox(row: Cells | null, type: string, table: HTMLElement): HTMLElement {
  const name = String(row?.['title'] ?? row?.['name'] ?? '');
  const heading = create('h3', {}, name, create('span', { className: 'type' }, type));
  return create('section', { className: 'row', ariaLabel: name }, heading, table);
}

function shownColumns(columns: readonly string[]): string[] {
  return columns.filter((column) => !HIDDEN.has(column));
}

function labelOf(column: string): string {
  return LABELS[column] ?? column.slice(0, 1).toUpperCase() + column.slice(1);
}

function state(row: Cells | null): string {
  return row === null ? 'deleted' : 'kept, with its changes';
}

function show(column: string, value: string | number | null | undefined, snapshot: Snapshot): string {
  if (value === null || value === undefined) return '–';
  if (column === 'assignee_id') return snapshot.users.get(rowKey(value))?.name ?? `user ${value}`;
  if (column === 'project_id') return snapshot.projects.get(rowKey(value))?.name ?? `project ${value}`;
  if (column === 'status') return COLUMN_NAMES[value as TaskStatus] ?? String(value);
  return String(value);
}
