import { byId, create, onSubmit } from '@dotdo/example-shared/page/dom';

/** A button below a list. */
export interface Action {
  readonly label: string;
  readonly style?: 'primary' | 'danger';
  readonly run: () => Promise<void>;
  /** Whether it shows another list, rather than end the dialog. */
  readonly goesOn?: boolean;
}

/** Asks for a line of text; the dialog stays, with the reason, when `take` fails. */
export function askForText(
  heading: string,
  label: string,
  value: string,
  take: (text: string) => Promise<void>,
): void {
  const dialog = byId<HTMLDialogElement>('text-dialog');
  const form = byId<HTMLFormElement>('text-form');
  const closed = new AbortController();
  byId('text-heading').textContent = heading;
  form.querySelector('label span')?.replaceChildren(label);
  form.querySelector('[role=alert]')?.replaceChildren();
  const input = form.elements.namedItem('text') as HTMLInputElement;
  input.value = value;
  onSubmit(
    form,
    async () => {
      await take(input.value);
      dialog.close();
    },
    closed.signal,
  );
  form
    .querySelector('[name=cancel]')
    ?.addEventListener('click', () => dialog.close(), { signal: closed.signal });
  dialog.addEventListener('close', () => closed.abort(), { once: true });
  dialog.showModal();
  input.select();
}

/** Shows a list of things, and what can be done about them. */
export function showList(
  heading: string,
  items: readonly (Node | string)[],
  actions: readonly Action[],
): void {
  const dialog = byId<HTMLDialogElement>('list-dialog');
  const form = byId<HTMLFormElement>('list-form');
  const alert = form.querySelector('[role=alert]');
  byId('list-heading').textContent = heading;
  byId('list').replaceChildren(...items.map((item) => create('div', { className: 'item' }, item)));
  alert?.replaceChildren();
  const close = create('button', { type: 'button' }, 'Close');
  close.addEventListener('click', () => dialog.close());
  const buttons = actions.map(({ label, style = '', run, goesOn = false }) => {
    const button = create('button', { type: 'button', className: style }, label);
    button.addEventListener('click', () => {
      run().then(
        () => {
          if (!goesOn) dialog.close();
        },
        (error: unknown) => alert?.replaceChildren(error instanceof Error ? error.message : String(error)),
      );
    });
    return button;
  });
  form.querySelector('menu')?.replaceChildren(close, ...buttons);
  if (!dialog.open) dialog.showModal();
}
