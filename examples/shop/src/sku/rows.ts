import type { BatchStatement, Database } from '@dotdo/dosql';
import type { Command, Reservation, Restock, Settled, State, Stock } from './settle.ts';

/** The stock of a SKU, as its one row has it. */
export interface InventoryRow extends Stock {
  readonly sku: string;
  readonly product_name: string;
  readonly updated_at: string;
}

/** The row of the stock; none before the first restock. */
export const INVENTORY = 'SELECT * FROM inventory';

const RESERVATIONS = `
  SELECT * FROM reservations WHERE id IN (SELECT value FROM json_each(?))`;

const RESTOCKS = `
  SELECT * FROM restocks WHERE id IN (SELECT value FROM json_each(?))`;

/** What these commands are about; undefined where nothing was ever stocked. */
export async function stateFor(db: Database, commands: readonly Command[]): Promise<State | undefined> {
  const idsOf = (isRestock: boolean): string =>
    JSON.stringify(commands.filter(({ kind }) => (kind === 'restock') === isRestock).map(({ id }) => id));
  const [[stock], reservations, restocks] = await Promise.all([
    db.query<InventoryRow>(INVENTORY),
    db.query<Reservation>(RESERVATIONS, [idsOf(false)]),
    commands.some(({ kind }) => kind === 'restock') ? db.query<Restock>(RESTOCKS, [idsOf(true)]) : [],
  ]);
  if (stock === undefined) return undefined;
  return { stock, reservations: byId(reservations), restocks: byId(restocks) };
}

/** The statements that write what commands come to: as many for a thousand commands as for one. */
export function statementsFor(before: Stock, settled: Settled, now: string): BatchStatement[] {
  const { stock, reservations, restocks } = settled;
  const statements: BatchStatement[] = [];
  if (reservations.length > 0)
    statements.push({
      sql: `
        INSERT INTO reservations (id, quantity, status, created_at, expires_at, settled_at)
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 FROM json_each(?)
         WHERE true
            ON CONFLICT (id) DO UPDATE SET status = excluded.status, settled_at = excluded.settled_at`,
      params: [
        JSON.stringify(
          reservations.map(({ id, quantity, status, created_at, expires_at, settled_at }) => [
            id,
            quantity,
            status,
            created_at,
            expires_at,
            settled_at,
          ]),
        ),
      ],
    });
  if (restocks.length > 0)
    statements.push({
      sql: `
        INSERT INTO restocks (id, quantity, created_at)
        SELECT value ->> 'id', value ->> 'quantity', value ->> 'created_at' FROM json_each(?)`,
      params: [JSON.stringify(restocks)],
    });
  if (stock !== before)
    statements.push({
      // By differences: what the row has is what counts, and its checks decide.
      sql: `
        UPDATE inventory
           SET available = available + :available, reserved = reserved + :reserved, sold = sold + :sold,
               stocked = stocked + :stocked, updated_at = :now`,
      params: {
        available: stock.available - before.available,
        reserved: stock.reserved - before.reserved,
        sold: stock.sold - before.sold,
        stocked: stock.stocked - before.stocked,
        now,
      },
    });
  return statements;
}

function byId<T extends { readonly id: string }>(rows: readonly T[]): ReadonlyMap<string, T> {
  return new Map(rows.map((row) => [row.id, row]));
}
