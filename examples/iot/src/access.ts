import { HttpError } from '@dotdo/example-shared/http';
import { authorize, issueToken } from '@dotdo/example-shared/token';

/** What a token lets its holder do: send readings, or read and act, in one building; or look at all of them. */
export type Role = 'device' | 'operator' | 'fleet';

/** Who a request is from. */
export interface Holder {
  readonly name: string;
  readonly role: Role;
}

/** What the fleet's tokens open. No building's can be taken for it: those begin with `building:`. */
const FLEET = 'fleet';

/** A token for one building. Those of devices hold for a year, since nobody is there to renew them. */
export function buildingToken(
  secret: string,
  building: string,
  role: 'device' | 'operator',
  name: string,
): Promise<string> {
  const expiresIn = role === 'device' ? '365d' : '30d';
  return issueToken(secret, { aud: `building:${building}`, sub: name, role }, expiresIn);
}

/** A token for the fleet: for who builds buildings, and looks at all of them. */
export function fleetToken(secret: string, name: string): Promise<string> {
  return issueToken(secret, { aud: FLEET, sub: name, role: 'fleet' });
}

/**
 * Who a request for a building is from.
 *
 * @throws HttpError 401 without a token that holds, 403 with another building's.
 */
export async function holderFor(secret: string, request: Request, building: string): Promise<Holder> {
  const { sub, role } = await authorize(secret, request, `building:${building}`);
  if (role !== 'device' && role !== 'operator') throw new HttpError(403, 'this token is of no role');
  return { name: sub, role };
}

/** Refuses whoever may not see the fleet: 401 or 403. */
export async function requireFleet(secret: string, request: Request): Promise<void> {
  await authorize(secret, request, FLEET);
}
