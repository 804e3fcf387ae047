import { DoSQLError, type Database } from '@dotdo/dosql';

/** What was sold of a SKU. */
export interface SkuSales {
  readonly sku: string;
  readonly orders: number;
  readonly units: number;
  /** In cents. */
  readonly revenue: number;
}

/**
 * The files have changes; of each order the newest counts. Its shard wrote all of them, so that their LSNs order them.
 */
const SALES_BY_SKU = `
  WITH
    change AS (SELECT "table", lsn, "key", after FROM 'r2://lake/sales/**/*.parquet'),
    newest AS (
      SELECT after ->> '$.id' AS id, after ->> '$.status' AS status,
             row_number() OVER (PARTITION BY "key" ORDER BY lsn DESC) AS age
        FROM change WHERE "table" = 'orders'
    ),
    line AS (
      SELECT DISTINCT after ->> '$.order_id' AS id, after ->> '$.sku' AS sku,
             after ->> '$.quantity' AS quantity, after ->> '$.line_total' AS line_total
        FROM change WHERE "table" = 'order_lines'
    )
  SELECT sku, count(*) AS orders, sum(quantity) AS units, sum(line_total) AS revenue
    FROM newest JOIN line USING (id)
   WHERE age = 1 AND status IN ('PROCESSING', 'SHIPPED', 'DELIVERED')
   GROUP BY sku ORDER BY sku LIMIT 1000`;

const STOCK_MOVEMENTS = `
  SELECT "table", after ->> '$.status' AS status, count(*) AS movements, sum(after ->> '$.quantity') AS units
    FROM 'r2://lake/stock/**/*.parquet'
   WHERE "table" IS NOT NULL AND op <> 'delete'
   GROUP BY 1, 2 ORDER BY 1, 2`;

/** What was sold of each SKU, by the files in R2 alone. */
export function salesBySku(db: Database): Promise<SkuSales[]> {
  return unlessEmpty(db.query<SkuSales>(SALES_BY_SKU));
}

/** How many movements of stock the files have, of which kind. */
export function stockMovements(db: Database): Promise<unknown[]> {
  return unlessEmpty(db.query(STOCK_MOVEMENTS));
}

/** A lake that nothing has come to yet has no files. */
async function unlessEmpty<T>(rows: Promise<T[]>): Promise<T[]> {
  try {
    return await rows;
  } catch (error) {
    if (error instanceof DoSQLError && error.code === 'NO_SUCH_FILE') return [];
    throw error;
  }
}
