-- Events as they came, without user ids and whole addresses. They stay in this region, and for 30 days.
-- `seq` only rises, also after erasing: counting goes on after the last that it has seen.
CREATE TABLE raw_events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  minute TEXT NOT NULL,
  at INTEGER NOT NULL,
  session_hash TEXT NOT NULL,
  user_hash TEXT,
  event_type TEXT NOT NULL,
  page_path TEXT NOT NULL,
  ip_network TEXT,
  user_agent TEXT,
  referrer_host TEXT,
  event_data TEXT
);

CREATE INDEX raw_events_minute ON raw_events(minute);

-- Minutes whose events have to be counted anew.
CREATE TABLE dirty_minutes (minute TEXT PRIMARY KEY) WITHOUT ROWID;

-- '*' stands for all types, and for all pages. `sessions` and `users` are exact; `sketch` can be merged with others.
CREATE TABLE minute_aggregates (
  minute TEXT NOT NULL,
  event_type TEXT NOT NULL,
  page_path TEXT NOT NULL,
  events INTEGER NOT NULL,
  sessions INTEGER NOT NULL,
  users INTEGER NOT NULL,
  sketch BLOB NOT NULL,
  PRIMARY KEY (minute, event_type, page_path)
) WITHOUT ROWID;

-- The sums of the minutes; `users` is what the merged sketch estimates.
CREATE TABLE daily_aggregates (
  date TEXT NOT NULL,
  event_type TEXT NOT NULL,
  page_path TEXT NOT NULL,
  events INTEGER NOT NULL,
  users INTEGER NOT NULL,
  sketch BLOB NOT NULL,
  PRIMARY KEY (date, event_type, page_path)
) WITHOUT ROWID;

-- Sessions with an event within the last 30 minutes.
CREATE TABLE active_sessions (
  session_hash TEXT PRIMARY KEY,
  first_seen INTEGER NOT NULL,
  last_seen INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX active_sessions_last_seen ON active_sessions(last_seen);

-- Sessions that have ended, by the day on which they began.
CREATE TABLE visits (
  date TEXT PRIMARY KEY,
  visits INTEGER NOT NULL,
  seconds INTEGER NOT NULL
) WITHOUT ROWID;
