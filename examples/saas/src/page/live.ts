import { LiveClient, type LiveError, type LiveQuery, type LiveStatus } from '@dotdo/cdc/client';
import type { Session } from './api.ts';
import type { Project, Snapshot, Task, User } from './model.ts';

/**
 * The board as it is now: three live queries over one WebSocket. A connection that breaks is made again, and the
 * rows go on from where they were.
 */
export class LiveBoard implements Snapshot {
  readonly users: ReadonlyMap<string, User>;
  readonly projects: ReadonlyMap<string, Project>;
  readonly tasks: ReadonlyMap<string, Task>;
  readonly #queries: readonly LiveQuery<unknown>[];

  /** `changed` is called after every change of the rows, and of the status. */
  constructor({ tenant, token }: Session, changed: () => void) {
    const client = new LiveClient({
      url: `/t/${encodeURIComponent(tenant)}/live`,
      publication: 'board',
      // A browser cannot give a WebSocket an Authorization header, but it can offer subprotocols.
      protocols: [`bearer.${token}`],
    });
    const users = client.query<User>({ table: 'users' });
    const projects = client.query<Project>({ table: 'projects' });
    const tasks = client.query<Task>({ table: 'tasks' });
    this.users = users.rows;
    this.projects = projects.rows;
    this.tasks = tasks.rows;
    this.#queries = [users, projects, tasks];
    for (const query of this.#queries) query.subscribe(changed);
  }

  /** `live` when all is there. */
  get status(): LiveStatus {
    return this.#queries.find(({ status }) => status !== 'live')?.status ?? 'live';
  }

  /** Why the server does not give the board. */
  get error(): LiveError | undefined {
    return this.#queries.find(({ error }) => error !== undefined)?.error;
  }
}
