import type { Database, Point } from '@dotdo/dosql';
import { notFound } from '@dotdo/example-shared/http';
import { rowsAt } from '@dotdo/example-shared/past';
import { Stored } from '../stored.ts';

/** A product, as staff describe it; the price is in cents. */
export interface ProductInput {
  readonly name: string;
  readonly category: string;
  readonly description: string;
  readonly price: number;
  readonly is_on_sale: boolean;
}

/** A product, as the table has it. */
export interface Product extends Omit<ProductInput, 'is_on_sale'> {
  readonly sku: string;
  readonly is_on_sale: 0 | 1;
}

/** The products and their prices. */
export class Catalog extends Stored {
  protected override readonly folder = 'catalog';
  protected override readonly options = { history: { keep: '400d' } };

  /** Adds a product, or changes it. */
  async put(sku: string, product: ProductInput): Promise<Response> {
    const db = await this.create('catalog');
    await db.run(
      `INSERT INTO products (sku, name, category, description, price, is_on_sale, updated_at)
       VALUES (:sku, :name, :category, :description, :price, :is_on_sale, :now)
           ON CONFLICT (sku) DO UPDATE
          SET name = excluded.name, category = excluded.category, description = excluded.description,
              price = excluded.price, is_on_sale = excluded.is_on_sale, updated_at = excluded.updated_at`,
      { sku, ...product, now: new Date() },
    );
    return this.one(sku);
  }

  /** The products with these SKUs. */
  async products(skus: readonly string[]): Promise<Product[]> {
    const db = await this.existing();
    const sql = 'SELECT * FROM products WHERE sku IN (SELECT value FROM json_each(?))';
    return (await db?.query<Product>(sql, [JSON.stringify(skus)])) ?? [];
  }

  /** Products by SKU, from one on, all or of a category. */
  async list(query: {
    readonly category?: string;
    readonly after: string;
    readonly limit: number;
  }): Promise<Response> {
    await this.create('catalog');
    return this.answer('catalog', async (db) => ({
      products: await db.query(
        `SELECT * FROM products WHERE sku > :after AND (:category IS NULL OR category = :category)
          ORDER BY sku LIMIT :limit`,
        { category: null, ...query },
      ),
    }));
  }

  /** A product now, or as it was. */
  one(sku: string, asOf?: Point): Promise<Response> {
    return this.answer('product', async (db) => {
      const [product] = await rowsAt(db, asOf, 'SELECT * FROM products WHERE sku = ?', [sku]);
      if (product === undefined) throw notFound('product');
      return product;
    });
  }

  /** What a product was called and cost, and from when to when. */
  history(sku: string): Promise<Response> {
    return this.answer('product', async (db) => {
      const versions = await db.history<Product>('products', sku);
      if (versions.length === 0) throw notFound('product');
      return { versions };
    });
  }

  protected override async wake(_db: Database): Promise<void> {
    // It has no timers and tells nobody anything by itself.
  }
}
