import { ask, type Session } from './api.ts';
import { drawBoard } from './board.ts';
import { Branches } from './branches.ts';
import { askForText, editTask, type TaskFields } from './dialogs.ts';
import { byId, fillSelect } from './dom.ts';
import { Live } from './live.ts';
import { Snapshot, type Project, type Status, type Task } from './model.ts';
import { Timeline } from './timeline.ts';

/**
 * The board of one tenant: its present, which follows the server, and the past or the branch that is looked at
 * instead, if any.
 */
export class Room {
  readonly #session: Session;
  readonly #timeline: Timeline;
  readonly #branches: Branches;
  readonly #projects = byId<HTMLSelectElement>('project');
  #present = new Snapshot(0);
  #past: Snapshot | undefined;
  #branch: Snapshot | undefined;
  #projectId: number | undefined;
  #live: Live | undefined;

  constructor(session: Session) {
    this.#session = session;
    this.#timeline = new Timeline(session, (past) => {
      this.#past = past;
      this.#draw();
    });
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
  }

  /** Reads the present and listens to what comes after it. */
  async load(): Promise<void> {
    const { lsn, earliest, user } = await ask<Status>(this.#session, 'GET', '/status');
    this.#present = await Snapshot.at(this.#session, lsn);
    this.#timeline.extend(lsn, earliest.lsn);
    if (user !== undefined && user.role !== 'member') await this.#branches.load();
    this.#draw();
    this.#live = new Live(this.#session, lsn, {
      change: (change) => {
        this.#present.apply(change);
        this.#timeline.extend(change.lsn);
        this.#draw();
      },
      connected: (isConnected) => this.#showLive(isConnected),
      refused: () => this.#reload(),
    });
  }

  #reload(): void {
    this.#live?.stop();
    this.load().catch((error: unknown) => {
      this.#notify(error);
      setTimeout(() => this.#reload(), 5_000);
    });
  }

  #showLive(isConnected: boolean): void {
    const live = byId('live');
    live.textContent = isConnected ? 'live' : 'reconnecting…';
    live.classList.toggle('on', isConnected);
  }

  get #snapshot(): Snapshot {
    return this.#past ?? this.#branch ?? this.#present;
  }

  /** A branch is read when it is shown and after each change made here; main comes by itself. */
  async #showBranch(branch: string | undefined): Promise<void> {
    if (branch === undefined) this.#branch = undefined;
    else {
      const { lsn } = await ask<Status>(this.#session, 'GET', '/status');
      this.#branch = await Snapshot.at(this.#session, lsn, undefined, branch);
    }
    this.#past = undefined;
    this.#timeline.leave();
    this.#draw();
  }

  #draw(): void {
    const snapshot = this.#snapshot;
    const isPast = this.#past !== undefined;
    const projects = [...snapshot.projects.values()].filter(({ status }) => status === 'active');
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
    byId('notice').textContent = this.#noticeFor(isPast, projects);
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

  #noticeFor(isPast: boolean, projects: readonly Project[]): string {
    if (isPast) return 'This is the past: you can look, but not change it.';
    return projects.length === 0 ? 'Nothing here yet. Begin with a project.' : '';
  }

  #addProject(): void {
    askForText('New project', 'Name', '', async (name) => {
      const [owner] = this.#present.users.keys();
      const project = await this.#send<Project>('POST', '/projects', { name, owner_id: owner });
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

  #notify(error: unknown): void {
    byId('notice').textContent = error instanceof Error ? error.message : String(error);
  }
}
