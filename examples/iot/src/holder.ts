import type { Holder } from './access.ts';

// How the Worker tells an object whose token it has seen. Headers are Latin-1, names are not.

const NAME = 'x-holder-name';
const ROLE = 'x-holder-role';

/** Says in a request whose it is: set, not added, since what a client says here itself is not believed. */
export function writeHolder({ headers }: Request, { name, role }: Holder): void {
  headers.set(NAME, encodeURIComponent(name));
  headers.set(ROLE, role);
}

/** Whose a request is that the Worker has let through. */
export function readHolder({ headers }: Request): Holder {
  const role = headers.get(ROLE) === 'operator' ? 'operator' : 'device';
  return { name: decodeURIComponent(headers.get(NAME) ?? ''), role };
}
