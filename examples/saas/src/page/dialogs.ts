import { COLUMN_NAMES } from './board.ts';
import { byId, fieldsOf, fillSelect, onSubmit, reportIn } from '@dotdo/example-shared/page/dom';
import { STATUSES, type Task, type User } from './model.ts';

/** The choice of tasks that are no one's, where an empty one says that it does not matter. */
const NO_ONE = 'none';

/** What the task dialog lets one write. */
export type TaskFields = Omit<Task, 'id' | 'project_id'>;

/** Opens the dialog for a task, or for a new one. */
export function editTask(
  task: Task | undefined,
  users: readonly User[],
  actions: { readonly save: (fields: TaskFields) => Promise<void>; readonly remove: () => Promise<void> },
): void {
  const { dialog, form, signal } = open('task', task === undefined ? 'New task' : 'Task', () =>
    actions.save(taskFields(form)),
  );
  fillSelect(
    field<HTMLSelectElement>(form, 'status'),
    STATUSES.map((status) => [status, COLUMN_NAMES[status]]),
    task?.status ?? 'todo',
  );
  fillSelect(
    field<HTMLSelectElement>(form, 'assignee_id'),
    [['', 'No one'], ...users.map(({ id, name }) => [String(id), name] as const)],
    String(task?.assignee_id ?? ''),
  );
  field(form, 'title').value = task?.title ?? '';
  field(form, 'description').value = task?.description ?? '';
  field(form, 'priority').value = String(task?.priority ?? 0);
  field(form, 'due_date').value = task?.due_date ?? '';
  field(form, 'label').value = task?.label ?? '';
  const remove = field<HTMLButtonElement>(form, 'delete');
  remove.hidden = task === undefined;
  const removeAndClose = async (): Promise<void> => {
    await actions.remove();
    dialog.close();
  };
  remove.addEventListener('click', () => void reportIn(form, removeAndClose), { signal });
}

/** Fields that a bulk edit looks for, and those that it sets: what is not among them is not looked at, or stays. */
export interface BulkEdit {
  readonly where: Readonly<Record<string, string | number | null>>;
  readonly set: Readonly<Record<string, string | number | null>>;
}

/** Opens the dialog that changes many tasks at once. */
export function editInBulk(users: readonly User[], save: (edit: BulkEdit) => Promise<void>): void {
  const { form } = open('bulk', 'Bulk edit', () => save(bulkEdit(form)));
  const statuses = STATUSES.map((status) => [status, COLUMN_NAMES[status]] as const);
  const assignees = [
    [NO_ONE, 'No one'] as const,
    ...users.map(({ id, name }) => [String(id), name] as const),
  ];
  fillSelect(field<HTMLSelectElement>(form, 'where_status'), [['', 'Any'], ...statuses], '');
  fillSelect(field<HTMLSelectElement>(form, 'where_assignee_id'), [['', 'Anyone'], ...assignees], '');
  fillSelect(field<HTMLSelectElement>(form, 'status'), [['', 'As it is'], ...statuses], '');
  fillSelect(field<HTMLSelectElement>(form, 'assignee_id'), [['', 'As it is'], ...assignees], '');
  field(form, 'priority').value = '';
  field(form, 'due_date').value = '';
}

/** Opens the dialog for one line of text. */
export function askForText(
  heading: string,
  label: string,
  value: string,
  save: (text: string) => Promise<void>,
): void {
  const { form } = open('text', heading, () => save(field(form, 'text').value));
  form.querySelector('label span')?.replaceChildren(label);
  field(form, 'text').value = value;
}

/** Shows a dialog until it is cancelled, or saved without complaint; `signal` tells when it has closed. */
export function open(
  name: string,
  heading: string,
  save: () => Promise<void>,
): { dialog: HTMLDialogElement; form: HTMLFormElement; signal: AbortSignal } {
  const dialog = byId<HTMLDialogElement>(`${name}-dialog`);
  const form = byId<HTMLFormElement>(`${name}-form`);
  const closed = new AbortController();
  const { signal } = closed;
  byId(`${name}-heading`).textContent = heading;
  form.querySelector('[role=alert]')?.replaceChildren();
  const saveAndClose = async (): Promise<void> => {
    await save();
    dialog.close();
  };
  onSubmit(form, saveAndClose, signal);
  field(form, 'cancel').addEventListener('click', () => dialog.close(), { signal });
  dialog.addEventListener('close', () => closed.abort(), { once: true });
  dialog.showModal();
  return { dialog, form, signal };
}

function taskFields(form: HTMLFormElement): TaskFields {
  const { title = '', description, status, assignee_id, priority, due_date, label } = fieldsOf(form);
  return {
    title,
    description: description || null,
    status: STATUSES.find((known) => known === status) ?? 'todo',
    assignee_id: assignee_id ? Number(assignee_id) : null,
    priority: Number(priority),
    due_date: due_date || null,
    label: label || null,
  };
}

function bulkEdit(form: HTMLFormElement): BulkEdit {
  const { where_status, where_assignee_id, status, assignee_id, priority, due_date } = fieldsOf(form);
  return {
    where: { ...given('status', where_status), ...given('assignee_id', where_assignee_id, userId) },
    set: {
      ...given('status', status),
      ...given('assignee_id', assignee_id, userId),
      ...given('priority', priority, Number),
      ...given('due_date', due_date),
    },
  };
}

function given(
  name: string,
  value: string | undefined,
  read: (value: string) => string | number | null = (value) => value,
): Record<string, string | number | null> {
  return value === undefined || value === '' ? {} : { [name]: read(value) };
}

function userId(value: string): number | null {
  return value === NO_ONE ? null : Number(value);
}

function field<E extends HTMLElement = HTMLInputElement>(form: HTMLFormElement, name: string): E {
  return form.elements.namedItem(name) as Element as E;
}
