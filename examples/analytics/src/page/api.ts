import { request } from '@dotdo/example-shared/page/request';
import { dateOf, type PageCount } from './model.ts';

const DAY_MS = 86_400_000;

/** Whose dashboard this is: kept between visits, shared by its windows. */
export interface Session {
  readonly site: string;
  /** What the dashboard is read with. */
  readonly read: string;
  /** What whoever has added the site was given besides. */
  readonly write?: string | undefined;
  readonly admin?: string | undefined;
}

/** Adds a site; the answer is all that will ever be told of its keys. */
export function signUp(site: string): Promise<Session> {
  return request<Session>('POST', '/signup', { body: { site } });
}

/** Whether the token opens the site; throws a `Refusal` if not. */
export async function check(session: Session): Promise<void> {
  await request('GET', path(session, '/status'), { token: session.read });
}

/** The pages that were seen most today. */
export async function topPages(session: Session): Promise<readonly PageCount[]> {
  const query = `?from=${dateOf(Date.now())}&to=${dateOf(Date.now() + DAY_MS)}&limit=8`;
  const { pages } = await request<{ pages: PageCount[] }>('GET', path(session, `/pages${query}`), {
    token: session.read,
  });
  return pages;
}

/** Reports what a page of the site would report. */
export function report(
  session: Session,
  write: string,
  sessionId: string,
): Promise<{ readonly region: string }> {
  const body = {
    id: crypto.randomUUID(),
    sessionId,
    eventType: 'page_view',
    pageUrl: location.href,
    timestamp: Date.now(),
  };
  return request('POST', path(session, '/ingest'), { token: write, body });
}

/** A path of the site. */
export function path({ site }: Session, rest: string): string {
  return `/s/${encodeURIComponent(site)}${rest}`;
}
