import { json } from '@dotdo/example-shared/http';
import { NoQuery, parseQuery } from '@dotdo/example-shared/input';
import type { Context } from './routes.ts';
import { userById } from './users.ts';

/** `GET /status`: who is asking, the schema's version, and how far the history reaches. */
export async function status({ db, userId, query }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const migrations = await db.migrations();
  return json({
    tenant: db.name,
    user: await userById(db, userId),
    schema_version: migrations.length,
    migrations: migrations.map(({ name, appliedAt, durationMs }) => ({
      name,
      applied_at: appliedAt,
      duration_ms: durationMs,
    })),
    lsn: db.lsn(),
    earliest: await db.earliest(),
    size_bytes: db.size,
  });
}
