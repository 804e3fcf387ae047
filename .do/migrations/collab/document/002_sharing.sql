-- A link lets whoever has it in, as a guest with its role.
CREATE TABLE links (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  role TEXT NOT NULL CHECK (role IN ('viewer', 'editor')),
  created_by TEXT NOT NULL,
  created_at TEXT NOT NULL,
  expires_at TEXT NOT NULL,
  revoked_at TEXT
);

-- Who may do what. Guests have the link that they came by, and go with it.
CREATE TABLE members (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('viewer', 'editor', 'admin')),
  link INTEGER REFERENCES links(id),
  expires_at TEXT,
  granted_by TEXT NOT NULL,
  granted_at TEXT NOT NULL
) WITHOUT ROWID;
