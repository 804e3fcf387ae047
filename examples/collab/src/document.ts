import { DurableObject } from 'cloudflare:workers';
import { DB } from '@dotdo/dosql';
import { HttpError, notFound } from '@dotdo/example-shared/http';
import { isLink, join, watchLinks } from './links.ts';
import { memberById, type Role } from './members.ts';
import type { Place } from './place.ts';
import { Rooms } from './rooms.ts';
import { route, type Opened } from './routes.ts';
import { openStream } from './stream.ts';
import { refuse } from './upgrade.ts';
import { versionEachDay, watchVersions } from './versions.ts';
import type { Env } from './worker.ts';

/** Carries the subject of the token that the Worker has seen. */
export const SUBJECT_HEADER = 'x-subject';

/**
 * One document: its database, its HTTP interface, and the sockets of those who edit it.
 *
 * Invariant: only a document that was created has a database, so a wrong id leaves nothing behind.
 */
export class Document extends DurableObject<Env> {
  #opened: Promise<Opened> | undefined;

  /** Creates the document, with its first admin. To do it twice is to do it once. */
  async create(place: Place, title: string, creator: { id: string; name: string }): Promise<void> {
    const { main } = await this.#open(place);
    await main.transaction(async (tx) => {
      const now = new Date();
      await tx.run(
        'INSERT INTO document (id, title, created_by, created_at) VALUES (1, ?, ?, ?) ON CONFLICT DO NOTHING',
        [title, creator.id, now],
      );
      await tx.run(
        `INSERT INTO members (id, name, role, granted_by, granted_at) VALUES (?, ?, 'admin', ?, ?)
         ON CONFLICT DO NOTHING`,
        [creator.id, creator.name, creator.id, now],
      );
      this.ctx.storage.kv.put('place', place);
    });
  }

  /** What a user may do here; undefined for nothing. */
  async roleOf(user: string): Promise<Role | undefined> {
    const opened = await this.#openOwn();
    return opened === undefined ? undefined : (await memberById(opened.main, user))?.role;
  }

  /** Answers a request; the Worker has seen that its token is one of the workspace, or of this document. */
  override async fetch(request: Request): Promise<Response> {
    try {
      const opened = await this.#openOwn();
      if (opened === undefined) throw notFound('document');
      const subject = request.headers.get(SUBJECT_HEADER) ?? '';
      if (isLink(subject)) {
        if (new URL(request.url).pathname === '/join' && request.method === 'POST')
          return await join(opened, subject, request);
        throw new HttpError(403, 'the token of a link is good for joining only: POST /join { name }');
      }
      const member = await memberById(opened.main, subject);
      if (member === undefined) throw new HttpError(403, 'you may not open this document');
      return await route({ ...opened, member, request });
    } catch (error) {
      return await refuse(request, error);
    }
  }

  /** Runs what is due: versions, links that end, telling the search, trimming the history. */
  override async alarm(): Promise<void> {
    const result = await (await this.#openOwn())?.main.alarm();
    // They are tried again, later and later; this is for those who look into the logs.
    for (const { name, error } of result?.failed ?? []) console.error(`the timer ${name} has failed`, error);
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    await (await this.#openOwn())?.rooms.message(socket, message);
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    await (await this.#openOwn())?.rooms.closed(socket);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    await (await this.#openOwn())?.rooms.closed(socket);
  }

  /** The document, opened; undefined when nobody has created it. */
  async #openOwn(): Promise<Opened | undefined> {
    const place = this.ctx.storage.kv.get<Place>('place');
    return place === undefined ? undefined : this.#open(place);
  }

  /** Opens the document once while the object is awake. What fails is tried again when it is asked for again. */
  #open(place: Place): Promise<Opened> {
    return (this.#opened ??= this.#wake(place).catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    }));
  }

  async #wake(place: Place): Promise<Opened> {
    const { ctx, env } = this;
    const main = await DB(place.id, {
      storage: ctx.storage,
      migrations: { folder: '.do/migrations/collab/document' },
      // Under this name SQL reaches the document's own part of the archive, and nothing else.
      buckets: { archive: { bucket: env.ARCHIVE, prefix: `${place.workspace}/${place.id}` } },
    });
    const cdc = await openStream(main, place, env);
    const rooms = new Rooms(ctx, main, cdc, () => versionEachDay(main));
    watchLinks(main, rooms);
    watchVersions(main);
    return { env, place, main, rooms };
  }
}
