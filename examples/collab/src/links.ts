import type { Database } from '@dotdo/dosql';
import { HttpError, json, notFound, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { issueToken } from '@dotdo/example-shared/token';
import { Joining, NewLink } from './input.ts';
import { requireRole } from './members.ts';
import type { Rooms } from './rooms.ts';
import type { Context } from './routes.ts';
import { audienceOf } from './place.ts';

/** Begins the subject of a link's token, and the id of a guest. */
const LINK = 'link:';
const GUEST = 'guest:';
/** A link that has got into wrong hands fills no database: for more, make another. */
const MAX_GUESTS = 100;
/** Names the timers that end links. */
const TIMER = 'link';

/** A link, as the table has it. */
interface Link {
  readonly id: number;
  readonly role: 'viewer' | 'editor';
  readonly expires_at: string;
  readonly revoked_at: string | null;
}

/** `POST /links { role, hours }`: a token that lets whoever has it in as a guest, for so long. */
export async function createLink(context: Context): Promise<Response> {
  requireRole(context, 'admin');
  const { main, env, place, member, request } = context;
  const { role, hours } = parseInput(NewLink, await readJson(request));
  const expiresAt = new Date(Date.now() + hours * 3_600_000);
  const link = await main.transaction(async (tx) => {
    const [link] = await tx.query<Link>(
      'INSERT INTO links (role, created_by, created_at, expires_at) VALUES (?, ?, ?, ?) RETURNING id, role, expires_at',
      [role, member.id, new Date(), expiresAt],
    );
    if (link === undefined) throw new Error('the link was not returned');
    await main.schedule(`${TIMER}:${link.id}`, expiresAt);
    return link;
  });
  const token = await issueToken(
    env.TOKEN_SECRET,
    { aud: audienceOf(place), sub: `${LINK}${link.id}` },
    `${Math.ceil(hours * 3_600)}s`,
  );
  return json({ ...link, token }, { status: 201 });
}

/** `GET /links` */
export async function listLinks(context: Context): Promise<Response> {
  requireRole(context, 'admin');
  const { main, query } = context;
  parseQuery(NoQuery, query);
  const links = await main.query(
    `SELECT id, role, created_by, created_at, expires_at, revoked_at,
            (SELECT count(*) FROM members WHERE link = links.id) AS guests
       FROM links ORDER BY id`,
  );
  return json({ links });
}

/** `DELETE /links/:id`: revokes a link. Its guests have to go, those who are connected at once. */
export async function revokeLink(context: Context): Promise<Response> {
  requireRole(context, 'admin');
  const { main, rooms, params } = context;
  const { changes } = await main.run('UPDATE links SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL', [
    new Date(),
    Number(params['link']),
  ]);
  if (changes === 0) throw notFound('link');
  await endLink(main, rooms, Number(params['link']));
  return new Response(null, { status: 204 });
}

/** Ends links when their time is over, also of those who are connected. */
export function watchLinks(main: Database, rooms: Rooms): void {
  main.onTimer(TIMER, async ({ name }) => endLink(main, rooms, Number(name.split(':')[1])));
}

/** Whether the subject of a token is a link, not a user. */
export function isLink(subject: string): boolean {
  return subject.startsWith(LINK);
}

/** `POST /join { name }` with the token of a link: a guest, and a token of the guest's own. */
export async function join(
  { main, env, place }: Pick<Context, 'main' | 'env' | 'place'>,
  subject: string,
  request: Request,
): Promise<Response> {
  const { name } = parseInput(Joining, await readJson(request));
  const id = `${GUEST}${crypto.randomUUID()}`;
  const [guest] = await main.query<{ role: string; expires_at: string }>(
    `INSERT INTO members (id, name, role, link, expires_at, granted_by, granted_at)
     SELECT ?1, ?2, role, id, expires_at, ?3, ?4 FROM links WHERE id = ?5 AND revoked_at IS NULL AND expires_at > ?4
        AND (SELECT count(*) FROM members WHERE link = ?5) < ?6
     RETURNING role, expires_at`,
    [id, name, subject, new Date(), Number(subject.slice(LINK.length)), MAX_GUESTS],
  );
  if (guest === undefined)
    throw new HttpError(403, `this link does not hold any more, or has let ${MAX_GUESTS} guests in already`);
  const seconds = Math.ceil((Date.parse(guest.expires_at) - Date.now()) / 1_000);
  const token = await issueToken(env.TOKEN_SECRET, { aud: audienceOf(place), sub: id, name }, `${seconds}s`);
  return json({ id, name, role: guest.role, expires_at: guest.expires_at, token }, { status: 201 });
}

/** Takes the guests of a link their right away, and their sockets. To do it twice is to do it once. */
async function endLink(main: Database, rooms: Rooms, link: number): Promise<void> {
  await main.cancel(`${TIMER}:${link}`);
  const guests = await main.query<{ id: string }>('DELETE FROM members WHERE link = ? RETURNING id', [link]);
  for (const { id } of guests) rooms.hangUp(id, 4403, 'the link that you came by does not hold any more');
}
