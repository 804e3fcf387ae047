import { until, type LocalApp } from '@dotdo/example-shared/local/app';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client, newKey, startLocally, type Stock } from '../local.ts';

interface Answered {
  readonly error?: string;
  readonly available: number;
  readonly reservation?: { readonly status: string; readonly expires_at: string };
}
interface History {
  readonly movements: readonly {
    readonly operation: string;
    readonly quantity: number;
    readonly reference: string;
  }[];
  readonly lsn: number;
}

let app: LocalApp;
let staff: Client;

beforeAll(async () => {
  app = await startLocally();
  staff = await Client.staff(app.url);
});
afterAll(async () => app.harness.close());

const stockOf = (sku: string, query = ''): Promise<Stock> => staff.get<Stock>(`/inventory/${sku}${query}`);

const command = (sku: string, name: string, body: object): ReturnType<typeof staff.send<Answered>> =>
  staff.send<Answered>('POST', `/inventory/${sku}/${name}`, body);

function evict(sku: string, webSockets: 'hibernate' | 'close' = 'hibernate'): Promise<void> {
  return app.harness.getWorker().evictDurableObject('Sku', { name: sku, webSockets });
}

/** The stock as its rows tell it, counted anew. */
async function recount(sku: string): Promise<Partial<Stock>> {
  const storage = await app.harness.getWorker().getDurableObjectStorage('Sku', { name: sku });
  const [row] = await storage.exec(`
    SELECT (SELECT ifnull(sum(quantity), 0) FROM reservations WHERE status = 'PENDING') AS reserved,
           (SELECT ifnull(sum(quantity), 0) FROM reservations WHERE status = 'CONFIRMED') AS sold,
           (SELECT ifnull(sum(quantity), 0) FROM restocks) AS stocked`);
  const { reserved, sold, stocked } = row as Record<'reserved' | 'sold' | 'stocked', number>;
  return { available: stocked - reserved - sold, reserved, sold, stocked };
}

describe('the stock of a SKU', () => {
  it('is reserved, confirmed and released, and tells what it was at any time', async () => {
    const { lsn } = await staff.stock('desk-lamp', 10);
    const [sold, back] = [newKey(), newKey()];
    await command('desk-lamp', 'reserve', { id: sold, quantity: 3 });
    await command('desk-lamp', 'reserve', { id: back, quantity: 2 });
    expect(await stockOf('desk-lamp')).toMatchObject({ available: 5, reserved: 5, sold: 0, stocked: 10 });
    await command('desk-lamp', 'confirm', { id: sold });
    await command('desk-lamp', 'release', { id: back });
    expect(await stockOf('desk-lamp')).toMatchObject({ available: 7, reserved: 0, sold: 3, stocked: 10 });
    expect(await stockOf('desk-lamp', `?as_of=lsn:${lsn}`)).toMatchObject({ available: 10, sold: 0 });
    const { movements } = await staff.get<History>('/inventory/desk-lamp/history');
    expect(movements.map(({ operation, quantity }) => `${operation} ${quantity}`)).toEqual([
      'RESTOCK 10',
      'RESERVE 3',
      'RESERVE 2',
      'CONFIRM 3',
      'RELEASE 2',
    ]);
    const confirmed = await staff.get<History>('/inventory/desk-lamp/history?operation=CONFIRM');
    expect(confirmed.movements).toMatchObject([{ quantity: 3, reference: sold }]);
    expect(
      (await staff.get<History>(`/inventory/desk-lamp/history?after=${confirmed.lsn}`)).movements,
    ).toEqual([]);
  });

  it('takes each command once, however often it is sent', async () => {
    await staff.stock('once', 5);
    const [id, key] = [newKey(), newKey()];
    for (let i = 0; i < 3; i++) {
      const reserved = await command('once', 'reserve', { id, quantity: 2 });
      expect(reserved).toMatchObject({ status: 200, body: { reservation: { status: 'PENDING' } } });
      expect((await staff.restock('once', 4, key)).status).toBe(200);
    }
    expect(await stockOf('once')).toMatchObject({ available: 7, reserved: 2, stocked: 9 });
    expect((await command('once', 'reserve', { id, quantity: 1 })).status).toBe(422);
    expect((await staff.restock('once', 5, key)).status).toBe(422);
    for (let i = 0; i < 3; i++) expect((await command('once', 'confirm', { id })).status).toBe(200);
    expect((await command('once', 'release', { id })).status).toBe(409);
    expect(await stockOf('once')).toMatchObject({ available: 7, reserved: 0, sold: 2, stocked: 9 });
  });

  it('says no when there is no more, and takes no more out than there is', async () => {
    await staff.stock('scarce', 2);
    const refused = await command('scarce', 'reserve', { id: newKey(), quantity: 3 });
    expect(refused).toMatchObject({
      status: 409,
      body: { available: 2, error: expect.stringContaining('not so many') },
    });
    expect((await staff.restock('scarce', -3)).status).toBe(409);
    expect((await staff.restock('scarce', -2)).status).toBe(200);
    expect(await stockOf('scarce')).toMatchObject({ available: 0, stocked: 0 });
    expect((await command('scarce', 'confirm', { id: newKey() })).status).toBe(404);
  });

  it('is never oversold, by 400 buyers at once, with the object put away under them', async () => {
    await staff.stock('rush', 100);
    const ids = Array.from({ length: 400 }, newKey);
    let answered = 0;
    const buy = async (id: string): Promise<number> => {
      // Who hears nothing asks again, with the same id.
      for (;;) {
        const { status } = await command('rush', 'reserve', { id, quantity: 1 });
        if (++answered % 100 === 0) await evict('rush');
        if (status < 500) return status;
      }
    };
    const statuses = await inTurns(ids, 50, buy);
    expect(statuses.filter((status) => status === 200)).toHaveLength(100);
    expect(statuses.filter((status) => status === 409)).toHaveLength(300);
    const stock = await stockOf('rush');
    expect(stock).toMatchObject({ available: 0, reserved: 100, sold: 0, stocked: 100 });
    expect(stock).toMatchObject(await recount('rush'));
  });

  it('comes back when a reservation expires, by an alarm, also when the object is away then', async () => {
    await staff.stock('held', 5);
    await command('held', 'reserve', { id: newKey(), quantity: 2, hold_seconds: 1 });
    const kept = newKey();
    await command('held', 'reserve', { id: kept, quantity: 1, hold_seconds: 600 });
    await evict('held');
    const storage = await app.harness.getWorker().getDurableObjectStorage('Sku', { name: 'held' });
    await until(async () => {
      const [row] = await storage.exec('SELECT reserved FROM inventory');
      return (row as { reserved: number }).reserved === 1;
    });
    expect(await stockOf('held')).toMatchObject({ available: 4, reserved: 1 });
    expect(await stockOf('held')).toMatchObject(await recount('held'));
    const { movements } = await staff.get<History>('/inventory/held/history?operation=EXPIRE');
    expect(movements).toMatchObject([{ quantity: 2 }]);
    // One that expires earlier than those that are waited for is not forgotten over them.
    await command('held', 'reserve', { id: newKey(), quantity: 1, hold_seconds: 1 });
    await until(async () => (await stockOf('held')).reserved === 1);
    expect((await command('held', 'confirm', { id: kept })).body.reservation?.status).toBe('CONFIRMED');
  });

  it('is the same when reservations are forgotten that were over for a month, or sold for longer than a year', async () => {
    await staff.stock('aged', 2_000);
    const [over, sold, late] = [newKey(), newKey(), newKey()];
    for (const id of [over, sold, late]) await command('aged', 'reserve', { id, quantity: 2 });
    await command('aged', 'release', { id: over });
    for (const id of [sold, late]) await command('aged', 'confirm', { id });
    const storage = await app.harness.getWorker().getDurableObjectStorage('Sku', { name: 'aged' });
    // More than one run forgets.
    await storage.exec(`
      INSERT INTO reservations (id, quantity, status, created_at, expires_at, settled_at)
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
      SELECT 'expired-' || i, 1, 'EXPIRED', '2020-01-01T00:00:00.000Z', '2020-01-01T00:15:00.000Z', '2020-01-01T00:15:00.000Z'
        FROM n`);
    const { available, reserved, lsn } = await stockOf('aged');
    for (const [id, days] of [
      [over, 31],
      [sold, 401],
      [late, 399],
    ] as const)
      await storage.exec(
        `UPDATE reservations SET settled_at = strftime('%FT%H:%M:%fZ', 'now', '-${days} days') WHERE id = '${id}'`,
      );
    await command('aged', 'reserve', { id: newKey(), quantity: 1, hold_seconds: 1 });
    const left = (): Promise<unknown[]> =>
      storage.exec('SELECT id, status FROM reservations ORDER BY status LIMIT 3');
    const statuses = async (): Promise<unknown[]> =>
      (await left()).map((row) => (row as { status: string }).status);
    await until(async () => (await statuses()).join() === 'CONFIRMED,EXPIRED');
    expect((await left())[0]).toMatchObject({ id: late });
    expect(await stockOf('aged')).toMatchObject({ available, reserved, sold: 4, stocked: 2_000 });

    // What is kept of the past answers still. Forgetting is no movement: these are the test's own three, and two more.
    expect(await stockOf('aged', `?as_of=lsn:${lsn}`)).toMatchObject({ available, reserved, sold: 4 });
    const operations: string[] = [];
    for (let page = 0, after = lsn; page < 5; page++) {
      const told = await staff.get<History>(`/inventory/aged/history?after=${after}&limit=1000`);
      operations.push(...told.movements.map(({ operation }) => operation));
      after = told.lsn;
    }
    expect(operations).toEqual(['RELEASE', 'CONFIRM', 'CONFIRM', 'RESERVE', 'EXPIRE']);
    // The id of one that is forgotten is as good as new; one that is not is still sold.
    expect(await command('aged', 'reserve', { id: over, quantity: 5 })).toMatchObject({
      status: 200,
      body: { reservation: { status: 'PENDING' } },
    });
    expect((await command('aged', 'confirm', { id: sold })).status).toBe(404);
    expect((await command('aged', 'confirm', { id: late })).body.reservation?.status).toBe('CONFIRMED');
  });

  it('is refused by the schema itself when a program would break it', async () => {
    await staff.stock('checked', 1);
    const storage = await app.harness.getWorker().getDurableObjectStorage('Sku', { name: 'checked' });
    await expect(storage.exec('UPDATE inventory SET available = available + 1')).rejects.toThrow(/CHECK/);
    await expect(storage.exec('UPDATE inventory SET available = -1, reserved = 2')).rejects.toThrow(/CHECK/);
  });
});

describe('a sale', () => {
  it('is followed over a WebSocket, through hibernation, and shows nobody who buys', async () => {
    await staff.stock('watched', 3);
    const customer = await Client.customer(app.url);
    const live = customer.live('watched');
    const stock = live.query<Stock>({ table: 'inventory' });
    const reservations = live.query<{ id: string; status: string }>({ table: 'reservations' });
    await until(() => stock.status === 'live' && reservations.status === 'live');
    const id = newKey();
    await command('watched', 'reserve', { id, quantity: 2 });
    await until(() => [...stock.rows.values()].some(({ reserved }) => reserved === 2));
    await evict('watched');
    await command('watched', 'confirm', { id });
    await until(() => [...stock.rows.values()].some(({ sold }) => sold === 2));
    const shown = (): unknown[] => [...reservations.rows.values()];
    await expect.poll(shown, { timeout: 10_000 }).toMatchObject([{ status: 'CONFIRMED' }]);
    expect(JSON.stringify(shown())).not.toContain(id);
    live.close();
  });

  it('is for those with a token, from its own pages', async () => {
    await staff.stock('guarded', 1);
    const open = async (headers: Record<string, string>): Promise<number> => {
      const { href } = new URL('/inventory/guarded/live?publication=sale', app.url);
      const response = await app.harness.fetch(href, { headers: { upgrade: 'websocket', ...headers } });
      response.webSocket?.accept();
      response.webSocket?.close();
      return response.status;
    };
    const authorization = `Bearer ${staff.token}`;
    expect(await open({})).toBe(401);
    expect(await open({ authorization })).toBe(101);
    expect(await open({ authorization, origin: 'https://evil.example' })).toBe(403);
    expect(await open({ authorization, upgrade: '' })).toBe(426);
  });
});

/** Does `work` for all, so many at a time. */
async function inTurns<T, R>(all: readonly T[], width: number, work: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < all.length) results.push(await work(all[next++] as T));
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}
