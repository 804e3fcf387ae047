import { request } from '@dotdo/example-shared/page/request';

/** Who has come in, and where to: a workspace, or for a guest one page of it. */
export interface Session {
  readonly workspace: string;
  readonly token: string;
  /** The only page that a guest may open. */
  readonly guestOf?: string;
}

const KEY = 'session';

/** The session that was left open; undefined when there is none. */
export function savedSession(): Session | undefined {
  const text = localStorage.getItem(KEY);
  return text === null ? undefined : (JSON.parse(text) as Session);
}

export function saveSession(session: Session | undefined): void {
  if (session === undefined) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, JSON.stringify(session));
}

/** Asks the workspace. */
export function ask<T>(
  { workspace, token }: Session,
  method: string,
  path: string,
  body?: unknown,
): Promise<T> {
  return request<T>(method, `/w/${encodeURIComponent(workspace)}${path}`, { token, body });
}

/** The path of a document in its workspace. */
export function pathOf(document: string): string {
  return `/d/${document}`;
}
