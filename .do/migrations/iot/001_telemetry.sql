-- One building, or one floor of a large one. Every time is UTC, in ms since the epoch.

-- What measures. A sensor is registered by its first reading, and keeps its type and unit.
CREATE TABLE sensors (
  sensor_id TEXT PRIMARY KEY,
  sensor_type TEXT NOT NULL,
  unit TEXT NOT NULL,
  since INTEGER NOT NULL
) WITHOUT ROWID;

-- What was measured: hot for a day or two, then in R2. The key makes a reading that comes again no second one; it
-- begins with the time, so rows come in the order of the key, and old ones are found by it.
CREATE TABLE readings (
  timestamp INTEGER NOT NULL,
  sensor_id TEXT NOT NULL,
  sensor_type TEXT NOT NULL,
  value REAL NOT NULL,
  quality INTEGER NOT NULL CHECK (quality BETWEEN 0 AND 100),
  PRIMARY KEY (timestamp, sensor_id)
) WITHOUT ROWID;

-- Readings of days that may be in R2 already, until they have been put there.
CREATE TABLE late_readings (
  timestamp INTEGER NOT NULL,
  sensor_id TEXT NOT NULL,
  sensor_type TEXT NOT NULL,
  value REAL NOT NULL,
  quality INTEGER NOT NULL,
  PRIMARY KEY (timestamp, sensor_id)
) WITHOUT ROWID;

CREATE TABLE minute_aggregates (
  sensor_id TEXT NOT NULL,
  minute INTEGER NOT NULL,
  sensor_type TEXT NOT NULL,
  min_value REAL NOT NULL,
  max_value REAL NOT NULL,
  sum_value REAL NOT NULL,
  sum_quality INTEGER NOT NULL,
  reading_count INTEGER NOT NULL,
  PRIMARY KEY (sensor_id, minute)
) WITHOUT ROWID;
CREATE INDEX minute_aggregates_by_time ON minute_aggregates (minute);

CREATE TABLE hourly_aggregates (
  sensor_id TEXT NOT NULL,
  hour INTEGER NOT NULL,
  sensor_type TEXT NOT NULL,
  min_value REAL NOT NULL,
  max_value REAL NOT NULL,
  sum_value REAL NOT NULL,
  sum_quality INTEGER NOT NULL,
  reading_count INTEGER NOT NULL,
  PRIMARY KEY (sensor_id, hour)
) WITHOUT ROWID;
CREATE INDEX hourly_aggregates_by_time ON hourly_aggregates (hour);

-- What is kept of readings that have expired. A day can have several rows of a sensor: they are added up when read.
CREATE TABLE daily_aggregates (
  id INTEGER PRIMARY KEY,
  sensor_id TEXT NOT NULL,
  day INTEGER NOT NULL,
  sensor_type TEXT NOT NULL,
  min_value REAL NOT NULL,
  max_value REAL NOT NULL,
  sum_value REAL NOT NULL,
  sum_quality INTEGER NOT NULL,
  reading_count INTEGER NOT NULL
);
CREATE INDEX daily_aggregates_by_time ON daily_aggregates (day);

CREATE TABLE alert_rules (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  -- NULL is every sensor of the type.
  sensor_id TEXT,
  sensor_type TEXT NOT NULL,
  condition TEXT NOT NULL CHECK (condition IN ('gt', 'gte', 'lt', 'lte', 'eq', 'neq', 'range_outside')),
  threshold_value REAL,
  threshold_min REAL,
  threshold_max REAL,
  severity TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
  cooldown_seconds INTEGER NOT NULL,
  enabled INTEGER NOT NULL CHECK (enabled IN (0, 1))
);

-- Alerts say themselves what was broken: their rule may have changed since, or gone.
CREATE TABLE alerts (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  -- The floor that raised it, under its id there; '' and NULL for the building itself.
  floor TEXT NOT NULL,
  floor_alert_id INTEGER,
  rule_id INTEGER NOT NULL,
  sensor_id TEXT NOT NULL,
  sensor_type TEXT NOT NULL,
  condition TEXT NOT NULL,
  threshold_value REAL NOT NULL,
  trigger_value REAL NOT NULL,
  severity TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'ACTIVE' CHECK (status IN ('ACTIVE', 'ACKNOWLEDGED', 'RESOLVED')),
  triggered_at INTEGER NOT NULL,
  acknowledged_at INTEGER,
  acknowledged_by TEXT,
  resolved_at INTEGER,
  resolved_by TEXT,
  resolved_reason TEXT,
  UNIQUE (floor, floor_alert_id)
);
CREATE INDEX alerts_by_rule ON alerts (rule_id, sensor_id, triggered_at);
CREATE INDEX alerts_by_status ON alerts (status, triggered_at);

-- Alerts that were resolved a day ago or more, under their ids.
CREATE TABLE alert_history (
  id INTEGER PRIMARY KEY,
  floor TEXT NOT NULL,
  sensor_id TEXT NOT NULL,
  sensor_type TEXT NOT NULL,
  condition TEXT NOT NULL,
  threshold_value REAL NOT NULL,
  trigger_value REAL NOT NULL,
  severity TEXT NOT NULL,
  triggered_at INTEGER NOT NULL,
  acknowledged_by TEXT,
  resolved_at INTEGER NOT NULL,
  resolved_by TEXT,
  resolved_reason TEXT,
  duration_seconds INTEGER NOT NULL
);
CREATE INDEX alert_history_by_time ON alert_history (resolved_at);

-- How each type of sensor is doing on each floor, in the newest minute that it has reported: what the page and the fleet
-- follow. '' is the building itself.
CREATE TABLE summaries (
  floor TEXT NOT NULL,
  sensor_type TEXT NOT NULL,
  minute INTEGER NOT NULL,
  sensor_count INTEGER NOT NULL,
  min_value REAL NOT NULL,
  max_value REAL NOT NULL,
  mean_value REAL NOT NULL,
  PRIMARY KEY (floor, sensor_type)
) WITHOUT ROWID;

-- The floors that have objects of their own.
CREATE TABLE floors (
  floor TEXT PRIMARY KEY,
  since INTEGER NOT NULL
) WITHOUT ROWID;

-- The building's own row.
CREATE TABLE building (
  name TEXT PRIMARY KEY,
  title TEXT NOT NULL
) WITHOUT ROWID;
