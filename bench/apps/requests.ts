/** One request to an app. */
export interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Makes requests, no two of them the same. */
export interface Maker {
  /** How many operations a request is. */
  readonly operations: number;
  /** The `i`th request of a run. */
  make(run: string, i: number): Sent;
}

const json = { 'content-type': 'application/json' };
/** Times that no reading of a sensor has twice; it is set when it is first asked for, since modules have no clock. */
let clock = 0;

function reading(i: number): object {
  if (clock === 0) clock = Date.now() - 3_600_000;
  return {
    sensor_id: `t-${i % 200}`,
    sensor_type: ['temperature', 'humidity', 'co2', 'power'][i % 4],
    value: 20 + ((i * 7_919) % 100) / 10,
    timestamp: i % 200 === 0 ? ++clock : clock,
  };
}

function readings(operations: number): Maker {
  return {
    operations,
    make: (_, i) =>
      operations === 1
        ? { method: 'POST', path: '/ingest', headers: json, body: JSON.stringify(reading(i)) }
        : {
            method: 'POST',
            path: '/ingest-batch',
            headers: json,
            body: JSON.stringify(Array.from({ length: operations }, (_, k) => reading(i * operations + k))),
          },
  };
}

function event(run: string, i: number): object {
  return {
    id: `${run}-0000-4000-8000-${String(i).padStart(12, '0')}`,
    sessionId: `session-${i % 500}`,
    userId: `user-${i % 400}`,
    eventType: ['page_view', 'click', 'purchase'][i % 3],
    pageUrl: `https://shop.example/p/${i % 50}`,
    timestamp: Date.now(),
  };
}

function events(operations: number): Maker {
  return {
    operations,
    make: (run, i) =>
      operations === 1
        ? { method: 'POST', path: '/ingest', headers: json, body: JSON.stringify(event(run, i)) }
        : {
            method: 'POST',
            path: '/ingest/batch',
            headers: json,
            body: JSON.stringify({
              events: Array.from({ length: operations }, (_, k) => event(run, i * operations + k)),
            }),
          },
  };
}

/** What a team does with its board: seven reads, two changes and a new task of ten. */
const board: Maker = {
  operations: 1,
  make: (run, i) => {
    if (i % 10 === 0)
      return {
        method: 'POST',
        path: '/tasks',
        headers: json,
        body: JSON.stringify({ project_id: 1, title: `Task ${run} ${i}` }),
      };
    if (i % 10 < 3)
      return {
        method: 'PATCH',
        path: `/tasks/${(i % 90) + 1}`,
        headers: json,
        body: JSON.stringify({ priority: i % 100 }),
      };
    if (i % 10 < 6) return { method: 'GET', path: `/tasks/${(i % 90) + 1}` };
    return i % 10 < 8
      ? { method: 'GET', path: '/projects' }
      : { method: 'GET', path: '/tasks?assignee_id=1' };
  },
};

/** What is sent to the apps. */
export const MAKERS = {
  reserve: {
    operations: 1,
    make: (run, i) => ({
      method: 'POST',
      path: '/reserve',
      headers: json,
      body: JSON.stringify({ id: `${run}-${i}`, quantity: 1 }),
    }),
  },
  event: events(1),
  'events in hundreds': events(100),
  'events in five hundreds': events(500),
  reading: readings(1),
  'readings in hundreds': readings(100),
  'readings in five hundreds': readings(500),
  board,
} as const satisfies Readonly<Record<string, Maker>>;
