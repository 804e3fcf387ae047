/** A table that scans are measured on, as SQL of DuckDB that makes its rows: the same every time. */
export interface ScanData {
  readonly name: string;
  /** The rows to measure on, unless told otherwise. */
  readonly rows: number;
  /** The columns to sort by, for the files that are written sorted. */
  readonly sortedBy: string;
  /** A query that gives `rows` rows. */
  select(rows: number): string;
}

/** A number from 0 up to `below`, without it, that the row and `salt` decide. */
function random(salt: string, below: number): string {
  return `(hash(i, '${salt}') % ${below})::BIGINT`;
}

/** A number below `below` of which small ones are far more frequent: Zipf's law, roughly. */
function skewed(salt: string, below: number): string {
  return `least(${below - 1}, floor(${below} * pow(${random(salt, 1_000_003)} / 1000003.0, 6)))::BIGINT`;
}

/** Readings of 400 sensors over 50 days in the order of time; what a reading says is nearly incompressible. */
export const TELEMETRY: ScanData = {
  name: 'telemetry',
  rows: 5_000_000,
  sortedBy: 'ts',
  select: (rows) => `
    SELECT
      'sensor-' || lpad(${random('sensor', 400)}::VARCHAR, 4, '0') AS sensor_id,
      ['temperature', 'humidity', 'pressure', 'co2', 'light'][1 + ${random('sensor', 400)} % 5] AS sensor_type,
      20 + 15 * sin(i / 5000.0) + ${random('value', 1_000_000_007)} / 1e8 AS value,
      ${random('quality', 256)}::INTEGER AS quality,
      strftime(moment, '%Y-%m-%dT%H:%M:%S.%g') || 'Z' AS time,
      moment::TIMESTAMP_MS AS ts,
      strftime(moment, '%Y-%m-%d') AS date
    FROM (SELECT i, make_timestamp(1767225600000000 + (i * ${50 * 86_400}.0 / ${rows} * 1000)::BIGINT * 1000) AS moment
          FROM range(${rows}) AS r(i))`,
};

const PHRASE_WORDS =
  "['google', 'weather', 'moscow', 'cars', 'buy', 'cheap', 'video', 'news', 'film', 'online', 'music', 'photo', 'recipe', 'map', 'bank', 'tickets']";

/** Page views with the columns that ClickBench's queries use (https://github.com/ClickHouse/ClickBench), made up. */
export const HITS: ScanData = {
  name: 'hits',
  rows: 1_000_000,
  sortedBy: 'CounterID, EventDate, UserID, EventTime',
  select: (rows) => `
    SELECT
      (hash(i, 'watch') >> 1)::BIGINT AS WatchID,
      1::SMALLINT AS JavaEnable,
      title AS Title,
      1::SMALLINT AS GoodEvent,
      moment::TIMESTAMP_MS AS EventTime,
      moment::DATE AS EventDate,
      CASE WHEN ${random('counter', 10)} = 0 THEN 62 ELSE ${skewed('counter', 6000)} END::INTEGER AS CounterID,
      ${random('ip', 300_000)}::INTEGER AS ClientIP,
      ${skewed('region', 5000)}::INTEGER AS RegionID,
      (hash(${skewed('user', 150_000)}, 'user') >> 1)::BIGINT AS UserID,
      url AS URL,
      CASE WHEN ${random('referer', 4)} = 0 THEN '' ELSE 'http://' || CASE WHEN ${random('referer', 9)} = 0 THEN 'www.google.com/search?q=' ELSE 'site' || ${skewed('referer', 900)} || '.example/' END || ${skewed('refererpath', 50_000)} END AS Referer,
      (${random('refresh', 20)} = 0)::SMALLINT AS IsRefresh,
      ${random('width', 4)}::SMALLINT * 320 + 1024 AS ResolutionWidth,
      ${skewed('agent', 80)}::SMALLINT AS UserAgent,
      CASE WHEN ${random('mobile', 20)} = 0 THEN 'iPhone ' || ${random('model', 20)} ELSE '' END AS MobilePhoneModel,
      CASE WHEN ${random('mobile', 20)} = 0 THEN ${random('phone', 40)} ELSE 0 END::SMALLINT AS MobilePhone,
      CASE WHEN ${random('search', 7)} = 0 THEN phrase ELSE '' END AS SearchPhrase,
      CASE WHEN ${random('search', 7)} = 0 THEN 1 + ${random('engine', 40)} ELSE 0 END::SMALLINT AS SearchEngineID,
      (${random('adv', 60)} = 0)::SMALLINT * ${random('advengine', 30)}::SMALLINT AS AdvEngineID,
      ${random('trafic', 12)}::SMALLINT - 1 AS TraficSourceID,
      (${random('link', 30)} = 0)::SMALLINT AS IsLink,
      (${random('download', 90)} = 0)::SMALLINT AS IsDownload,
      (${random('count', 50)} = 0)::SMALLINT AS DontCountHits,
      (hash(url) >> 1)::BIGINT AS URLHash,
      (hash(${skewed('refererpath', 50_000)}) >> 1)::BIGINT AS RefererHash,
      ${random('clientwidth', 1600)}::SMALLINT AS WindowClientWidth,
      ${random('clientheight', 1000)}::SMALLINT AS WindowClientHeight,
      ${random('color', 3)}::SMALLINT AS ColorDepth,
      ${random('os', 30)}::SMALLINT AS OS,
      ${random('age', 60)}::SMALLINT AS Age,
      ${random('sex', 3)}::SMALLINT AS Sex,
      ${random('income', 5)}::SMALLINT AS Income,
      ${random('timezone', 24)}::SMALLINT AS ClientTimeZone,
      ${random('cookie', 2)}::SMALLINT AS CookieEnable,
      ['', 'ru', 'en', 'de'][1 + ${random('language', 4)}] AS BrowserLanguage,
      ${random('hit', 24)}::INTEGER AS HitColor,
      ${random('load', 5000)}::INTEGER AS ResponseEndTiming,
      ${random('fetch', 900)}::INTEGER AS FetchTiming,
      ${random('price', 100_000)} / 100.0 AS ParamPrice
    FROM (
      SELECT i,
        make_timestamp(1372636800000000 + ${random('at', 31 * 86_400)} * 1000000) AS moment,
        'http://' || CASE WHEN ${random('host', 40)} = 0 THEN 'google' ELSE 'site' || ${skewed('host', 700)} END || '.example/' || ${skewed('path', 90_000)} || '/index.html' AS url,
        CASE WHEN ${random('titled', 30)} = 0 THEN 'Google ' ELSE 'Page ' END || ${skewed('title', 60_000)} AS title,
        ${PHRASE_WORDS}[1 + ${random('word1', 16)}] || ' ' || ${PHRASE_WORDS}[1 + ${random('word2', 16)}] || ' ' || ${skewed('phrase', 20_000)} AS phrase
      FROM range(${rows}) AS r(i))`,
};

/** The statement of DuckDB that writes a table as a Parquet file, sorted, in row groups of `groupRows`. */
export function writeParquet(
  data: ScanData,
  path: string,
  { rows = data.rows, compression = 'zstd', groupRows = 122_880 } = {},
): string {
  return (
    `COPY (${data.select(rows)} ORDER BY ${data.sortedBy}) TO '${path}' ` +
    `(FORMAT parquet, COMPRESSION ${compression}, ROW_GROUP_SIZE ${groupRows})`
  );
}
