-- The stock of one SKU: one row. Whatever the program does, no unit is sold twice and none is lost: these checks
-- refuse the transaction that would.
CREATE TABLE inventory (
  sku TEXT PRIMARY KEY,
  product_name TEXT NOT NULL,
  available INTEGER NOT NULL CHECK (available >= 0),
  reserved INTEGER NOT NULL CHECK (reserved >= 0),
  sold INTEGER NOT NULL CHECK (sold >= 0),
  stocked INTEGER NOT NULL,
  updated_at TEXT NOT NULL,
  CHECK (available + reserved + sold = stocked)
) STRICT, WITHOUT ROWID;

-- Units that are promised to an order, or sold. The key is whoever asked's own, so that asking twice is asking once.
CREATE TABLE reservations (
  id TEXT PRIMARY KEY,
  quantity INTEGER NOT NULL CHECK (quantity >= 0),
  status TEXT NOT NULL CHECK (status IN ('PENDING', 'CONFIRMED', 'EXPIRED', 'RELEASED')),
  created_at TEXT NOT NULL,
  expires_at TEXT NOT NULL,
  settled_at TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX reservations_due ON reservations(expires_at) WHERE status = 'PENDING';

-- What came into stock, and what was found missing (below zero).
CREATE TABLE restocks (
  id TEXT PRIMARY KEY,
  quantity INTEGER NOT NULL CHECK (quantity <> 0),
  created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
