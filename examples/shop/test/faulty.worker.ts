import type { Draft } from '../src/order/draft.ts';
import type { Status } from '../src/order/status.ts';
import type { Charge } from '../src/payment/provider.ts';
import type { SkuAnswer } from '../src/sku/sku.ts';
import {
  Bank as SoundBank,
  Cart as SoundCart,
  Order as SoundOrder,
  Sales as SoundSales,
  Sku as SoundSku,
  type Env,
} from '../src/worker.ts';
import { whoAsks } from '../src/who.ts';
import worker from '../src/worker.ts';

export { Catalog, Inventory } from '../src/worker.ts';

/** What can go wrong: a call that never arrives, one whose answer is lost, or the order's object that ends meanwhile. */
export type Fault = 'lost' | 'unanswered' | 'order-ends';

/** How long a customer has to pay whose time to pay is lost. */
const HASTE_MS = 1_000;
/** What is to go wrong once, by customer and call. */
const faults = new Map<string, Fault>();
/** Whose the orders are that this process has seen. */
const customers = new Map<string, string>();
let isLakeDown = false;

/** Every alarm goes off twice, at once: the platform promises no less than once. */
function twice(alarm: () => Promise<void>): Promise<unknown> {
  return Promise.all([alarm(), alarm()]);
}

/** Does `work` for an order, if it is not the turn of a fault. */
async function among<T>(call: string, env: Env, orderId: string, work: () => Promise<T>): Promise<T> {
  const key = `${customers.get(orderId)} ${call}`;
  const fault = faults.get(key);
  faults.delete(key);
  if (fault === 'lost') throw new Error(`${call} was lost`);
  const result = await work();
  if (fault === 'unanswered') throw new Error(`the answer to ${call} was lost`);
  if (fault === 'order-ends') await endOrder(env, orderId).catch(() => {});
  return result;
}

export class Order extends SoundOrder {
  override async alarm(): Promise<void> {
    await twice(() => super.alarm());
  }

  override place(draft: Draft): Promise<Status> {
    customers.set(draft.id, draft.customerId);
    const isHasty = faults.has(`${draft.customerId} time to pay`);
    return super.place(isHasty ? { ...draft, payBy: new Date(Date.now() + HASTE_MS).toISOString() } : draft);
  }

  /** Ends the object as the platform may at any time. */
  end(): void {
    this.ctx.abort('ended by a test');
  }
}

export class Cart extends SoundCart {
  override async alarm(): Promise<void> {
    await twice(() => super.alarm());
  }
}

export class Sku extends SoundSku {
  override async alarm(): Promise<void> {
    await twice(() => super.alarm());
  }

  override reserve(id: string, quantity: number, expiresAt: string): Promise<SkuAnswer> {
    return among('reserve', this.env, id, () => super.reserve(id, quantity, expiresAt));
  }

  override confirm(id: string): Promise<SkuAnswer> {
    return among('confirm', this.env, id, () => super.confirm(id));
  }

  override giveBack(id: string): Promise<SkuAnswer> {
    return among('giveBack', this.env, id, () => super.giveBack(id));
  }
}

export class Bank extends SoundBank {
  override async alarm(): Promise<void> {
    await twice(() => super.alarm());
  }

  override charge(charge: Charge): Promise<void> {
    return among('charge', this.env, charge.orderId, () => super.charge(charge));
  }

  override refund(id: string): Promise<void> {
    return among('refund', this.env, id.replace(/^pay-/, ''), () => super.refund(id));
  }
}

export class Sales extends SoundSales {
  override async alarm(): Promise<void> {
    await twice(() => super.alarm());
  }

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, { ...env, LAKE: breakable(env.LAKE) });
  }
}

function endOrder({ ORDER }: Env, id: string): Promise<void> {
  return (ORDER as unknown as DurableObjectNamespace<Order>).getByName(id).end();
}

/** The bucket, or one that fails at everything. */
function breakable(bucket: R2Bucket): R2Bucket {
  return new Proxy(bucket, {
    get(target, property) {
      if (isLakeDown) throw new Error('put: We encountered an internal error. Please try again. (10001)');
      const value = Reflect.get(target, property, target) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

export default {
  /** `POST /faults { call, fault }` says what goes wrong once for the customer who asks, `{ lake }` for all. */
  async fetch(request: Request, env: Env): Promise<Response> {
    if (new URL(request.url).pathname !== '/faults') return worker.fetch(request, env);
    const { call, fault, lake } = await request.json<{
      call?: string;
      fault?: Fault;
      lake?: 'down' | 'up';
    }>();
    if (lake !== undefined) isLakeDown = lake === 'down';
    if (call !== undefined && fault !== undefined)
      faults.set(`${(await whoAsks(env, request)).id} ${call}`, fault);
    return Response.json({});
  },
};
