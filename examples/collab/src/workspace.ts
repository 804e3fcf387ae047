import { DurableObject } from 'cloudflare:workers';
import type { Batch } from '@dotdo/cdc';
import { DB, type Database } from '@dotdo/dosql';
import { errorResponse, HttpError, json, notFound, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { requireRoute, type Routes } from '@dotdo/example-shared/router';
import { issueToken } from '@dotdo/example-shared/token';
import { SUBJECT_HEADER } from './document.ts';
import { NewDocument, NewUser } from './input.ts';
import { audienceOf } from './place.ts';
import { index, search } from './search.ts';
import type { Env } from './worker.ts';

/** A user of a workspace. */
export interface User {
  readonly id: string;
  readonly name: string;
  readonly role: 'member' | 'admin';
}

/** What a handler works with. */
export interface WorkspaceContext {
  readonly env: Env;
  readonly workspace: string;
  readonly db: Database;
  readonly user: User;
  readonly request: Request;
  readonly query: URLSearchParams;
}

type Handler = (context: WorkspaceContext) => Promise<Response>;

/** The HTTP interface of a workspace, behind `/w/:workspace`. */
const ROUTES: Routes<Handler> = [
  [/^\/users$/, { GET: listUsers, POST: createUser }],
  [/^\/documents$/, { GET: listDocuments, POST: createDocument }],
  [/^\/search$/, { GET: search }],
];

/** A workspace: its users, and the search over its documents, whose change streams come here. */
export class Workspace extends DurableObject<Env> {
  /** Whether someone has created it. */
  exists(): boolean {
    return this.#name !== undefined;
  }

  /** Creates the workspace with its first user; undefined when there is one already. */
  async create(name: string, userName: string): Promise<User | undefined> {
    if (this.exists()) return undefined;
    const db = await this.#open(name);
    return db.transaction(async (tx) => {
      if (this.exists()) return undefined;
      const [user] = await tx.query<User>(
        "INSERT INTO users (id, name, role, created_at) VALUES (?, ?, 'admin', ?) RETURNING id, name, role",
        [crypto.randomUUID(), userName, new Date()],
      );
      this.ctx.storage.kv.put('name', name);
      return user;
    });
  }

  /** A user of the workspace. */
  async userById(id: string): Promise<User | undefined> {
    const name = this.#name;
    return name === undefined ? undefined : userById(await this.#open(name), id);
  }

  /** Takes what a document's change stream tells: each change once, however often it comes. */
  async receiveChanges(batch: Batch): Promise<void> {
    const name = this.#name;
    if (name === undefined) throw new Error('there is no such workspace');
    await index(await this.#open(name), batch);
  }

  /** Answers a request; the Worker has seen that its token is one of this workspace. */
  override async fetch(request: Request): Promise<Response> {
    try {
      const workspace = this.#name;
      if (workspace === undefined) throw notFound('workspace');
      const db = await this.#open(workspace);
      const user = await userById(db, request.headers.get(SUBJECT_HEADER) ?? '');
      if (user === undefined) throw new HttpError(403, 'this is for users of the workspace');
      const { pathname, searchParams: query } = new URL(request.url);
      const { handler } = requireRoute(ROUTES, pathname, request.method);
      return await handler({ env: this.env, workspace, db, user, request, query });
    } catch (error) {
      return errorResponse(error);
    }
  }

  override async alarm(): Promise<void> {
    const name = this.#name;
    if (name !== undefined) await (await this.#open(name)).alarm();
  }

  get #name(): string | undefined {
    return this.ctx.storage.kv.get<string>('name');
  }

  #open(name: string): Promise<Database> {
    return DB(name, {
      storage: this.ctx.storage,
      migrations: { folder: '.do/migrations/collab/workspace' },
      // What stands here stands in the documents, with its history.
      history: { keep: '1h' },
    });
  }
}

/** `GET /users` */
async function listUsers({ db, query }: WorkspaceContext): Promise<Response> {
  parseQuery(NoQuery, query);
  return json({ users: await db.query('SELECT id, name, role FROM users ORDER BY name, id LIMIT 1000') });
}

/** `POST /users { name }`: a user, and the token that is handed to that person. */
async function createUser({ db, env, workspace, user, request }: WorkspaceContext): Promise<Response> {
  if (user.role !== 'admin') throw new HttpError(403, 'this is for admins of the workspace');
  const { name } = parseInput(NewUser, await readJson(request));
  const id = crypto.randomUUID();
  const token = await issueToken(env.TOKEN_SECRET, { aud: workspace, sub: id });
  await db.run("INSERT INTO users (id, name, role, created_at) VALUES (?, ?, 'member', ?)", [
    id,
    name,
    new Date(),
  ]);
  return json({ id, name, token }, { status: 201 });
}

/** `GET /documents`: those that the user may read. */
async function listDocuments({ db, user, query }: WorkspaceContext): Promise<Response> {
  parseQuery(NoQuery, query);
  const documents = await db.query(
    `SELECT d.id, d.title, r.role FROM readers AS r JOIN documents AS d ON d.id = r.document
      WHERE r.user_id = ? ORDER BY d.title, d.id LIMIT 1000`,
    [user.id],
  );
  return json({ documents });
}

/** `POST /documents { title }`: a document of which the user is the admin. */
async function createDocument({ env, workspace, user, request }: WorkspaceContext): Promise<Response> {
  const { title } = parseInput(NewDocument, await readJson(request));
  const place = { workspace, id: crypto.randomUUID() };
  await env.DOCUMENTS.getByName(audienceOf(place)).create(place, title, user);
  return json({ id: place.id, title }, { status: 201 });
}

async function userById(db: Database, id: string): Promise<User | undefined> {
  return (await db.get<User>('SELECT id, name, role FROM users WHERE id = ?', [id])) ?? undefined;
}
