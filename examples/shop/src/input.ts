import { name, point, queryInteger, text } from '@dotdo/example-shared/input';
import * as v from 'valibot';
import { OPERATIONS } from './sku/history.ts';

// What comes from outside. A SKU and an order's id name Durable Objects, so both are held to a form.

/** The name of a SKU. */
export const sku = v.pipe(
  v.string('give a SKU'),
  v.regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'give a SKU: up to 40 of a-z, 0-9 and -'),
);

/** The id of an order. */
export const orderId = v.pipe(v.string('give the id of an order'), v.uuid('give the id of an order'));

/** What makes a command one, however often it is sent. */
export const idempotencyKey = v.pipe(
  v.string('send an Idempotency-Key'),
  v.regex(/^[\w:.-]{8,100}$/, 'send an Idempotency-Key: 8 to 100 of letters, digits and _:.-'),
);

const whole = (least: number, most: number) => {
  const message = `give a whole number from ${least} to ${most}`;
  return v.pipe(v.number(message), v.integer(message), v.minValue(least, message), v.maxValue(most, message));
};
const quantity = whole(1, 100);
const limit = v.optional(v.pipe(queryInteger, v.minValue(1), v.maxValue(1_000, 'give at most 1000')), '100');

/** `POST /customers` */
export const NewCustomer = v.strictObject({ name });

/** `POST /staff` */
export const StaffKey = v.strictObject({ key: v.pipe(text, v.maxLength(200)), name });

/** `PUT /products/:sku` */
export const Product = v.strictObject({
  name,
  category: name,
  description: v.optional(v.pipe(text, v.maxLength(2_000, 'give at most 2000 characters')), ''),
  price: whole(0, 100_000_000),
  is_on_sale: v.optional(v.boolean('give true or false'), true),
});

/** `POST /inventory/:sku/restock` */
export const Restock = v.strictObject({
  quantity: v.pipe(
    whole(-1_000_000, 1_000_000),
    v.check((n) => n !== 0, 'give a number other than 0'),
  ),
});

const reservation = v.pipe(
  text,
  v.regex(/^[\w:.-]{8,100}$/, 'give an id: 8 to 100 of letters, digits and _:.-'),
);

/** `POST /inventory/:sku/reserve` */
export const Reserve = v.strictObject({
  id: reservation,
  quantity,
  hold_seconds: v.optional(whole(1, 86_400), 900),
});

/** `POST /inventory/:sku/confirm`, `…/release` */
export const Settle = v.strictObject({ id: reservation });

/** `PUT /cart/items/:sku` */
export const CartItem = v.strictObject({ quantity });

const line = (most: number) => v.pipe(name, v.maxLength(most, `give at most ${most} characters`));

/** `POST /checkout` */
export const Checkout = v.strictObject({
  items: v.optional(
    v.pipe(
      v.array(v.strictObject({ sku, quantity }), 'give a list of items'),
      v.minLength(1, 'give at least 1 item'),
      v.maxLength(50, 'give at most 50 items'),
      v.check((items) => new Set(items.map(({ sku }) => sku)).size === items.length, 'give each SKU once'),
    ),
  ),
  shipping_address: v.optional(
    v.strictObject({
      name: line(200),
      street: line(200),
      city: line(100),
      postcode: line(20),
      country: v.pipe(v.string(), v.regex(/^[A-Z]{2}$/, 'give a country of two letters')),
    }),
  ),
});

/** `POST /orders/:id/simulated-payment` */
export const SimulatedPayment = v.strictObject({
  outcome: v.picklist(['succeed', 'fail'], 'give succeed or fail'),
});

/** `?as_of=` */
export const PointQuery = v.strictObject({ as_of: v.optional(point) });

/** `GET /inventory/:sku/history` */
export const HistoryQuery = v.strictObject({
  after: v.optional(queryInteger),
  limit,
  operation: v.optional(v.picklist(OPERATIONS, `give one of ${OPERATIONS.join(', ')}`)),
});

/** `GET /products` */
export const ProductsQuery = v.strictObject({ category: v.optional(name), after: v.optional(sku), limit });

/** `GET /inventory` */
export const InventoryQuery = v.strictObject({ after: v.optional(sku), limit });

/** `GET /orders` */
export const OrdersQuery = v.strictObject({ limit });
