import { Refusal } from '@dotdo/example-shared/page/request';
import { ask, type Session } from './api.ts';
import { askForText, editInBulk, open } from './dialogs.ts';
import { byId, fieldsOf, fillSelect } from '@dotdo/example-shared/page/dom';
import type { Conflict, RowDiff, Snapshot } from './model.ts';
import { choiceIn, drawConflicts, drawDiff } from './review.ts';

/** The choice that makes a branch; no branch can have this name. */
const NEW = '+';

/** What the switch shows branches on. */
export interface Board {
  /** Reads and shows a branch anew; main when it is undefined. */
  readonly show: (branch: string | undefined) => Promise<void>;
  readonly snapshot: () => Snapshot;
  readonly projectId: () => number | undefined;
  readonly notify: (text: string) => void;
}

/** The switch between main and the branches, and what one does with a branch: bulk edit, compare, merge, drop. */
export class Branches {
  readonly #session: Session;
  readonly #board: Board;
  readonly #select = byId<HTMLSelectElement>('branch');
  #names: string[] = [];
  #current: string | undefined;

  constructor(session: Session, board: Board) {
    this.#session = session;
    this.#board = board;
    this.#select.addEventListener('change', () => this.#choose(this.#select.value));
    byId('bulk-edit').addEventListener('click', () => this.#bulkEdit());
    byId('show-diff').addEventListener('click', () => this.#try(() => this.#showDiff()));
    byId('merge').addEventListener('click', () => this.#try(() => this.#merge()));
    byId('drop').addEventListener('click', () => this.#try(() => this.#drop()));
  }

  /** The branch that is shown; undefined for main. */
  get current(): string | undefined {
    return this.#current;
  }

  /** Reads which branches there are. */
  async load(): Promise<void> {
    const { branches } = await ask<{ branches: { name: string }[] }>(this.#session, 'GET', '/branches');
    this.#names = branches.map(({ name }) => name);
    this.#draw();
  }

  async #go(name: string | undefined): Promise<void> {
    this.#current = name;
    this.#draw();
    try {
      await this.#board.show(name);
    } catch (error) {
      if (name === undefined) throw error;
      // Someone else has dropped it.
      await this.#go(undefined);
      await this.load();
      throw error;
    }
  }

  #draw(): void {
    const names = this.#names.map((name) => [name, name] as const);
    fillSelect(this.#select, [['', 'main'], ...names, [NEW, 'New branch…']], this.#current ?? '');
    this.#select.hidden = false;
    byId('branch-bar').hidden = this.#current === undefined;
    byId('branch-text').textContent =
      `You are on the branch “${this.#current ?? ''}”. Main stays as it is until you merge.`;
  }

  #choose(value: string): void {
    if (value !== NEW) {
      this.#try(() => this.#go(value === '' ? undefined : value));
      return;
    }
    this.#draw();
    askForText('New branch', 'Name', '', async (name) => {
      const branch = await ask<{ name: string }>(this.#session, 'POST', '/branches', { name });
      await this.load();
      await this.#go(branch.name);
    });
  }

  #bulkEdit(): void {
    editInBulk([...this.#board.snapshot().users.values()], async ({ where, set }) => {
      const body = { where: { ...where, project_id: this.#board.projectId() }, set };
      const { changes } = await this.#ask<{ changes: number }>('POST', '/bulk', body);
      await this.#board.show(this.#current);
      this.#board.notify(changes === 1 ? '1 task changed.' : `${changes} tasks changed.`);
    });
  }

  async #showDiff(): Promise<void> {
    const { changes } = await this.#ask<{ changes: RowDiff[] }>('GET', '/diff');
    review('What this branch changes', drawDiff(changes, this.#board.snapshot()));
  }

  async #drop(): Promise<void> {
    const { changes } = await this.#ask<{ changes: RowDiff[] }>('GET', '/diff');
    review('Drop this branch?', drawDiff(changes, this.#board.snapshot()), 'Drop it', async () => {
      await this.#ask('DELETE', '');
      await this.#go(undefined);
      await this.load();
    });
  }

  async #merge(): Promise<void> {
    try {
      await this.#mergeNow();
    } catch (error) {
      const conflicts = conflictsIn(error);
      if (conflicts.length === 0) throw error;
      this.#resolve(conflicts);
    }
  }

  async #mergeNow(): Promise<void> {
    const name = this.#current ?? '';
    const { inserted, updated, deleted } = await this.#ask<
      Record<'inserted' | 'updated' | 'deleted', number>
    >('POST', '/merge', {});
    await this.#go(undefined);
    this.#board.notify(`“${name}” is merged: ${inserted} added, ${updated} changed, ${deleted} deleted.`);
  }

  #resolve(conflicts: readonly Conflict[]): void {
    let open = conflicts;
    const body = drawConflicts(open, this.#board.snapshot());
    review('Changed on main too', body, 'Merge again', async (fields) => {
      for (const [i, conflict] of open.entries()) {
        const { table, key } = conflict;
        await this.#ask('POST', '/conflicts/resolve', { table, key, take: choiceIn(fields, conflict, i) });
      }
      try {
        await this.#mergeNow();
      } catch (error) {
        // Main may have changed again meanwhile, while one was thinking.
        open = conflictsIn(error);
        byId('review').replaceChildren(...drawConflicts(open, this.#board.snapshot()));
        throw error;
      }
    });
  }

  #ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const name = encodeURIComponent(this.#current ?? '');
    return ask<T>(this.#session, method, `/branches/${name}${path}`, body);
  }

  #try(work: () => Promise<void>): void {
    work().catch((error: unknown) =>
      this.#board.notify(error instanceof Error ? error.message : String(error)),
    );
  }
}

/** Shows rows in a dialog, with one thing to do about them, if any. */
function review(
  heading: string,
  rows: readonly HTMLElement[],
  action = '',
  act: (fields: Readonly<Record<string, string>>) => Promise<void> = async () => {},
): void {
  byId('review').replaceChildren(...rows);
  byId('review-action').textContent = action;
  byId('review-action').hidden = action === '';
  const { form } = open('review', heading, () => act(fieldsOf(form)));
}

function conflictsIn(error: unknown): readonly Conflict[] {
  if (!(error instanceof Refusal) || error.status !== 409) return [];
  return (error.body as { readonly conflicts?: readonly Conflict[] }).conflicts ?? [];
}
