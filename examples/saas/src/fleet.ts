import { DurableObject } from 'cloudflare:workers';
import type { Batch } from '@dotdo/cdc';
import { DB, type Database, type Point } from '@dotdo/dosql';
import { merge } from './lake.ts';
import type { Env } from './worker.ts';

/** The most rows that a query of the operator's is answered with. */
const MAX_ROWS = 1_000;
/** What has happened is hot for a day; then it is a Parquet file a day, which every query goes on reading. */
const TIERS = {
  changes: { column: 'at', hotFor: '24h', partition: 'day', sortBy: ['tenant'] },
} as const;

/** A tenant, as the operator knows it. */
export interface TenantEntry {
  readonly name: string;
  readonly schema_version: number;
  readonly created_at: string;
  readonly seen_at: string;
}

/** Rows of a query. */
export interface QueryResult {
  readonly rows: readonly object[];
  /** Whether there were more rows than these. */
  readonly truncated: boolean;
}

/** What there is one of: the list of tenants, and the numbers of all of them. */
export function fleetOf({ FLEET }: Pick<Env, 'FLEET'>): DurableObjectStub<Fleet> {
  return FLEET.getByName('fleet');
}

/**
 * All tenants at once, for the operator: who there is, and what they do. Tenants tell it, and wait for it at no time:
 * while it is away they go on, and tell it later.
 */
export class Fleet extends DurableObject<Env> {
  #opened: Promise<Database> | undefined;

  /** Lists a tenant, or that its schema has moved on. May be told the same again, and of what is long past. */
  async register(name: string, schemaVersion: number): Promise<void> {
    const db = await this.#open();
    await db.run(
      `INSERT INTO tenants (name, schema_version, created_at, seen_at) VALUES (:name, :schemaVersion, :now, :now)
       ON CONFLICT (name) DO UPDATE SET schema_version = excluded.schema_version, seen_at = excluded.seen_at
       WHERE excluded.schema_version > schema_version`,
      { name, schemaVersion, now: new Date() },
    );
  }

  /** A page of the tenants behind a name, in the order of their names. */
  async tenants(after: string, limit: number): Promise<TenantEntry[]> {
    const db = await this.#open();
    return db.query<TenantEntry>('SELECT * FROM tenants WHERE name > ? ORDER BY name LIMIT ?', [
      after,
      limit,
    ]);
  }

  /** Takes changes of a tenant; what comes again has no effect. */
  async receiveChanges(batch: Batch): Promise<void> {
    await merge(await this.#open(), batch);
  }

  /** Answers a query as of now or as of a point, which is also what keeps it from writing. */
  async query(sql: string, params: readonly (string | number | null)[], at?: Point): Promise<QueryResult> {
    const db = await this.#open();
    const rows: object[] = [];
    for await (const row of db.asOf(at ?? { lsn: db.lsn() }).iterate(sql, params)) {
      if (rows.length === MAX_ROWS) return { rows, truncated: true };
      rows.push(row);
    }
    return { rows, truncated: false };
  }

  override async alarm(): Promise<void> {
    await (await this.#open()).alarm();
  }

  #open(): Promise<Database> {
    return (this.#opened ??= DB('fleet', {
      storage: { hot: this.ctx.storage, cold: this.env.LAKE, coldPrefix: 'fleet' },
      migrations: { folder: '.do/migrations/saas-fleet' },
      tiers: TIERS,
    }).catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    }));
  }
}
