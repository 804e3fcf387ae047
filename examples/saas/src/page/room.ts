import { STATUS_TEXTS } from '@dotdo/example-shared/page/live-status';
import type { LiveStatus } from '@dotdo/cdc/client';
import { Refusal } from '@dotdo/example-shared/page/request';
import { ask, type Session } from './api.ts';
import { drawBoard } from './board.ts';
import { Branches } from './branches.ts';
import { askForText, editTask, type TaskFields } from './dialogs.ts';
import { byId, fillSelect } from '@dotdo/example-shared/page/dom';
import { LiveBoard } from './live.ts';
import { activeProjects, snapshotAt, type Project, type Snapshot, type Status, type Task } from './model.ts';
import { Restore } from './restore.ts';
import { Timeline } from './timeline.ts';

/**
 * The board of one tenant: its present, which follows the server, and the past or the branch that is looked at
 * instead, if any.
 */
export class Room {
  readonly #session: Session;
  readonly #userId: number | undefined;
  readonly #timeline: Timeline;
  readonly #branches: Branches;
  /** For admins only. */
  #restore: Restore | undefined;
  readonly #projects = byId<HTMLSelectElement>('project');
  readonly #present: LiveBoard;
  #status: LiveStatus = 'connecting';
  #past: Snapshot | undefined;
  #branch: Snapshot | undefined;
  #projectId: number | undefined;
  /** What came of the last action, until the next one. */
  #message = '';

  /**
   * Opens the tenant's board.
   *
   * @throws Refusal for a token that is none.
   */
  static async open(session: Session): Promise<void> {
    const status = await ask<Status>(session, 'GET', '/status');
    const room = new Room(session, status);
    const { role = 'member' } = status.user ?? {};
    if (role === 'member') return;
    room.#allowRestoring();
    await room.#branches.load();
  }

  private constructor(session: Session, status: Status) {
    this.#session = session;
    this.#userId = status.user?.id;
    this.#timeline = new Timeline(session, (past) => {
      this.#past = past;
      this.#draw();
    });
    this.#timeline.extend(status);
    this.#branches = new Branches(session, {
      show: (branch) => this.#showBranch(branch),
      snapshot: () => this.#snapshot,
      projectId: () => this.#projectId,
      notify: (text) => this.#notify(text),
    });
    byId('tenant').textContent = session.tenant;
    document.title = `${session.tenant} · Board`;
    this.#projects.addEventListener('change', () => {
      this.#projectId = Number(this.#projects.value);
      this.#draw();
    });
    byId('new-project').addEventListener('click', () => this.#addProject());
    byId('new-task').addEventListener('click', () => this.#edit(undefined));
    byId('show-token').addEventListener('click', () =>
      askForText('Token', 'Whoever has it can open this board', session.token, async () => {}),
    );
    // Other people's changes draw the board at any moment, and a message outlasts them.
    for (const action of ['click', 'change']) {
      document.addEventListener(action, () => this.#notify(''), { capture: true });
    }
    this.#present = new LiveBoard(session, () => this.#changed());
    this.#draw();
  }

  #allowRestoring(): void {
    this.#restore = new Restore(this.#session, {
      shown: () => (this.#past === undefined ? undefined : this.#timeline.moment),
      leave: () => this.#leavePast(),
      notify: (message) => this.#notify(message),
    });
  }

  #leavePast(): void {
    this.#past = undefined;
    this.#timeline.leave();
    this.#draw();
  }

  /** The present has changed, or whether it is in step. */
  #changed(): void {
    const { status, error } = this.#present;
    const isNews = status !== this.#status;
    this.#status = status;
    const live = byId('live');
    live.textContent = STATUS_TEXTS[status];
    live.title = error?.message ?? '';
    live.classList.toggle('on', status === 'live');
    this.#draw();
    if (status === 'live') this.#timeline.extendSoon();
    if (status === 'offline' && isNews) void this.#explain();
  }

  /** A browser is not told why a socket is refused. Asked over HTTP, the server says it. */
  async #explain(): Promise<void> {
    try {
      await ask<Status>(this.#session, 'GET', '/status');
    } catch (error) {
      if (error instanceof Refusal) this.#notify(error);
    }
  }

  get #snapshot(): Snapshot {
    return this.#past ?? this.#branch ?? this.#present;
  }

  /** A branch is read when it is shown and after each change made here; main comes by itself. */
  async #showBranch(branch: string | undefined): Promise<void> {
    if (branch === undefined) this.#branch = undefined;
    else {
      const { lsn } = await ask<Status>(this.#session, 'GET', '/status');
      this.#branch = await snapshotAt(this.#session, lsn, { branch });
    }
    this.#leavePast();
  }

  #draw(): void {
    const snapshot = this.#snapshot;
    const isPast = this.#past !== undefined;
    const projects = activeProjects(snapshot);
    if (!projects.some(({ id }) => id === this.#projectId) && !isPast) this.#projectId = projects[0]?.id;
    const chosen = String(this.#projectId ?? '');
    fillSelect(
      this.#projects,
      projects.map(({ id, name }) => [String(id), name]),
      chosen,
    );
    this.#projects.hidden = projects.length === 0;
    byId('new-project').hidden = isPast;
    byId('history').hidden = this.#branch !== undefined;
    byId<HTMLSelectElement>('branch').disabled = isPast;
    byId('new-task').hidden = isPast || projects.length === 0;
    this.#restore?.draw();
    this.#drawNotice();
    drawBoard(
      snapshot,
      this.#projectId,
      isPast
        ? undefined
        : {
            open: (task) => this.#edit(task),
            move: (task, status) => this.#write('PATCH', `/tasks/${task.id}`, { status }),
          },
    );
  }

  #drawNotice(): void {
    byId('notice-text').textContent = this.#message || this.#standing();
  }

  /** What there is to say of the board that is shown. */
  #standing(): string {
    if (this.#past !== undefined) return 'This is the past: you can look, but not change it.';
    const isEmpty = this.#status === 'live' && activeProjects(this.#snapshot).length === 0;
    return isEmpty ? 'Nothing here yet. Begin with a project.' : '';
  }

  #addProject(): void {
    askForText('New project', 'Name', '', async (name) => {
      const project = await this.#send<Project>('POST', '/projects', { name, owner_id: this.#userId });
      this.#projectId = project.id;
      await this.#refresh();
    });
  }

  #edit(task: Task | undefined): void {
    const path = task === undefined ? '/tasks' : `/tasks/${task.id}`;
    editTask(task, [...this.#present.users.values()], {
      save: async (fields: TaskFields) => {
        if (task === undefined) await this.#send('POST', path, { ...fields, project_id: this.#projectId });
        else await this.#send('PATCH', path, fields);
        await this.#refresh();
      },
      remove: async () => {
        await this.#send('DELETE', path);
        await this.#refresh();
      },
    });
  }

  #write(method: string, path: string, body: unknown): void {
    const write = async (): Promise<void> => {
      await this.#send(method, path, body);
      await this.#refresh();
    };
    write().catch((error: unknown) => this.#notify(error));
  }

  #send<T>(method: string, path: string, body?: unknown): Promise<T> {
    const { current } = this.#branches;
    const query = current === undefined ? '' : `?branch=${encodeURIComponent(current)}`;
    return ask<T>(this.#session, method, path + query, body);
  }

  /** What is written on main comes back over the socket, like everyone else's changes: that is what draws it. */
  async #refresh(): Promise<void> {
    const { current } = this.#branches;
    if (current !== undefined) await this.#showBranch(current);
  }

  #notify(message: unknown): void {
    this.#message = message instanceof Error ? message.message : String(message);
    this.#restore?.hideUndo();
    this.#drawNotice();
  }
}
