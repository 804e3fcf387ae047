import { readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { PointQuery, Product, ProductsQuery, sku as skuName } from '../input.ts';
import type { Context } from '../routes.ts';
import { requireStaff } from '../who.ts';
import type { Catalog } from './catalog.ts';

/** `GET /products`: for everyone; `?category=`, and `?after=` the last SKU of the page before. */
export async function listProducts({ env, query }: Context): Promise<Response> {
  const { category, after = '', limit } = parseQuery(ProductsQuery, query);
  return catalogOf(env).list({ after, limit, ...(category === undefined ? {} : { category }) });
}

/** `GET /products/:sku`: for everyone; `?as_of=` a point. */
export async function getProduct({ env, params, query }: Context): Promise<Response> {
  const { as_of } = parseQuery(PointQuery, query);
  return catalogOf(env).one(parseInput(skuName, params['sku']), as_of);
}

/** `GET /products/:sku/history`: what it was called and cost, for staff. */
export async function getProductHistory({ env, params, query, who }: Context): Promise<Response> {
  requireStaff(await who());
  parseQuery(NoQuery, query);
  return catalogOf(env).history(parseInput(skuName, params['sku']));
}

/** `PUT /products/:sku { name, category, price, … }`: for staff. */
export async function putProduct({ env, params, query, request, who }: Context): Promise<Response> {
  requireStaff(await who());
  parseQuery(NoQuery, query);
  const product = parseInput(Product, await readJson(request));
  return catalogOf(env).put(parseInput(skuName, params['sku']), product);
}

function catalogOf({ CATALOG }: Context['env']): DurableObjectStub<Catalog> {
  return CATALOG.getByName('catalog');
}
