import { rowKey } from '@dotdo/cdc/client';
import { byId, create } from '@dotdo/example-shared/page/dom';
import { STATUSES, tasksIn, type Snapshot, type Task, type TaskStatus } from './model.ts';

export const COLUMN_NAMES: Readonly<Record<TaskStatus, string>> = {
  todo: 'To do',
  in_progress: 'In progress',
  review: 'Review',
  done: 'Done',
};

/** What a user can do to a card. */
export interface CardActions {
  readonly open: (task: Task) => void;
  readonly move: (task: Task, status: TaskStatus) => void;
}

const DRAG_TYPE = 'application/x-task';

/** Draws the board of a project. Without actions it is for looking only. */
export function drawBoard(
  snapshot: Snapshot,
  projectId: number | undefined,
  actions: CardActions | undefined,
): void {
  const board = byId('board');
  const focused = document.activeElement?.closest<HTMLElement>('#board [data-focus]')?.dataset['focus'];
  board.classList.toggle('past', actions === undefined);
  board.replaceChildren(...STATUSES.map((status) => column(snapshot, projectId, status, actions)));
  // Everything is drawn anew, also when someone else's change comes in: that must not take the focus away.
  if (focused !== undefined) board.querySelector<HTMLElement>(`[data-focus="${focused}"]`)?.focus();
}

function column(
  snapshot: Snapshot,
  projectId: number | undefined,
  status: TaskStatus,
  actions: CardActions | undefined,
): HTMLElement {
  const tasks = tasksIn(snapshot, projectId, status);
  const count = create('span', { className: 'count' }, String(tasks.length));
  const heading = create('h2', {}, COLUMN_NAMES[status], count);
  const list = create('ul', {}, ...tasks.map((task) => card(task, snapshot, actions)));
  const section = create('section', { ariaLabel: COLUMN_NAMES[status] }, heading, list);
  section.dataset['status'] = status;
  if (actions === undefined) return section;
  section.addEventListener('dragover', (event) => {
    if (event.dataTransfer?.types.includes(DRAG_TYPE) === true) event.preventDefault();
  });
  section.addEventListener('drop', (event) => {
    const task = snapshot.tasks.get(rowKey(Number(event.dataTransfer?.getData(DRAG_TYPE))));
    if (task !== undefined && task.status !== status) actions.move(task, status);
  });
  return section;
}

function card(task: Task, snapshot: Snapshot, actions: CardActions | undefined): HTMLElement {
  const item = create('li', { className: 'card' });
  item.dataset['task'] = String(task.id);
  if (task.label !== null) item.append(chip(task.label));
  item.append(actions === undefined ? create('p', { className: 'title' }, task.title) : title(task, actions));
  item.append(facts(task, snapshot));
  if (actions === undefined) return item;
  item.draggable = true;
  item.addEventListener('dragstart', (event) => {
    event.dataTransfer?.setData(DRAG_TYPE, String(task.id));
  });
  const at = STATUSES.indexOf(task.status);
  const moves = create('div', { className: 'moves' });
  for (const [to, sign] of [[STATUSES[at - 1], '←'] as const, [STATUSES[at + 1], '→'] as const]) {
    if (to === undefined) continue;
    const label = `Move "${task.title}" to ${COLUMN_NAMES[to]}`;
    const button = create('button', { ariaLabel: label, title: `To ${COLUMN_NAMES[to]}` }, sign);
    button.dataset['focus'] = `${task.id} ${sign}`;
    button.addEventListener('click', () => actions.move(task, to));
    moves.append(button);
  }
  item.append(moves);
  return item;
}

function title(task: Task, actions: CardActions): HTMLElement {
  const button = create('button', { className: 'title' }, task.title);
  button.dataset['focus'] = String(task.id);
  button.addEventListener('click', () => actions.open(task));
  return button;
}

function chip(label: string): HTMLElement {
  const chip = create('span', { className: 'chip' }, label);
  const hash = Array.from(label).reduce(
    (hash, character) => (hash * 31 + (character.codePointAt(0) ?? 0)) % 360,
    7,
  );
  chip.style.setProperty('--hue', String(hash));
  return chip;
}

function facts({ priority, due_date, assignee_id }: Task, { users }: Snapshot): HTMLElement {
  const facts = create('p', { className: 'facts' });
  if (priority > 0) facts.append(create('span', { title: 'Priority' }, `↑ ${priority}`));
  if (due_date !== null)
    facts.append(create('time', { dateTime: due_date, title: 'Due' }, shortDate(due_date)));
  const assignee = assignee_id === null ? undefined : users.get(rowKey(assignee_id));
  if (assignee !== undefined)
    facts.append(create('span', { className: 'avatar', title: assignee.name }, initials(assignee.name)));
  return facts;
}

function shortDate(date: string): string {
  return new Date(`${date}T00:00:00Z`).toLocaleDateString('en', {
    day: 'numeric',
    month: 'short',
    timeZone: 'UTC',
  });
}

function initials(name: string): string {
  const words = name.split(/\s+/u);
  return words
    .slice(0, 2)
    .map((word) => Array.from(word)[0] ?? '')
    .join('')
    .toUpperCase();
}
