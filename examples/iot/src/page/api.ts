import { request } from '@dotdo/example-shared/page/request';

/** Who this browser is: kept between visits, shared by its windows. Without a building it sees the fleet. */
export interface Session {
  readonly building?: string;
  readonly token: string;
}

/** The path of a building, or of something in it. */
export function pathOf({ building = '' }: Session, path: string): string {
  return `/buildings/${encodeURIComponent(building)}${path}`;
}

/** Asks the building, over HTTP. */
export async function ask<T>(session: Session, method: string, path: string, body?: unknown): Promise<T> {
  return request<T>(method, pathOf(session, path), { token: session.token, body });
}
