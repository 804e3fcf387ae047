import { liveQuery, type LiveStorage } from '@dotdo/cdc/client';

interface Order {
  readonly id: number;
  readonly item: string;
  readonly status: string;
}

export function openOrders(freshToken: () => Promise<string>, storage: LiveStorage) {
  return liveQuery<Order>({
    url: async () => `https://shop.example/live?token=${encodeURIComponent(await freshToken())}`,
    publication: 'public',
    table: 'orders',
    where: "status <> 'sent'",
    persist: { storage, key: 'orders' }, // localStorage
  });
}

/** What the guide shows of a live query, with what it said. */
export function watch(orders: ReturnType<typeof openOrders>, show: (text: string) => void): void {
  orders.onChange((changes) => {
    for (const { op, before, after } of changes) show(`${op}: ${(after ?? before)?.item}`);
  });
}

export async function openChat(url: string, token: string) {
  const response = await fetch(url, {
    method: 'PUT',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'stream-ttl': '86400', // seconds after the last read or write
    },
  });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`); // 201, or 200 if it was there
}

export async function say(url: string, token: string, text: string, phone: string, seq: number) {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      // Who appends, and a number that counts its appends from 0: sent again after a lost answer, it is there once.
      'producer-id': phone,
      'producer-epoch': '0',
      'producer-seq': String(seq),
    },
    body: JSON.stringify({ from: 'customer', text }),
  });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
}

export async function* messages(url: string, token: string, offset = '-1', signal?: AbortSignal) {
  for (;;) {
    const response = await fetch(`${url}?offset=${offset}&live=long-poll`, {
      headers: { authorization: `Bearer ${token}` },
      signal: signal ?? null,
    });
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
    // 204 says that nothing has come for 25 s.
    if (response.status === 200) yield* await response.json<unknown[]>();
    offset = response.headers.get('stream-next-offset') ?? offset; // keep it, to go on from here
    if (response.headers.has('stream-closed')) return;
  }
}

export function listen(url: string, token: string, handle: (message: unknown) => void, offset = '-1') {
  let source: EventSource;
  let isOver = false;
  const open = () => {
    if (isOver) return;
    source = new EventSource(`${url}?offset=${offset}&live=sse&token=${encodeURIComponent(token)}`);
    source.addEventListener('data', (event) => {
      for (const message of JSON.parse(String((event as MessageEvent).data))) handle(message);
    });
    source.addEventListener('control', (event) => {
      const control = JSON.parse(String((event as MessageEvent).data));
      offset = control.streamNextOffset;
      if (control.streamClosed) stop();
    });
    source.addEventListener('error', () => {
      source.close(); // by itself it would ask for the first offset again
      setTimeout(open, 1_000);
    });
  };
  const stop = () => {
    isOver = true;
    source.close();
  };
  open();
  return stop;
}
