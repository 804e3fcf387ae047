/** The table, as migrations make it. Passes look for the oldest rows, so the column that tells the age has an index. */
export const MIGRATIONS = [
  {
    name: '001_readings',
    sql: `
      CREATE TABLE readings(
        id INTEGER PRIMARY KEY,
        sensor TEXT NOT NULL,
        at TEXT NOT NULL,
        temperature REAL NOT NULL,
        vibration REAL NOT NULL
      );
      CREATE INDEX readings_by_time ON readings(at);
    `,
  },
];

/** What old readings become: a file or a few for each month, 24 hours after it is over, by sensor and time. */
export const TIER = { column: 'at', hotFor: '24h', partition: 'month', sortBy: ['sensor'] } as const;

/** The whole year in one query, whether its rows are in SQLite or in R2. */
export const BY_MONTH = `
  SELECT substr(at, 1, 7) AS month,
         count(*) AS readings,
         round(avg(temperature), 2) AS mean,
         max(temperature) AS hottest
    FROM readings
   GROUP BY month
   ORDER BY month`;

/** One sensor on one day. */
export const OF_ONE_DAY = `
  SELECT at, temperature FROM readings WHERE sensor = ? AND at >= ? AND at < ? ORDER BY at`;

/**
 * What 20 pumps report on the day that begins at `?1`, in seconds since the epoch, every `?2` seconds: warmer in
 * summer and by day, with some noise. One of them once reports 900 degrees.
 */
export const A_DAY_OF_READINGS = `
  WITH RECURSIVE
    step(at) AS (SELECT ?1 UNION ALL SELECT at + ?2 FROM step WHERE at + ?2 < ?1 + 86400),
    pump(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM pump WHERE i < 20),
    reported(i, at, noise) AS (
      SELECT i, at, ((at / 60 * 20 + i) * 2654435761 % 4294967296) / 4294967296.0 FROM step, pump
    )
  INSERT INTO readings(sensor, at, temperature, vibration)
  SELECT printf('pump-%02d', i),
         strftime('%Y-%m-%dT%H:%M:%SZ', at, 'unixepoch'),
         CASE WHEN i = 7 AND strftime('%m-%d %H:%M', at, 'unixepoch') = '03-14 09:00' THEN 900.0
              ELSE round(45 + i / 4.0 - 9 * cos(at * 1.99238e-7) - 3 * cos(at * 7.27221e-5) + 2 * noise, 2) END,
         round(0.3 + 0.2 * (noise * 613 % 1), 3)
    FROM reported`;
