import type { Cdc } from '@dotdo/cdc';
import type { Database, Point } from '@dotdo/dosql';
import { errorResponse, notFound } from '@dotdo/example-shared/http';
import { outsideHistory, rowsAt } from '@dotdo/example-shared/past';
import { Stored } from '../stored.ts';
import { expiredIds, nextDue, prune } from './due.ts';
import { GroupWriter } from './group-writer.ts';
import { movements, type MovementQuery } from './history.ts';
import { INVENTORY, stateFor, statementsFor, type InventoryRow } from './rows.ts';
import { settle, type Answer, type Command, type Reservation } from './settle.ts';
import { openStreams, startDeliveries } from './streams.ts';

/** What became of a command, or why nothing did: nobody has such a SKU, or too many ask at once. */
export type SkuAnswer = Answer | { readonly refusal: 'no-sku' | 'busy'; readonly available: 0 };

const NO_SKU = { refusal: 'no-sku', available: 0 } as const;
const BUSY = { refusal: 'busy', available: 0 } as const;

/**
 * The stock of one SKU.
 *
 * Every change goes through one writer, in the order of arrival: read what it is about, plan, write, all in one
 * transaction for as many commands as have come meanwhile. Nothing is kept in memory but the queue.
 */
export class Sku extends Stored {
  protected override readonly folder = 'sku';
  protected override readonly options = { history: { keep: '30d' } };
  readonly #writer = new GroupWriter((commands: readonly Command[]) => this.#commit(commands));
  #cdc: Cdc | undefined;
  /** A time at or before which the timer that tends to reservations is sure to run. */
  #armedFor: string | undefined;

  /** Promises units to whoever asks, for so long. */
  reserve(id: string, quantity: number, expiresAt: string): Promise<SkuAnswer> {
    return this.#submit({ kind: 'reserve', id, quantity, expiresAt });
  }

  /** Sells what is reserved. */
  confirm(id: string): Promise<SkuAnswer> {
    return this.#submit({ kind: 'confirm', id });
  }

  /** Lets go of what is reserved. */
  release(id: string): Promise<SkuAnswer> {
    return this.#submit({ kind: 'release', id });
  }

  /** Takes back what is reserved or sold under this id; nothing will be, even if it is asked for later. */
  giveBack(id: string): Promise<SkuAnswer> {
    return this.#submit({ kind: 'return', id });
  }

  /** Puts units into stock, or takes some out of it; makes the SKU if there is none. */
  async restock(sku: string, productName: string, id: string, quantity: number): Promise<SkuAnswer> {
    const db = await this.create(sku);
    await db.run(
      `INSERT INTO inventory (sku, product_name, available, reserved, sold, stocked, updated_at)
       VALUES (:sku, :productName, 0, 0, 0, 0, :now)
           ON CONFLICT (sku) DO UPDATE SET product_name = excluded.product_name
        WHERE product_name <> excluded.product_name`,
      { sku, productName, now: new Date() },
    );
    return this.#submit({ kind: 'restock', id, quantity });
  }

  /** The stock now, or as it was. */
  status(asOf?: Point): Promise<Response> {
    return this.answer('SKU', async (db) => {
      const [stock] = await rowsAt<InventoryRow>(db, asOf, INVENTORY);
      if (stock === undefined) throw notFound('SKU at that time');
      return { ...stock, lsn: db.lsn() };
    });
  }

  /** What has happened to the stock, after an LSN. */
  history(query: MovementQuery): Promise<Response> {
    return this.answer('SKU', async (db) => {
      try {
        return await movements(db, this.#cdc as Cdc, query);
      } catch (error) {
        throw await outsideHistory(db, error);
      }
    });
  }

  /** Opens a socket that follows the stock; the Worker has seen a token. */
  override async fetch(request: Request): Promise<Response> {
    try {
      if ((await this.existing()) === undefined) throw notFound('SKU');
      return await (this.#cdc as Cdc).fetch(request);
    } catch (error) {
      return errorResponse(error);
    }
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    if (await this.existing()) this.#cdc?.webSocketMessage(socket, message);
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    if (await this.existing()) this.#cdc?.webSocketClose(socket);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    await this.webSocketClose(socket);
  }

  protected override async wake(db: Database): Promise<void> {
    db.onTimer('expire', () => this.#tend(db));
    this.#cdc ??= openStreams(db, this.ctx, this.env);
    await startDeliveries(this.#cdc, this.env);
  }

  async #submit(command: Command): Promise<SkuAnswer> {
    if (!this.isCreated) return NO_SKU;
    return (await this.#writer.submit(command)) ?? BUSY;
  }

  async #commit(commands: readonly Command[]): Promise<readonly SkuAnswer[]> {
    const db = await this.existing();
    const state = db && (await stateFor(db, commands));
    if (db === undefined || state === undefined) return commands.map(() => NO_SKU);
    const now = new Date().toISOString();
    const settled = settle(state, commands, now);
    const statements = statementsFor(state.stock, settled, now);
    if (statements.length === 0) return settled.answers;
    const firstExpiry = firstPending(settled.reservations);
    if (firstExpiry !== undefined) await this.#arm(db, firstExpiry);
    await db.batch(statements);
    return settled.answers;
  }

  /**
   * Sees to it that the timer runs when a reservation that is about to be written expires. It is set before, so that
   * there is none without it, wherever the object ends; that it may run for nothing does no harm.
   */
  async #arm(db: Database, expiresAt: string): Promise<void> {
    if (this.#armedFor !== undefined && this.#armedFor <= expiresAt) return;
    const due = await nextDue(db);
    const next = due !== undefined && due < expiresAt ? due : expiresAt;
    await db.schedule('expire', new Date(next));
    this.#armedFor = next;
  }

  /**
   * Lets go of what has expired, forgets what was settled long ago, and sets the timer for what is due next. Running
   * twice does nothing twice.
   */
  #tend(db: Database): Promise<void> {
    return this.#writer.alone(async () => {
      const now = new Date();
      const expired = await expiredIds(db, now);
      if (expired.length > 0) await this.#commit(expired.map((id) => ({ kind: 'expire', id })));
      await prune(db, now);
      this.#armedFor = await nextDue(db);
      if (this.#armedFor !== undefined) await db.schedule('expire', new Date(this.#armedFor));
    });
  }
}

function firstPending(reservations: readonly Reservation[]): string | undefined {
  const times = reservations.filter(({ status }) => status === 'PENDING').map(({ expires_at }) => expires_at);
  return times.length === 0 ? undefined : times.reduce((first, time) => (time < first ? time : first));
}
