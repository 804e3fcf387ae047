import { create, fillSelect } from '@dotdo/example-shared/page/dom';
import { ask, pathOf, type Session } from './api.ts';
import { showList } from './dialogs.ts';

const ROLES = ['viewer', 'editor', 'admin'] as const;
/** How long a link holds that is made here. */
const LINK_HOURS = 24 * 7;

interface Member {
  readonly id: string;
  readonly name: string;
  readonly role: (typeof ROLES)[number];
}
interface Link {
  readonly id: number;
  readonly role: string;
  readonly guests: number;
  readonly revoked_at: string | null;
}

/** Shows who may open the page, and lets admins change that. */
export async function share(session: Session, document: string): Promise<void> {
  const path = pathOf(document);
  const again = (): Promise<void> => share(session, document);
  const [{ members }, { users }, { links }] = await Promise.all([
    ask<{ members: Member[] }>(session, 'GET', `${path}/members`),
    // A guest knows nobody but those who are in, and an editor no links.
    ask<{ users: { id: string; name: string }[] }>(session, 'GET', '/users').catch(() => ({ users: [] })),
    ask<{ links: Link[] }>(session, 'GET', `${path}/links`).catch(() => ({ links: [] })),
  ]);
  const items: Node[] = members.map((member) => {
    const role = roleSelect(`Role of ${member.name}`, member.role);
    const remove = create('button', { type: 'button', className: 'danger' }, 'Remove');
    role.addEventListener('change', () =>
      report(item, async () => {
        await ask(session, 'PATCH', `${path}/members/${encodeURIComponent(member.id)}`, { role: role.value });
        await again();
      }),
    );
    remove.addEventListener('click', () =>
      report(item, async () => {
        await ask(session, 'DELETE', `${path}/members/${encodeURIComponent(member.id)}`);
        await again();
      }),
    );
    const item = create('span', { className: 'row' }, member.name, role, remove);
    return item;
  });
  for (const { id, role, guests } of links.filter(({ revoked_at }) => revoked_at === null)) {
    const revoke = create('button', { type: 'button', className: 'danger' }, 'Revoke');
    const item = create('span', { className: 'row' }, `Link for ${role}s, ${guests} here by it`, revoke);
    revoke.addEventListener('click', () =>
      report(item, async () => {
        await ask(session, 'DELETE', `${path}/links/${id}`);
        await again();
      }),
    );
    items.push(item);
  }
  const known = new Set(members.map(({ id }) => id));
  const actions = users
    .filter(({ id }) => !known.has(id))
    .slice(0, 5)
    .map(({ id, name }) => ({
      label: `Let ${name} in`,
      run: async () => {
        await ask(session, 'POST', `${path}/members`, { user: id, role: 'editor' });
        await again();
      },
      goesOn: true,
    }));
  const link = {
    label: 'Make a link',
    style: 'primary' as const,
    run: async () => {
      const { token } = await ask<{ token: string }>(session, 'POST', `${path}/links`, {
        role: 'editor',
        hours: LINK_HOURS,
      });
      // Behind the #, where no server sees it.
      const url = new URL(`/#join/${session.workspace}/${document}/${token}`, location.href).href;
      showList(
        'Whoever has this link can edit',
        [create('input', { value: url, readOnly: true, ariaLabel: 'Link' })],
        [],
      );
    },
    goesOn: true,
  };
  showList('Who may open this page', items, [...actions, link]);
}

function roleSelect(label: string, role: string): HTMLSelectElement {
  const select = create('select', { ariaLabel: label });
  fillSelect(
    select,
    ROLES.map((role) => [role, role]),
    role,
  );
  return select;
}

function report(item: HTMLElement, work: () => Promise<void>): void {
  work().catch((error: unknown) => item.append(` ${error instanceof Error ? error.message : String(error)}`));
}
