/** A query that scans are measured by. */
export interface ScanQuery {
  readonly name: string;
  /** The name of the table in `scan-data.ts`. */
  readonly table: 'telemetry' | 'hits';
  /** The query over `source`, which is the table as an engine calls it, in words that SQLite's dialect and DuckDB's share. */
  readonly sql: (source: string) => string;
  /** Where DuckDB words it otherwise. */
  readonly duckdb?: (source: string) => string;
}

function telemetry(name: string, text: string, duckdb?: string): ScanQuery {
  const sql = (source: string): string => text.replace('$t', () => source);
  const base = { name, table: 'telemetry', sql } as const;
  return duckdb === undefined ? base : { ...base, duckdb: (source) => duckdb.replace('$t', () => source) };
}

function hits(number: number, text: string): ScanQuery {
  return { name: `ClickBench ${number}`, table: 'hits', sql: (source) => text.replace('hits', () => source) };
}

/** What sensors' readings are asked for. */
export const TELEMETRY_QUERIES: readonly ScanQuery[] = [
  telemetry('count', 'SELECT count(*) FROM $t'),
  telemetry('sum by day', 'SELECT date, sum(value) AS s FROM $t GROUP BY date ORDER BY date'),
  telemetry(
    'sum by day, ten days',
    "SELECT date, sum(value) AS s FROM $t WHERE date BETWEEN '2026-01-11' AND '2026-01-20' GROUP BY date ORDER BY date",
  ),
  telemetry(
    'sum by sensor',
    'SELECT sensor_id, sum(value) AS s FROM $t GROUP BY sensor_id ORDER BY sensor_id',
  ),
  telemetry(
    'sum by sensor, ten days',
    "SELECT sensor_id, sum(value) AS s FROM $t WHERE date BETWEEN '2026-01-11' AND '2026-01-20' GROUP BY sensor_id ORDER BY sensor_id",
  ),
  telemetry(
    'average by type, good quality',
    'SELECT sensor_type, count(*) AS n, avg(value) AS a FROM $t WHERE quality < 100 GROUP BY sensor_type ORDER BY sensor_type',
  ),
  telemetry(
    'by day of one type',
    "SELECT date, min(value), max(value), avg(value) FROM $t WHERE sensor_type = 'humidity' GROUP BY date ORDER BY date",
  ),
  telemetry(
    'one sensor by hour',
    "SELECT date_trunc('hour', ts) AS h, avg(value) FROM $t WHERE sensor_id = 'sensor-0042' GROUP BY h ORDER BY h",
  ),
  telemetry(
    'by day of timestamps',
    "SELECT date_trunc('day', ts) AS d, sum(value) FROM $t GROUP BY d ORDER BY d",
  ),
  telemetry(
    'by day of ISO texts',
    'SELECT substr(time, 1, 10) AS d, sum(value) FROM $t GROUP BY d ORDER BY d',
  ),
  telemetry(
    'one hour',
    "SELECT count(*), avg(value) FROM $t WHERE ts >= '2026-01-20T10:00:00Z' AND ts < '2026-01-20T11:00:00Z'",
    "SELECT count(*), avg(value) FROM $t WHERE ts >= TIMESTAMP '2026-01-20 10:00:00' AND ts < TIMESTAMP '2026-01-20 11:00:00'",
  ),
  telemetry('highest readings', 'SELECT sensor_id, ts, value FROM $t ORDER BY value DESC LIMIT 10'),
  telemetry(
    'sensors and days',
    'SELECT sensor_id, date, count(*) AS n, max(value) FROM $t GROUP BY sensor_id, date ORDER BY n DESC, sensor_id, date LIMIT 20',
  ),
  telemetry(
    'expressions',
    'SELECT sum(value * 1.8 + 32), max(quality % 7), sum(CASE WHEN quality > 200 THEN value ELSE 0 END) FROM $t',
  ),
  telemetry('distinct sensors', 'SELECT date, count(DISTINCT sensor_id) FROM $t GROUP BY date ORDER BY date'),
  telemetry(
    'median',
    'SELECT sensor_type, median(value), stddev(value) FROM $t GROUP BY sensor_type ORDER BY sensor_type',
  ),
];

/** ClickBench's queries (https://github.com/ClickHouse/ClickBench), but for the one with regular expressions. */
export const CLICKBENCH_QUERIES: readonly ScanQuery[] = [
  hits(1, 'SELECT COUNT(*) FROM hits'),
  hits(2, 'SELECT COUNT(*) FROM hits WHERE AdvEngineID <> 0'),
  hits(3, 'SELECT SUM(AdvEngineID), COUNT(*), AVG(ResolutionWidth) FROM hits'),
  hits(4, 'SELECT AVG(UserID) FROM hits'),
  hits(5, 'SELECT COUNT(DISTINCT UserID) FROM hits'),
  hits(6, 'SELECT COUNT(DISTINCT SearchPhrase) FROM hits'),
  hits(7, 'SELECT MIN(EventDate), MAX(EventDate) FROM hits'),
  hits(
    8,
    'SELECT AdvEngineID, COUNT(*) FROM hits WHERE AdvEngineID <> 0 GROUP BY AdvEngineID ORDER BY COUNT(*) DESC',
  ),
  hits(
    9,
    'SELECT RegionID, COUNT(DISTINCT UserID) AS u FROM hits GROUP BY RegionID ORDER BY u DESC LIMIT 10',
  ),
  hits(
    10,
    'SELECT RegionID, SUM(AdvEngineID), COUNT(*) AS c, AVG(ResolutionWidth), COUNT(DISTINCT UserID) FROM hits GROUP BY RegionID ORDER BY c DESC LIMIT 10',
  ),
  hits(
    11,
    "SELECT MobilePhoneModel, COUNT(DISTINCT UserID) AS u FROM hits WHERE MobilePhoneModel <> '' GROUP BY MobilePhoneModel ORDER BY u DESC LIMIT 10",
  ),
  hits(
    12,
    "SELECT MobilePhone, MobilePhoneModel, COUNT(DISTINCT UserID) AS u FROM hits WHERE MobilePhoneModel <> '' GROUP BY MobilePhone, MobilePhoneModel ORDER BY u DESC LIMIT 10",
  ),
  hits(
    13,
    "SELECT SearchPhrase, COUNT(*) AS c FROM hits WHERE SearchPhrase <> '' GROUP BY SearchPhrase ORDER BY c DESC LIMIT 10",
  ),
  hits(
    14,
    "SELECT SearchPhrase, COUNT(DISTINCT UserID) AS u FROM hits WHERE SearchPhrase <> '' GROUP BY SearchPhrase ORDER BY u DESC LIMIT 10",
  ),
  hits(
    15,
    "SELECT SearchEngineID, SearchPhrase, COUNT(*) AS c FROM hits WHERE SearchPhrase <> '' GROUP BY SearchEngineID, SearchPhrase ORDER BY c DESC LIMIT 10",
  ),
  hits(16, 'SELECT UserID, COUNT(*) FROM hits GROUP BY UserID ORDER BY COUNT(*) DESC LIMIT 10'),
  hits(
    17,
    'SELECT UserID, SearchPhrase, COUNT(*) FROM hits GROUP BY UserID, SearchPhrase ORDER BY COUNT(*) DESC LIMIT 10',
  ),
  hits(18, 'SELECT UserID, SearchPhrase, COUNT(*) FROM hits GROUP BY UserID, SearchPhrase LIMIT 10'),
  hits(
    19,
    "SELECT UserID, date_part('minute', EventTime) AS m, SearchPhrase, COUNT(*) FROM hits GROUP BY UserID, m, SearchPhrase ORDER BY COUNT(*) DESC LIMIT 10",
  ),
  hits(20, 'SELECT UserID FROM hits WHERE UserID = 435090932899640449'),
  hits(21, "SELECT COUNT(*) FROM hits WHERE URL LIKE '%google%'"),
  hits(
    22,
    "SELECT SearchPhrase, MIN(URL), COUNT(*) AS c FROM hits WHERE URL LIKE '%google%' AND SearchPhrase <> '' GROUP BY SearchPhrase ORDER BY c DESC LIMIT 10",
  ),
  hits(
    23,
    "SELECT SearchPhrase, MIN(URL), MIN(Title), COUNT(*) AS c, COUNT(DISTINCT UserID) FROM hits WHERE Title LIKE '%Google%' AND URL NOT LIKE '%.google.%' AND SearchPhrase <> '' GROUP BY SearchPhrase ORDER BY c DESC LIMIT 10",
  ),
  hits(24, "SELECT * FROM hits WHERE URL LIKE '%google%' ORDER BY EventTime LIMIT 10"),
  hits(25, "SELECT SearchPhrase FROM hits WHERE SearchPhrase <> '' ORDER BY EventTime LIMIT 10"),
  hits(26, "SELECT SearchPhrase FROM hits WHERE SearchPhrase <> '' ORDER BY SearchPhrase LIMIT 10"),
  hits(
    27,
    "SELECT SearchPhrase FROM hits WHERE SearchPhrase <> '' ORDER BY EventTime, SearchPhrase LIMIT 10",
  ),
  hits(
    28,
    "SELECT CounterID, AVG(length(URL)) AS l, COUNT(*) AS c FROM hits WHERE URL <> '' GROUP BY CounterID HAVING COUNT(*) > 1000 ORDER BY l DESC LIMIT 25",
  ),
  hits(
    30,
    `SELECT ${Array.from({ length: 90 }, (_, i) => (i === 0 ? 'SUM(ResolutionWidth)' : `SUM(ResolutionWidth + ${i})`)).join(', ')} FROM hits`,
  ),
  hits(
    31,
    "SELECT SearchEngineID, ClientIP, COUNT(*) AS c, SUM(IsRefresh), AVG(ResolutionWidth) FROM hits WHERE SearchPhrase <> '' GROUP BY SearchEngineID, ClientIP ORDER BY c DESC LIMIT 10",
  ),
  hits(
    32,
    "SELECT WatchID, ClientIP, COUNT(*) AS c, SUM(IsRefresh), AVG(ResolutionWidth) FROM hits WHERE SearchPhrase <> '' GROUP BY WatchID, ClientIP ORDER BY c DESC LIMIT 10",
  ),
  hits(
    33,
    'SELECT WatchID, ClientIP, COUNT(*) AS c, SUM(IsRefresh), AVG(ResolutionWidth) FROM hits GROUP BY WatchID, ClientIP ORDER BY c DESC LIMIT 10',
  ),
  hits(34, 'SELECT URL, COUNT(*) AS c FROM hits GROUP BY URL ORDER BY c DESC LIMIT 10'),
  hits(35, 'SELECT 1, URL, COUNT(*) AS c FROM hits GROUP BY 1, URL ORDER BY c DESC LIMIT 10'),
  hits(
    36,
    'SELECT ClientIP, ClientIP - 1, ClientIP - 2, ClientIP - 3, COUNT(*) AS c FROM hits GROUP BY ClientIP, ClientIP - 1, ClientIP - 2, ClientIP - 3 ORDER BY c DESC LIMIT 10',
  ),
  hits(
    37,
    "SELECT URL, COUNT(*) AS PageViews FROM hits WHERE CounterID = 62 AND EventDate >= '2013-07-01' AND EventDate <= '2013-07-31' AND DontCountHits = 0 AND IsRefresh = 0 AND URL <> '' GROUP BY URL ORDER BY PageViews DESC LIMIT 10",
  ),
  hits(
    38,
    "SELECT Title, COUNT(*) AS PageViews FROM hits WHERE CounterID = 62 AND EventDate >= '2013-07-01' AND EventDate <= '2013-07-31' AND DontCountHits = 0 AND IsRefresh = 0 AND Title <> '' GROUP BY Title ORDER BY PageViews DESC LIMIT 10",
  ),
  hits(
    39,
    "SELECT URL, COUNT(*) AS PageViews FROM hits WHERE CounterID = 62 AND EventDate >= '2013-07-01' AND EventDate <= '2013-07-31' AND IsRefresh = 0 AND IsLink <> 0 AND IsDownload = 0 GROUP BY URL ORDER BY PageViews DESC LIMIT 10 OFFSET 100",
  ),
  hits(
    40,
    "SELECT TraficSourceID, SearchEngineID, AdvEngineID, CASE WHEN (SearchEngineID = 0 AND AdvEngineID = 0) THEN Referer ELSE '' END AS Src, URL AS Dst, COUNT(*) AS PageViews FROM hits WHERE CounterID = 62 AND EventDate >= '2013-07-01' AND EventDate <= '2013-07-31' AND IsRefresh = 0 GROUP BY TraficSourceID, SearchEngineID, AdvEngineID, Src, Dst ORDER BY PageViews DESC LIMIT 10 OFFSET 100",
  ),
  hits(
    41,
    "SELECT URLHash, EventDate, COUNT(*) AS PageViews FROM hits WHERE CounterID = 62 AND EventDate >= '2013-07-01' AND EventDate <= '2013-07-31' AND IsRefresh = 0 AND TraficSourceID IN (-1, 6) AND RefererHash = 3594120000172545465 GROUP BY URLHash, EventDate ORDER BY PageViews DESC LIMIT 10 OFFSET 100",
  ),
  hits(
    42,
    "SELECT WindowClientWidth, WindowClientHeight, COUNT(*) AS PageViews FROM hits WHERE CounterID = 62 AND EventDate >= '2013-07-01' AND EventDate <= '2013-07-31' AND IsRefresh = 0 AND DontCountHits = 0 AND URLHash = 2868770270353813622 GROUP BY WindowClientWidth, WindowClientHeight ORDER BY PageViews DESC LIMIT 10 OFFSET 10000",
  ),
  hits(
    43,
    "SELECT date_trunc('minute', EventTime) AS M, COUNT(*) AS PageViews FROM hits WHERE CounterID = 62 AND EventDate >= '2013-07-14' AND EventDate <= '2013-07-15' AND IsRefresh = 0 AND DontCountHits = 0 GROUP BY M ORDER BY M LIMIT 10 OFFSET 1000",
  ),
];
