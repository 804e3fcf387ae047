import type { Database, Transaction } from '@dotdo/dosql';
import { HttpError, json, notFound, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { NewMember, RoleChange } from './input.ts';
import type { Context } from './routes.ts';

export type Role = 'viewer' | 'editor' | 'admin';

const RANKS: Readonly<Record<Role, number>> = { viewer: 0, editor: 1, admin: 2 };

/** Someone who may open the document. */
export interface Member {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  /** The link that a guest came by. */
  readonly link: number | null;
  readonly expires_at: string | null;
}

/** A member; undefined for one who is none, or is none any more. */
export async function memberById(main: Database, id: string): Promise<Member | undefined> {
  const member = await main.get<Member>(
    'SELECT id, name, role, link, expires_at FROM members WHERE id = ? AND (expires_at IS NULL OR expires_at > ?)',
    [id, new Date()],
  );
  return member ?? undefined;
}

/** Throws a 403 unless the request comes from someone who may do as much as this role. */
export function requireRole({ member }: Pick<Context, 'member'>, role: Role): void {
  if (RANKS[member.role] < RANKS[role]) throw new HttpError(403, `this is for ${role}s of the document`);
}

/** `GET /members` */
export async function listMembers({ main, query }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const members = await main.query(
    'SELECT id, name, role, link, expires_at, granted_by, granted_at FROM members ORDER BY name, id',
  );
  return json({ members });
}

/** `POST /members { user, role }`: lets a user of the workspace in. */
export async function addMember(context: Context): Promise<Response> {
  requireRole(context, 'admin');
  const { main, env, place, member, request } = context;
  const { user, role } = parseInput(NewMember, await readJson(request));
  const found = await env.WORKSPACES.getByName(place.workspace).userById(user);
  if (found === undefined) throw new HttpError(422, 'the workspace has no such user');
  const [added] = await main.query(
    `INSERT INTO members (id, name, role, granted_by, granted_at) VALUES (?, ?, ?, ?, ?)
     RETURNING id, name, role, link, expires_at`,
    [user, found.name, role, member.id, new Date()],
  );
  return json(added, { status: 201 });
}

/** `PATCH /members/:id { role }`: whoever it is has it from the next connection on, which is at once. */
export async function changeRole(context: Context): Promise<Response> {
  requireRole(context, 'admin');
  const { main, rooms, params, request } = context;
  const { role } = parseInput(RoleChange, await readJson(request));
  const id = params['member'] ?? '';
  const changed = await main.transaction(async (tx) => {
    await requireAnotherAdmin(tx, id, role);
    const [changed] = await tx.query(
      'UPDATE members SET role = ? WHERE id = ? RETURNING id, name, role, link, expires_at',
      [role, id],
    );
    if (changed === undefined) throw notFound('member');
    return changed;
  });
  rooms.hangUp(id, 1012, 'your role has changed');
  return json(changed);
}

/** `DELETE /members/:id`: takes the right away, and the sockets with it. */
export async function removeMember(context: Context): Promise<Response> {
  const { main, rooms, params, member } = context;
  const id = params['member'] ?? '';
  // Everyone may leave.
  if (id !== member.id) requireRole(context, 'admin');
  await main.transaction(async (tx) => {
    await requireAnotherAdmin(tx, id, 'viewer');
    const { changes } = await tx.run('DELETE FROM members WHERE id = ?', [id]);
    if (changes === 0) throw notFound('member');
  });
  rooms.hangUp(id, 4403, 'you may not open this document any more');
  return new Response(null, { status: 204 });
}

/**
 * A document without an admin could never be shared again. To be asked in the transaction that takes the role away: two
 * admins may go at once.
 */
async function requireAnotherAdmin(tx: Transaction, id: string, role: Role): Promise<void> {
  if (role === 'admin') return;
  const others = await tx.get("SELECT 1 FROM members WHERE role = 'admin' AND id <> ?", [id]);
  if (others === null) throw new HttpError(409, 'the document needs an admin: make someone else one first');
}
