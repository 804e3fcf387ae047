import { ask, type Session } from './api.ts';
import { drawBoard } from './board.ts';
import { askForText, editTask, type TaskFields } from './dialogs.ts';
import { byId, fillSelect } from './dom.ts';
import { Live } from './live.ts';
import { Snapshot, type Project, type Reach, type Task } from './model.ts';
import { Timeline } from './timeline.ts';

/** The board of one tenant: its present, which follows the server, and the past that is looked at, if any. */
export class Room {
  readonly #session: Session;
  readonly #timeline: Timeline;
  readonly #projects = byId<HTMLSelectElement>('project');
  #present = new Snapshot(0);
  #past: Snapshot | undefined;
  #projectId: number | undefined;
  #live: Live | undefined;

  constructor(session: Session) {
    this.#session = session;
    this.#timeline = new Timeline(session, (past) => {
      this.#past = past;
      this.#draw();
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
    const reach = await ask<Reach>(this.#session, 'GET', '/status');
    this.#present = await Snapshot.at(this.#session, reach.lsn);
    this.#timeline.extend(reach.lsn, reach.earliest.lsn);
    this.#draw();
    this.#live = new Live(this.#session, reach.lsn, {
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

  #draw(): void {
    const snapshot = this.#past ?? this.#present;
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
      const project = await ask<Project>(this.#session, 'POST', '/projects', { name, owner_id: owner });
      this.#projectId = project.id;
    });
  }

  #edit(task: Task | undefined): void {
    const path = task === undefined ? '/tasks' : `/tasks/${task.id}`;
    editTask(task, [...this.#present.users.values()], {
      save: async (fields: TaskFields) => {
        if (task === undefined)
          await ask(this.#session, 'POST', path, { ...fields, project_id: this.#projectId });
        else await ask(this.#session, 'PATCH', path, fields);
      },
      remove: () => ask(this.#session, 'DELETE', path),
    });
  }

  /** What is written comes back over the socket, like everyone else's changes: that is what draws it. */
  #write(method: string, path: string, body: unknown): void {
    ask(this.#session, method, path, body).catch((error: unknown) => this.#notify(error));
  }

  #notify(error: unknown): void {
    byId('notice').textContent = error instanceof Error ? error.message : String(error);
  }
}
