import { MAKERS, type Maker } from './requests.ts';

interface Env {
  /** The app that is measured. */
  readonly APP: Fetcher;
  /** The object that does nothing but answer. */
  readonly CEILING: Fetcher;
}

/** What to send, to whom and how long. */
export interface Order {
  readonly target: keyof Env;
  readonly make: keyof typeof MAKERS;
  readonly base: string;
  readonly token: string;
  /** Requests that are on their way at a time. */
  readonly together: number;
  readonly ms: number;
}

/** What came of it. */
export interface Outcome {
  readonly operations: number;
  readonly ms: number;
  /** Answers other than success, by status. */
  readonly refused: Readonly<Record<string, number>>;
  /** ms from a request to its answer. */
  readonly p50: number;
  readonly p99: number;
}

/**
 * Sends requests to a Worker of the same process: no network stack is between them, so that what is measured is the
 * Worker and its object.
 */
async function drive({ target, make, base, token, together, ms }: Order, env: Env): Promise<Outcome> {
  const maker: Maker = MAKERS[make];
  // Made before the clock runs, as many as could be answered.
  const most = Math.ceil((ms / 1_000) * (20_000 / maker.operations ** 0.6)) + together;
  const run = crypto.randomUUID().slice(0, 8);
  const requests = Array.from({ length: most }, (_, i) => maker.make(run, i));
  const refused: Record<string, number> = {};
  const took: number[] = [];
  let next = 0;
  const started = performance.now();
  const end = started + ms;
  const client = async (): Promise<void> => {
    for (let began = started; began < end && next < requests.length; began = performance.now()) {
      const { method, path, headers, body } = requests[next++] ?? maker.make(run, next);
      const response = await env[target].fetch(`${base}${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, ...headers },
        body: body ?? null,
      });
      await response.arrayBuffer();
      if (!response.ok) refused[response.status] = (refused[response.status] ?? 0) + 1;
      took.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: together }, client));
  const taken = performance.now() - started;
  took.sort((a, b) => a - b);
  const at = (share: number): number => took[Math.floor(took.length * share)] ?? Number.NaN;
  return { operations: took.length * maker.operations, ms: taken, refused, p50: at(0.5), p99: at(0.99) };
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    return Response.json(await drive(await request.json<Order>(), env));
  },
};
