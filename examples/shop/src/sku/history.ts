import type { Cdc, Change } from '@dotdo/cdc';
import type { Database } from '@dotdo/dosql';

/** Which movements of stock to tell. */
export interface MovementQuery {
  /** An LSN: those after it; by default as far back as the history is kept. */
  readonly after?: number | undefined;
  /** About how many, at most. */
  readonly limit: number;
  readonly operation?: Operation | undefined;
}

/** What can happen to stock. */
export const OPERATIONS = ['RESERVE', 'CONFIRM', 'RELEASE', 'EXPIRE', 'RESTOCK', 'ADJUST'] as const;
type Operation = (typeof OPERATIONS)[number];

const OPERATION_OF: Readonly<Record<string, Operation>> = {
  PENDING: 'RESERVE',
  CONFIRMED: 'CONFIRM',
  RELEASED: 'RELEASE',
  EXPIRED: 'EXPIRE',
};

/**
 * What has happened to the stock, oldest first. There is no table of it: the database's own log has every change of
 * every row, so no code can forget to write one.
 */
export async function movements(db: Database, cdc: Cdc, { after, limit, operation }: MovementQuery) {
  const from = after ?? (await db.earliest()).lsn;
  const { changes, lsn } = await cdc.read(from, { tables: ['reservations', 'restocks'], limit });
  // What came back before it was reserved has moved nothing, nor has what is forgotten.
  const all = changes
    .filter(({ op }) => op !== 'delete')
    .map(movementOf)
    .filter(({ quantity }) => quantity !== 0);
  return {
    movements: all.filter((movement) => (operation ?? movement.operation) === movement.operation),
    lsn,
  };
}

function movementOf({ table, key, after, lsn, timestamp }: Change) {
  const quantity = Number(after?.['quantity']);
  const operation: Operation | undefined =
    table === 'restocks' ? (quantity > 0 ? 'RESTOCK' : 'ADJUST') : OPERATION_OF[String(after?.['status'])];
  return { lsn, at: timestamp, operation, quantity, reference: key['id'] };
}
