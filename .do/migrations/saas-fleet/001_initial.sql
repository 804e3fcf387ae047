-- Every tenant that has signed up, and the version that its schema was last seen at.
CREATE TABLE tenants (
  name TEXT PRIMARY KEY,
  schema_version INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  seen_at TEXT NOT NULL
);

CREATE INDEX tenants_by_version ON tenants(schema_version, name);

-- Which numbering a tenant's changes come under. Another one says that its database has been made anew.
CREATE TABLE feeds (
  tenant TEXT PRIMARY KEY,
  stream TEXT NOT NULL
);

-- The tasks of all tenants as they are now, as far as tenants publish them: no titles, no people.
CREATE TABLE tasks (
  tenant TEXT NOT NULL,
  id INTEGER NOT NULL,
  project_id INTEGER NOT NULL,
  status TEXT NOT NULL,
  priority INTEGER NOT NULL,
  due_date TEXT,
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

-- What has happened, a row a change. Days that are over become Parquet files in the lake.
CREATE TABLE changes (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  at TEXT NOT NULL,
  entity TEXT NOT NULL,
  op TEXT NOT NULL,
  row_id INTEGER NOT NULL,
  status_before TEXT,
  status_after TEXT
);

CREATE INDEX changes_by_time ON changes(at);
