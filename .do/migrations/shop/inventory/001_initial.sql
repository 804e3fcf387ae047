-- Every SKU's stock, as its object has told it last.
CREATE TABLE skus (
  sku TEXT PRIMARY KEY,
  product_name TEXT NOT NULL,
  available INTEGER NOT NULL,
  reserved INTEGER NOT NULL,
  sold INTEGER NOT NULL,
  stocked INTEGER NOT NULL,
  updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
