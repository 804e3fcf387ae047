import { byId } from '@dotdo/example-shared/page/dom';
import { ask, type Session } from './api.ts';

/** What the buttons work on. */
export interface RestoredBoard {
  /** The moment that is shown; undefined for the present. */
  readonly shown: () => number | undefined;
  /** Goes back to the present. */
  readonly leave: () => void;
  readonly notify: (message: unknown) => void;
}

/** The button that sets the board back to the moment that is shown, and the one that takes that back. For admins. */
export class Restore {
  readonly #session: Session;
  readonly #board: RestoredBoard;
  readonly #restore = byId<HTMLButtonElement>('restore');
  readonly #undo = byId<HTMLButtonElement>('undo-restore');
  #last: number | null = null;

  constructor(session: Session, board: RestoredBoard) {
    this.#session = session;
    this.#board = board;
    this.#restore.addEventListener('click', () => this.#try(() => this.#goBack()));
    this.#undo.addEventListener('click', () => this.#try(() => this.#takeBack()));
  }

  /** Shows the button where there is a past to go back to. */
  draw(): void {
    this.#restore.hidden = this.#board.shown() === undefined;
  }

  /** Undoing is offered as long as nothing else is done. */
  hideUndo(): void {
    this.#undo.hidden = true;
  }

  async #goBack(): Promise<void> {
    const to = `lsn:${this.#board.shown() ?? ''}`;
    const { changes, lsn } = await ask<{ changes: number; lsn: number | null }>(
      this.#session,
      'POST',
      '/restore',
      { to },
    );
    this.#last = lsn;
    this.#board.leave();
    this.#board.notify(
      changes === 0
        ? 'The board is like that already.'
        : `The board is as it was: ${rows(changes)} restored.`,
    );
    if (lsn === null) return;
    this.#undo.hidden = false;
    this.#undo.focus();
  }

  async #takeBack(): Promise<void> {
    const { changes } = await ask<{ changes: number }>(this.#session, 'POST', '/restore/undo', {
      lsn: this.#last,
    });
    this.#board.notify(`Undone: ${rows(changes)} as before.`);
  }

  #try(work: () => Promise<void>): void {
    work().catch((error: unknown) => this.#board.notify(error));
  }
}

function rows(count: number): string {
  return count === 1 ? '1 row' : `${count} rows`;
}
