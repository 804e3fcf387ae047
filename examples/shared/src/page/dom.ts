/** The element with this id, which index.html has. */
export function byId<E extends HTMLElement>(id: string): E {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`index.html has no #${id}`);
  return element as E;
}

/**
 * An element with properties and children. Text becomes text nodes, never markup, so nothing that a user
 * wrote can be taken for HTML.
 */
export function create<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Choices of a select, with one of them chosen. */
export function fillSelect(
  select: HTMLSelectElement,
  choices: readonly (readonly [value: string, text: string])[],
  chosen: string,
): void {
  select.replaceChildren(...choices.map(([value, text]) => create('option', { value }, text)));
  select.value = chosen;
}

/** The fields of a form that are text. */
export function fieldsOf(form: HTMLFormElement): Record<string, string> {
  const fields = [...new FormData(form)].filter(
    (field): field is [string, string] => typeof field[1] === 'string',
  );
  return Object.fromEntries(fields);
}

/** Runs `work` whenever the form is sent, until `signal`, and shows in the form why it failed, if it did. */
export function onSubmit(form: HTMLFormElement, work: () => Promise<void>, signal?: AbortSignal): void {
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    void reportIn(form, work);
  };
  form.addEventListener('submit', submit, signal === undefined ? {} : { signal });
}

/** Runs `work` and shows in the form why it failed, if it did. */
export async function reportIn(form: HTMLFormElement, work: () => Promise<void>): Promise<void> {
  const alert = form.querySelector('[role=alert]');
  try {
    alert?.replaceChildren();
    await work();
  } catch (error) {
    alert?.replaceChildren(error instanceof Error ? error.message : String(error));
  }
}
