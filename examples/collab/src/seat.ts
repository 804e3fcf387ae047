import type { Cursor, Peer } from './messages.ts';
import type { Role } from './members.ts';

/** Who holds a socket. It lies in the socket's attachment, so it is there when the object wakes. */
export interface Seat {
  /** Names the connection to the others. */
  readonly key: string;
  readonly user: string;
  readonly name: string;
  readonly role: Role;
  /** The branch that is edited. */
  readonly line: string;
  /** Names the client's count of messages, together with the user. */
  readonly client: string;
  /** When the seat's right ends, in ms since the epoch. */
  readonly until: number | null;
  readonly cursor: Cursor;
}

/** A socket's seat. */
export function seatOf(socket: WebSocket): Seat {
  return socket.deserializeAttachment() as Seat;
}

/** What others see of a seat. */
export function peerOf({ key, user, name, cursor }: Seat): Peer {
  return { key, user, name, cursor };
}

/** The tags by which the sockets of a line, or of a user, are found. */
export function tagsOf({ line, user }: Pick<Seat, 'line' | 'user'>): string[] {
  return [lineTag(line), userTag(user)];
}

export function lineTag(line: string): string {
  return `line:${line}`;
}

export function userTag(user: string): string {
  return `user:${user}`;
}
