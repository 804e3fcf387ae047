CREATE TABLE cart_items (
  sku TEXT PRIMARY KEY,
  quantity INTEGER NOT NULL CHECK (quantity > 0),
  added_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE saved_for_later (
  sku TEXT PRIMARY KEY,
  quantity INTEGER NOT NULL CHECK (quantity > 0),
  saved_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The customer's orders, each under the key that its checkout was asked for with. `request` is what was asked, and
-- `draft` what the order's object is told until it has taken it.
CREATE TABLE checkouts (
  order_id TEXT PRIMARY KEY,
  idempotency_key TEXT NOT NULL UNIQUE,
  request TEXT NOT NULL,
  draft TEXT NOT NULL,
  is_placed INTEGER NOT NULL DEFAULT 0 CHECK (is_placed IN (0, 1)),
  total INTEGER NOT NULL,
  created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX checkouts_by_time ON checkouts(created_at);
