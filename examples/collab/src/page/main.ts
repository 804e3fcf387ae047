import { byId, fieldsOf, onSubmit } from '@dotdo/example-shared/page/dom';
import { request } from '@dotdo/example-shared/page/request';
import { ask, pathOf, savedSession, saveSession, type Session } from './api.ts';
import { Branches } from './branches.ts';
import { askForText } from './dialogs.ts';
import { Editor } from './editor.ts';
import { share } from './share.ts';
import { Shelf } from './shelf.ts';
import { Timeline } from './timeline.ts';
import { hasUnsent } from './unsent.ts';

/** The page that is open. */
let desk: Desk | undefined;

/** One page: its editor, its history and its branches. */
class Desk {
  readonly id: string;
  readonly #session: Session;
  readonly #branches: Branches;
  #editor: Editor;
  #timeline: Timeline;
  #lsn = 0;

  constructor(session: Session, id: string) {
    this.#session = session;
    this.id = id;
    byId('empty').hidden = true;
    byId('desk').hidden = false;
    notify('');
    this.#branches = new Branches(session, id, { open: (branch) => this.#show(branch), notify });
    [this.#editor, this.#timeline] = this.#openLine('main');
  }

  get editor(): Editor {
    return this.#editor;
  }

  close(): void {
    this.#branches.close();
    this.#closeLine();
    byId('desk').hidden = true;
    byId('empty').hidden = false;
  }

  #show(branch: string): void {
    this.#closeLine();
    [this.#editor, this.#timeline] = this.#openLine(branch);
  }

  #openLine(branch: string): [Editor, Timeline] {
    const editor = new Editor(this.#session, this.id, branch, { onChange: () => this.#changed(), notify });
    const timeline = new Timeline(this.#session, this.id, branch, (past) => editor.showPast(past));
    return [editor, timeline];
  }

  #closeLine(): void {
    this.#timeline.close();
    this.#editor.close();
  }

  #changed(): void {
    // While it is being opened, the first line draws before there is an editor to ask.
    if (this.#editor === undefined) return;
    const { replica } = this.#editor.client;
    const title = byId<HTMLInputElement>('title');
    if (document.activeElement !== title) title.value = replica.title;
    document.title = replica.title;
    if (replica.lsn !== this.#lsn) this.#timeline.extendSoon();
    this.#lsn = replica.lsn;
  }
}

function notify(message: string): void {
  byId('notice').textContent = message;
}

function open(session: Session, id: string): void {
  desk?.close();
  desk = new Desk(session, id);
  history.replaceState(null, '', `#${id}`);
}

/** Shows the workspace, or for a guest the one page. */
function enter(session: Session): void {
  saveSession(session);
  byId('door').hidden = true;
  byId('guest-door').hidden = true;
  byId('room').hidden = false;
  const { guestOf } = session;
  byId('shelf').hidden = guestOf !== undefined;
  if (guestOf === undefined) new Shelf(session, { open: (id) => open(session, id), notify }).list();
  const id = guestOf ?? /^#([\w-]{36})$/.exec(location.hash)?.[1];
  if (id !== undefined) open(session, id);
  listen(session);
}

function listen(session: Session): void {
  const withDesk = (work: (desk: Desk) => Promise<void> | void) => (): void => {
    if (desk === undefined) return;
    Promise.resolve(work(desk)).catch((error: unknown) =>
      notify(error instanceof Error ? error.message : String(error)),
    );
  };
  byId('undo').addEventListener(
    'click',
    withDesk(({ editor }) => editor.takeBack('undo')),
  );
  byId('redo').addEventListener(
    'click',
    withDesk(({ editor }) => editor.takeBack('redo')),
  );
  byId('share').addEventListener(
    'click',
    withDesk(({ id }) => share(session, id)),
  );
  byId('title').addEventListener(
    'change',
    withDesk(async ({ id }) => {
      await ask(session, 'PATCH', `${pathOf(id)}/`, { title: byId<HTMLInputElement>('title').value });
    }),
  );
  byId('keep').addEventListener(
    'click',
    withDesk(({ id }) =>
      askForText('Keep this version', 'Name', '', async (name) => {
        await ask(session, 'POST', `${pathOf(id)}/versions`, { name });
        notify(`“${name}” is kept.`);
      }),
    ),
  );
  byId('leave').addEventListener('click', () => {
    const question =
      'What you wrote last is not saved yet. This browser keeps it until you come in again. Leave?';
    if (hasUnsent(session) && !confirm(question)) return;
    saveSession(undefined);
    location.href = '/';
  });
  document.addEventListener('keydown', (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'z') return;
    event.preventDefault();
    desk?.editor.takeBack(event.shiftKey ? 'redo' : 'undo');
  });
}

onSubmit(byId<HTMLFormElement>('found'), async () => {
  const { workspace = '', name = '' } = fieldsOf(byId<HTMLFormElement>('found'));
  const { token } = await request<{ token: string }>('POST', '/workspaces', { body: { workspace, name } });
  enter({ workspace, token });
});
onSubmit(byId<HTMLFormElement>('sign-in'), async () => {
  const { workspace = '', token = '' } = fieldsOf(byId<HTMLFormElement>('sign-in'));
  await ask({ workspace, token }, 'GET', '/documents');
  enter({ workspace, token });
});

const [, workspace = '', id = '', linkToken = ''] =
  /^#join\/([^/]+)\/([\w-]{36})\/([\w.-]+)$/.exec(location.hash) ?? [];
const session = savedSession();
if (linkToken !== '') {
  byId('guest-door').hidden = false;
  onSubmit(byId<HTMLFormElement>('join'), async () => {
    const link = { workspace, token: linkToken };
    const { token } = await ask<{ token: string }>(
      link,
      'POST',
      `${pathOf(id)}/join`,
      fieldsOf(byId('join')),
    );
    enter({ workspace, token, guestOf: id });
  });
} else if (session === undefined) byId('door').hidden = false;
else enter(session);
