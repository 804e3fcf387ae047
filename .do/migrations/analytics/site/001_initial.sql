-- What the regions have counted: nothing here is about a person.
CREATE TABLE minutes (
  region TEXT NOT NULL,
  minute TEXT NOT NULL,
  event_type TEXT NOT NULL,
  events INTEGER NOT NULL,
  sessions INTEGER NOT NULL,
  users INTEGER NOT NULL,
  sketch BLOB NOT NULL,
  PRIMARY KEY (region, minute, event_type)
) WITHOUT ROWID;

CREATE INDEX minutes_minute ON minutes(minute);

CREATE TABLE days (
  region TEXT NOT NULL,
  date TEXT NOT NULL,
  event_type TEXT NOT NULL,
  page_path TEXT NOT NULL,
  events INTEGER NOT NULL,
  users INTEGER NOT NULL,
  sketch BLOB NOT NULL,
  PRIMARY KEY (region, date, event_type, page_path)
) WITHOUT ROWID;

CREATE INDEX days_date ON days(date);

CREATE TABLE visits (
  region TEXT NOT NULL,
  date TEXT NOT NULL,
  visits INTEGER NOT NULL,
  seconds INTEGER NOT NULL,
  PRIMARY KEY (region, date)
) WITHOUT ROWID;

-- All regions together, by day; `users` is what the merged sketches of the regions estimate.
CREATE TABLE global_metrics (
  date TEXT NOT NULL,
  event_type TEXT NOT NULL,
  events INTEGER NOT NULL,
  users INTEGER NOT NULL,
  regions INTEGER NOT NULL,
  PRIMARY KEY (date, event_type)
) WITHOUT ROWID;
