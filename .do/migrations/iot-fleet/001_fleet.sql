-- What the buildings' streams have told of them.

CREATE TABLE buildings (
  name TEXT PRIMARY KEY,
  title TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE summaries (
  building TEXT NOT NULL,
  floor TEXT NOT NULL,
  sensor_type TEXT NOT NULL,
  minute INTEGER NOT NULL,
  sensor_count INTEGER NOT NULL,
  min_value REAL NOT NULL,
  max_value REAL NOT NULL,
  mean_value REAL NOT NULL,
  PRIMARY KEY (building, floor, sensor_type)
) WITHOUT ROWID;

-- The alerts that are not resolved.
CREATE TABLE open_alerts (
  building TEXT NOT NULL,
  id INTEGER NOT NULL,
  floor TEXT NOT NULL,
  sensor_id TEXT NOT NULL,
  severity TEXT NOT NULL,
  status TEXT NOT NULL,
  triggered_at INTEGER NOT NULL,
  PRIMARY KEY (building, id)
) WITHOUT ROWID;
