import { DB, type Database, type TierOptions } from '@dotdo/dosql';

/**
 * What becomes of old rows. Each table has its own age at which a day goes to R2 as Parquet, a file for each type of
 * sensor, so that a question about one type opens no other's, and one about a sensor reads its part. SQL reads all of
 * them as ever.
 */
const TIERS: Readonly<Record<string, TierOptions>> = {
  readings: {
    column: 'timestamp',
    hotFor: '24h',
    partitionBy: ['sensor_type'],
    sortBy: ['sensor_id'],
    expireAfter: '730d',
    rollup: {
      into: 'daily_aggregates',
      select: `
        SELECT sensor_id, timestamp / 86400000 * 86400000 AS day, sensor_type, min(value) AS min_value,
               max(value) AS max_value, sum(value) AS sum_value, sum(quality) AS sum_quality, count(*) AS reading_count
          FROM readings
         GROUP BY sensor_id, sensor_type, day`,
    },
  },
  minute_aggregates: {
    column: 'minute',
    hotFor: '7d',
    partitionBy: ['sensor_type'],
    sortBy: ['sensor_id'],
    expireAfter: '90d',
  },
  hourly_aggregates: {
    column: 'hour',
    hotFor: '30d',
    partitionBy: ['sensor_type'],
    sortBy: ['sensor_id'],
  },
  alert_history: { column: 'resolved_at', hotFor: '30d', partition: 'month' },
};

/**
 * Opens the database of a building, or of a floor of one. Its log is a second copy of every reading, so it is kept for
 * a day: streams need minutes of it, and readings are not edited.
 */
export function openTelemetryDatabase(
  name: string,
  { storage }: DurableObjectState,
  archive: R2Bucket,
  clock?: () => number,
): Promise<Database> {
  return DB(name, {
    storage: { hot: storage, cold: archive, coldPrefix: `buildings/${name}` },
    migrations: { folder: '.do/migrations/iot' },
    tiers: TIERS,
    history: { keep: '1d', maxBytes: 2 ** 28 },
    ...(clock === undefined ? {} : { clock }),
  });
}
