import type { Database } from '@dotdo/dosql';
import { json } from '@dotdo/example-shared/http';
import { NoQuery, parseQuery } from '@dotdo/example-shared/input';
import type { Context } from './routes.ts';

/** How one object is doing. */
export interface TelemetryStatus {
  readonly sensors: number;
  readonly size_bytes: number;
  /** Readings that came late and are not where they belong yet. */
  readonly late_readings: number;
  readonly archive: {
    readonly cold_rows: number;
    readonly files: number;
    readonly size_bytes: number;
    /** Files that wait in the object until R2 takes them. */
    readonly waiting_files: number;
    /** Why the last pass could not go on. */
    readonly problem: string | null;
  };
}

export async function telemetryStatus(db: Database): Promise<TelemetryStatus> {
  const [tiers, counts] = await Promise.all([
    db.tierStatus(),
    db.get<{ sensors: number; late: number }>(
      'SELECT (SELECT count(*) FROM sensors) AS sensors, (SELECT count(*) FROM late_readings) AS late',
    ),
  ]);
  const sum = (of: (tier: (typeof tiers)[number]) => number): number =>
    tiers.reduce((total, tier) => total + of(tier), 0);
  return {
    sensors: counts?.sensors ?? 0,
    size_bytes: db.size,
    late_readings: counts?.late ?? 0,
    archive: {
      cold_rows: sum(({ coldRows }) => coldRows),
      files: sum(({ files }) => files),
      size_bytes: sum(({ sizeBytes }) => sizeBytes),
      waiting_files: sum(({ waiting }) => waiting.files),
      problem: tiers.find(({ problem }) => problem !== undefined)?.problem ?? null,
    },
  };
}

/** `GET /status`: the building and each of its floors. */
export async function status({ db, floors, holder, query }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const [building, own, others] = await Promise.all([
    db.get<{ title: string }>('SELECT title FROM building'),
    telemetryStatus(db),
    floors.ask((floor) => floor.status()),
  ]);
  return json({
    building: db.name,
    title: building?.title,
    holder,
    ...own,
    floors: others.answers.map(({ floor, value }) => ({ floor, ...value })),
    unreachable_floors: others.unreachable,
  });
}
