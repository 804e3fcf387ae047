export type { Authorize, LiveAccess, LiveGrant } from './connect.ts';
export type { ClientMessage, ServerMessage, SubscribeMessage } from './protocol.ts';
export type { Restriction } from './scope.ts';
export { LiveSockets, type LiveOptions, type LiveState } from './sockets.ts';
