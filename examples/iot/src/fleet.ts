import { DurableObject } from 'cloudflare:workers';
import { receive, type Batch, type ChangeEvent } from '@dotdo/cdc';
import { DB, type Database, type Transaction } from '@dotdo/dosql';
import type { Env } from './worker.ts';

/** A building, as the fleet sees it. */
export interface FleetBuilding {
  readonly name: string;
  readonly title: string;
  readonly alerts: { readonly critical: number; readonly warning: number; readonly info: number };
  /** What each type of sensor has reported last, over all floors. */
  readonly summaries: readonly {
    readonly sensor_type: string;
    readonly minute: number;
    readonly sensor_count: number;
    readonly min_value: number;
    readonly max_value: number;
    readonly mean_value: number;
  }[];
}

/**
 * All buildings at a glance. Each building's stream tells it what has changed there, so looking at a thousand buildings
 * asks none of them.
 */
export class Fleet extends DurableObject<Env> {
  /** Every building, those with the gravest alerts first. */
  async overview(): Promise<FleetBuilding[]> {
    const db = await this.#open();
    const [buildings, summaries] = await Promise.all([
      db.query<Record<'name' | 'title', string> & Record<'critical' | 'warning' | 'info', number>>(
        `SELECT name, title,
                count(*) FILTER (WHERE severity = 'critical') AS critical,
                count(*) FILTER (WHERE severity = 'warning') AS warning,
                count(*) FILTER (WHERE severity = 'info') AS info
           FROM buildings LEFT JOIN open_alerts ON building = name
          GROUP BY name ORDER BY critical DESC, warning DESC, name`,
      ),
      db.query<FleetBuilding['summaries'][number] & { building: string }>(
        `SELECT building, sensor_type, max(minute) AS minute, sum(sensor_count) AS sensor_count, min(min_value) AS min_value,
                max(max_value) AS max_value, sum(mean_value * sensor_count) / sum(sensor_count) AS mean_value
           FROM summaries GROUP BY building, sensor_type`,
      ),
    ]);
    const byBuilding = Map.groupBy(summaries, ({ building }) => building);
    return buildings.map(({ name, title, critical, warning, info }) => ({
      name,
      title,
      alerts: { critical, warning, info },
      summaries: (byBuilding.get(name) ?? []).map(({ building: _, ...summary }) => summary),
    }));
  }

  /** Takes what the stream of a building tells. */
  async receiveChanges(batch: Batch): Promise<void> {
    await receive(await this.#open(), batch, (event, tx: Transaction) => take(event, batch.source, tx));
  }

  override async alarm(): Promise<void> {
    await (await this.#open()).alarm();
  }

  #open(): Promise<Database> {
    return DB('fleet', { storage: this.ctx.storage, migrations: { folder: '.do/migrations/iot-fleet' } });
  }
}

/** Applies one change of a building. */
async function take(event: ChangeEvent, building: string, tx: Transaction): Promise<void> {
  if (!('key' in event)) return;
  const { table, key, after } = event;
  if (table === 'building' && after !== null)
    await tx.run('INSERT OR REPLACE INTO buildings (name, title) VALUES (?, ?)', [building, after['title']]);
  if (table === 'summaries' && after !== null)
    await tx.run('INSERT OR REPLACE INTO summaries VALUES (?, ?, ?, ?, ?, ?, ?, ?)', [
      building,
      ...['floor', 'sensor_type', 'minute', 'sensor_count', 'min_value', 'max_value', 'mean_value'].map(
        (column) => after[column],
      ),
    ]);
  if (table !== 'alerts') return;
  if (after === null || after['status'] === 'RESOLVED')
    await tx.run('DELETE FROM open_alerts WHERE building = ? AND id = ?', [building, key['id']]);
  else
    await tx.run('INSERT OR REPLACE INTO open_alerts VALUES (?, ?, ?, ?, ?, ?, ?)', [
      building,
      ...['id', 'floor', 'sensor_id', 'severity', 'status', 'triggered_at'].map((column) => after[column]),
    ]);
}
