-- The document as of an LSN, under a name, and whether the archive has it.
CREATE TABLE versions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  lsn INTEGER NOT NULL,
  created_by TEXT,
  created_at TEXT NOT NULL,
  blocks INTEGER,
  archived_at TEXT
);
