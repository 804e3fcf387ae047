-- What the document is called. One row: a document is a database.
CREATE TABLE document (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  title TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at TEXT NOT NULL
);

-- The document itself, in the order of position and id. `run` says in whose doing the row came to be as it is, so the
-- log of this table tells not only what changed, but also by whom, and what undoing has to take back.
CREATE TABLE blocks (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('paragraph', 'heading', 'list', 'code', 'image', 'table')),
  text TEXT NOT NULL,
  properties TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(properties)),
  position TEXT NOT NULL,
  run TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX blocks_position ON blocks(position);

-- What one person did in one go, which is what undoing takes back. `lsn` is the end of the log before it began.
CREATE TABLE runs (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  line TEXT NOT NULL,
  user_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('edit', 'undo', 'redo', 'restore', 'merge')),
  -- The run that an undo or a redo takes back, and the one that took this one back.
  takes_back TEXT,
  taken_back_by TEXT,
  lsn INTEGER NOT NULL,
  at TEXT NOT NULL
);

CREATE INDEX runs_of_user ON runs(user_id, line, number);

-- Which blocks a run has changed, and whether it has removed them.
CREATE TABLE touched (
  run TEXT NOT NULL,
  block TEXT NOT NULL,
  removed INTEGER NOT NULL,
  PRIMARY KEY (run, block)
) WITHOUT ROWID;

-- How far each client has come: what it sends again, because an answer was lost, is not done again.
CREATE TABLE clients (
  id TEXT PRIMARY KEY,
  seq INTEGER NOT NULL,
  seen_at TEXT NOT NULL
) WITHOUT ROWID;
