import { request } from '@dotdo/example-shared/page/request';

/** Who this browser is: kept between visits, shared by its windows. */
export interface Session {
  readonly token: string;
  readonly isStaff: boolean;
}

/** A product that is on sale. */
export interface Product {
  readonly sku: string;
  readonly name: string;
  readonly price: number;
}

/** An order, as far as the page shows it. */
export interface Order {
  readonly id: string;
  readonly status: string;
  readonly total: number;
}

/** A new customer. */
export async function join(name: string): Promise<Session> {
  const { token } = await request<{ token: string }>('POST', '/customers', { body: { name } });
  return { token, isStaff: false };
}

/** Someone who knows the key of the shop. */
export async function openShop(name: string, key: string): Promise<Session> {
  const { token } = await request<{ token: string }>('POST', '/staff', { body: { name, key } });
  return { token, isStaff: true };
}

/** What is on sale. */
export async function products(): Promise<readonly Product[]> {
  return (await request<{ products: Product[] }>('GET', '/products')).products;
}

/** Asks the shop, as whoever this is. */
export function ask<T>({ token }: Session, method: string, path: string, body?: unknown): Promise<T> {
  return request<T>(method, path, { token, body });
}

/**
 * Sends a command under a key of its own, so that a browser or a network that sends it twice has it done once.
 *
 * @throws Error with what the shop says.
 */
export async function command<T>({ token }: Session, path: string, body: unknown): Promise<T> {
  const response = await fetch(path, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'idempotency-key': crypto.randomUUID() },
    body: JSON.stringify(body),
  });
  const answer = (await response.json()) as T & { readonly error?: string };
  if (!response.ok) throw new Error(answer.error ?? response.statusText);
  return answer;
}

/** Orders one of a SKU. */
export function buyOne(session: Session, sku: string): Promise<Order> {
  return command<Order>(session, '/checkout', { items: [{ sku, quantity: 1 }] });
}

/** Cents as money. */
export function money(cents: number): string {
  return (cents / 100).toLocaleString('en', { style: 'currency', currency: 'EUR' });
}
