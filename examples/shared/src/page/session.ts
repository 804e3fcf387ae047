import { byId, reportIn } from './dom.ts';
import { Refusal } from './request.ts';

const STORED_AT = 'session';

/** Keeps who this browser is, between visits and for all of its windows. Every visit begins alike, with what is kept. */
export function keepSession(session: object): void {
  localStorage.setItem(STORED_AT, JSON.stringify(session));
  location.reload();
}

/** Forgets who this browser is. */
export function leave(): void {
  localStorage.removeItem(STORED_AT);
  location.reload();
}

/**
 * Shows what the session that is kept opens, or else the page's `#door`. Why it does not open is told in `form`.
 */
export async function enter<Session>(
  form: HTMLFormElement,
  show: (session: Session) => Promise<void>,
): Promise<void> {
  const stored = localStorage.getItem(STORED_AT);
  byId('door').hidden = stored !== null;
  if (stored === null) return;
  await reportIn(form, async () => {
    try {
      await show(JSON.parse(stored) as Session);
    } catch (error) {
      byId('door').hidden = false;
      // A token that is refused will not become better; a server that is away will come back.
      if (error instanceof Refusal && error.status < 500) localStorage.removeItem(STORED_AT);
      throw error;
    }
  });
}
