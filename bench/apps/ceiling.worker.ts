import { DurableObject } from 'cloudflare:workers';

interface Env {
  readonly CEILING: DurableObjectNamespace<Ceiling>;
}

/** Does nothing but answer: what an app's object is measured against. */
export class Ceiling extends DurableObject<Env> {
  override async fetch(request: Request): Promise<Response> {
    if (request.headers.get('upgrade') === 'websocket') {
      const [client, server] = Object.values(new WebSocketPair()) as [WebSocket, WebSocket];
      this.ctx.acceptWebSocket(server);
      const protocol = request.headers.get('sec-websocket-protocol')?.split(',')[0] ?? '';
      return new Response(null, {
        status: 101,
        webSocket: client,
        headers: { 'sec-websocket-protocol': protocol },
      });
    }
    const body = await request.text();
    return Response.json({ read: body.length });
  }

  /** An edit is answered, and nobody else is told. */
  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    socket.send(message);
  }
}

export default {
  fetch(request: Request, { CEILING }: Env): Promise<Response> {
    return CEILING.get(CEILING.idFromName('ceiling')).fetch(request);
  },
};
