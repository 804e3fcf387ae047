import { HttpError, json, notFound, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { Acknowledgement, AlertHistoryQuery, AlertResolution } from './input.ts';
import type { Context } from './routes.ts';

const MAX_LISTED = 500;

interface Alert {
  readonly id: number;
  readonly status: 'ACTIVE' | 'ACKNOWLEDGED' | 'RESOLVED';
}

/** `GET /alerts/active`: those that are not resolved, the gravest and newest first. */
export async function listActive({ db, query }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const alerts = await db.query(
    `SELECT * FROM alerts
      WHERE status IN ('ACTIVE', 'ACKNOWLEDGED')
      ORDER BY CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, triggered_at DESC, id DESC
      LIMIT ${MAX_LISTED}`,
  );
  return json({ alerts });
}

/** `POST /alerts/acknowledge { alert_id }`: someone sees to it. Who was first stays; a resolved one is 409. */
export async function acknowledge({ db, request, holder, now }: Context): Promise<Response> {
  const { alert_id } = parseInput(Acknowledgement, await readJson(request));
  return json(
    await db.transaction(async (tx) => {
      await tx.run(
        `UPDATE alerts SET status = 'ACKNOWLEDGED', acknowledged_at = ?, acknowledged_by = ?
          WHERE id = ? AND status = 'ACTIVE'`,
        [now(), holder.name, alert_id],
      );
      const alert = await tx.get<Alert>('SELECT * FROM alerts WHERE id = ?', [alert_id]);
      if (alert === null) throw notFound('alert');
      if (alert.status === 'RESOLVED') throw new HttpError(409, 'this alert is resolved already');
      return alert;
    }),
  );
}

/** `POST /alerts/resolve { alert_id, reason? }`: it is over. Who was first stays. */
export async function resolve({ db, request, holder, now }: Context): Promise<Response> {
  const { alert_id, reason } = parseInput(AlertResolution, await readJson(request));
  return json(
    await db.transaction(async (tx) => {
      await tx.run(
        `UPDATE alerts SET status = 'RESOLVED', resolved_at = ?, resolved_by = ?, resolved_reason = ?
          WHERE id = ? AND status <> 'RESOLVED'`,
        [now(), holder.name, reason, alert_id],
      );
      const alert = await tx.get<Alert>('SELECT * FROM alerts WHERE id = ?', [alert_id]);
      if (alert === null) throw notFound('alert');
      return alert;
    }),
  );
}

/** `GET /alerts/history?start=&end=`: those that were resolved then, a day ago or more, the newest first. */
export async function listHistory({ db, query }: Context): Promise<Response> {
  const { start, end } = parseQuery(AlertHistoryQuery, query);
  const alerts = await db.query(
    `SELECT * FROM alert_history WHERE resolved_at >= ? AND resolved_at < ?
      ORDER BY resolved_at DESC, id DESC LIMIT ${MAX_LISTED}`,
    [start, end],
  );
  return json({ alerts });
}
