-- Prices are in cents. What a price was on a day is a question to the history.
CREATE TABLE products (
  sku TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  category TEXT NOT NULL,
  description TEXT NOT NULL,
  price INTEGER NOT NULL CHECK (price >= 0),
  is_on_sale INTEGER NOT NULL CHECK (is_on_sale IN (0, 1)),
  updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX products_by_category ON products(category, name);
