import { DocumentClient } from '../client/document-client.ts';
import type { Unsent } from '../client/replica.ts';
import { pathOf, type Session } from './api.ts';

// What the server has not answered outlasts the window: in the browser's storage, which all windows share, each client
// has an entry while it has something unsent. Whoever is at work with an entry holds the lock of the same name, and the
// browser takes it from a window that has gone. So what is in an entry is sent by one client, never by two.

/** Where a client tells that something has changed, or that something is wrong. */
export interface Listener {
  readonly onChange: () => void;
  readonly notify: (message: string) => void;
}

/**
 * Opens a page, on main or on a branch. What windows that have gone left unsent there is sent, each by a client of its
 * own, which goes on under the name that the server knows.
 */
export function openClient(
  session: Session,
  document: string,
  branch: string,
  { onChange, notify }: Listener,
): DocumentClient {
  const address = new URL(`/w/${encodeURIComponent(session.workspace)}${pathOf(document)}`, location.href);
  const options = { url: address.href, token: session.token, branch, onRefused: notify };
  const sendLeft = async (entry: string): Promise<void> => {
    const left = localStorage.getItem(entry);
    // Another window has been faster.
    if (left === null) return;
    notify('What was written here before is not saved yet: it is being sent.');
    const client = new DocumentClient({
      ...options,
      unsent: JSON.parse(left) as Unsent,
      keep: (unsent) => keep(entry, unsent, notify),
    });
    client.finish();
    await client.closed;
    if (client.status === 'live') notify('');
  };

  const prefix = `${entriesOf(session)}${document}/${encodeURIComponent(branch)}/`;
  for (const entry of keysFrom(prefix)) void navigator.locks.request(entry, () => sendLeft(entry));
  const entry = `${prefix}${crypto.randomUUID()}`;
  const client = new DocumentClient({ ...options, onChange, keep: (unsent) => keep(entry, unsent, notify) });
  void navigator.locks.request(entry, () => client.closed);
  return client;
}

/** Whether this browser has anything of the session's person that the server has not answered. */
export function hasUnsent(session: Session): boolean {
  return keysFrom(entriesOf(session)).length > 0;
}

function keep(entry: string, unsent: Unsent | undefined, notify: Listener['notify']): void {
  try {
    if (unsent === undefined) localStorage.removeItem(entry);
    else localStorage.setItem(entry, JSON.stringify(unsent));
  } catch {
    // A browser gives some 5 MB. An entry that is behind would do again what has been answered since: rather none.
    localStorage.removeItem(entry);
    notify('This browser cannot keep more of what is not saved: do not close this page until it is live.');
  }
}

function entriesOf({ workspace, token }: Session): string {
  return `unsent/${workspace}/${subjectOf(token)}/`;
}

function keysFrom(prefix: string): string[] {
  return Object.keys(localStorage).filter((key) => key.startsWith(prefix));
}

/** Whose a token is. The server checks it; here it only tells apart whoever shares a browser. */
function subjectOf(token: string): string {
  const [, payload = ''] = token.split('.');
  const { sub } = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/'))) as { sub: string };
  return sub;
}
