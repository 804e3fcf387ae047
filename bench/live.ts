import { join } from 'node:path';
import { figure, isQuick, memoryFolder, report, roundsOr, type Figure } from './harness/report.ts';
import { inWorkerd } from './harness/workerd.ts';

const SOCKETS = isQuick ? [1, 10] : [1, 100, 1_000];
const COMMITS = isQuick ? 5 : 200;
const ROWS = isQuick ? 1_000 : 100_000;
const worker = {
  entry: join(import.meta.dirname, 'live.worker.ts'),
  classes: ['Live'],
  folder: memoryFolder,
};

/** Milliseconds from the sending of a write to its arrival at a socket, in the same process; and to its answer. */
interface Delivery {
  readonly sockets: number;
  readonly p50: Figure;
  readonly p99: Figure;
  readonly answered: Figure;
}

/** What a server sends, as far as it matters here. */
type Message =
  | { readonly type: 'ready' }
  | { readonly type: 'error'; readonly message: string }
  | {
      readonly type: 'changes';
      readonly events: readonly { readonly table?: string; readonly isSnapshot?: true }[];
      readonly ack?: number;
    };

/** Measures what it takes to bring changes to WebSockets. */
export async function live(): Promise<void> {
  const rounds = roundsOr(5);
  await inWorkerd(worker, async (origin) => {
    const deliveries: Delivery[] = [];
    for (const sockets of SOCKETS) deliveries.push(await delivery(origin, sockets, rounds));
    const snapshot: number[] = [];
    const stream: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const [rows, changes] = await throughput(`${origin}/throughput-${round}`);
      snapshot.push(rows);
      stream.push(changes);
    }
    const perSecond = { snapshot: figure(snapshot), stream: figure(stream) };
    for (const { sockets, p50, p99, answered } of deliveries)
      console.log(
        `${sockets} sockets: p50 ${p50.median} ms, p99 ${p99.median} ms; the writer is answered in ${answered.median} ms`,
      );
    console.log(
      `one socket: ${perSecond.snapshot.median} rows/s of a snapshot, ${perSecond.stream.median} changes/s`,
    );
    report('live', { deliveries, perSecond });
  });
}

async function delivery(origin: string, count: number, rounds: number): Promise<Delivery> {
  const url = `${origin}/delivery-${count}`;
  const listeners = await Promise.all(Array.from({ length: count }, () => Listener.open(url)));
  const p50: number[] = [];
  const p99: number[] = [];
  const answered: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const taken: number[] = [];
    const answers: number[] = [];
    for (let i = 0; i < COMMITS; i++) {
      const began = performance.now();
      const arrivals = listeners.map(async (listener) => {
        await listener.hears(1);
        taken.push(performance.now() - began);
      });
      await post(url, "INSERT INTO item(name, price) VALUES ('a thing', 1.5)");
      answers.push(performance.now() - began);
      await Promise.all(arrivals);
    }
    p50.push(percentile(taken, 0.5));
    p99.push(percentile(taken, 0.99));
    answered.push(percentile(answers, 0.5));
  }
  for (const listener of listeners) listener.close();
  return { sockets: count, p50: figure(p50), p99: figure(p99), answered: figure(answered) };
}

/** Rows of a snapshot, and changes of one transaction, that go through one socket in a second. */
async function throughput(url: string): Promise<[rows: number, changes: number]> {
  const insert = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
    INSERT INTO item(name, price) SELECT 'a thing ' || i, i / 7.0 FROM n`;
  await post(url, insert);
  const began = performance.now();
  const listener = await Listener.open(url);
  const rows = ROWS / ((performance.now() - began) / 1_000);
  const heard = listener.hears(ROWS);
  // The writer is answered before its changes are read.
  await post(url, insert);
  const answered = performance.now();
  await heard;
  listener.close();
  return [rows, ROWS / ((performance.now() - answered) / 1_000)];
}

async function post(url: string, sql: string): Promise<void> {
  const { ok } = await fetch(url, { method: 'POST', body: sql });
  if (!ok) throw new Error(`the object did not take: ${sql}`);
}

function percentile(values: readonly number[], part: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * part)] ?? Number.NaN;
}

/** A socket that counts what it hears. */
class Listener {
  readonly #socket: WebSocket;
  #heard = 0;
  #wanted = 0;
  #wake: (() => void) | undefined;

  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  /** Opens a socket, and waits until all rows have come. */
  static async open(url: string): Promise<Listener> {
    const socket = new WebSocket(`${url.replace('http', 'ws')}?publication=items`);
    const listener = new Listener(socket);
    const ready = new Promise<void>((resolve, reject) => {
      socket.addEventListener('error', () => reject(new Error('the socket failed')));
      socket.addEventListener('open', () =>
        socket.send(JSON.stringify({ type: 'subscribe', id: 'a', snapshot: 'initial' })),
      );
      socket.addEventListener('message', ({ data }) => listener.#take(String(data), resolve));
    });
    await ready;
    return listener;
  }

  #take(data: string, ready: () => void): void {
    const message = JSON.parse(data) as Message;
    if (message.type === 'error') throw new Error(message.message);
    if (message.type === 'ready') return ready();
    if (message.ack !== undefined) this.#socket.send(JSON.stringify({ type: 'ack', ack: message.ack }));
    this.#heard += message.events.filter(
      ({ isSnapshot, table }) => table !== undefined && !isSnapshot,
    ).length;
    if (this.#heard >= this.#wanted) this.#wake?.();
  }

  /** Waits for so many changes more than have been waited for. */
  async hears(count: number): Promise<void> {
    this.#wanted += count;
    if (this.#heard >= this.#wanted) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  close(): void {
    this.#socket.close();
  }
}
