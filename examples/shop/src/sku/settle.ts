/** What is asked of a SKU. Each has an id of whoever asks, under which it happens once, however often it is asked. */
export type Command =
  | {
      readonly kind: 'reserve';
      readonly id: string;
      readonly quantity: number;
      /** ISO 8601, UTC. */
      readonly expiresAt: string;
    }
  | { readonly kind: 'confirm' | 'release' | 'return' | 'expire'; readonly id: string }
  | { readonly kind: 'restock'; readonly id: string; readonly quantity: number };

/** How many units there are, and where. Invariant: `available + reserved + sold = stocked`, none below zero. */
export interface Stock {
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
  readonly stocked: number;
}

/** Units that are promised to someone, sold, or no more. */
export interface Reservation {
  readonly id: string;
  readonly quantity: number;
  readonly status: 'PENDING' | 'CONFIRMED' | 'EXPIRED' | 'RELEASED';
  readonly created_at: string;
  readonly expires_at: string;
  readonly settled_at: string | null;
}

/** Units that came, or were found missing. */
export interface Restock {
  readonly id: string;
  readonly quantity: number;
  readonly created_at: string;
}

/** Why a command was refused. */
export type Refusal = 'out-of-stock' | 'other-quantity' | 'over' | 'sold' | 'no-reservation';

/** What became of a command. */
export interface Answer {
  readonly refusal?: Refusal;
  readonly reservation?: Reservation;
  readonly available: number;
}

/** What commands are about, as it is stored. */
export interface State {
  readonly stock: Stock;
  readonly reservations: ReadonlyMap<string, Reservation>;
  readonly restocks: ReadonlyMap<string, Restock>;
}

/** What commands come to: the answers in their order, the stock after them, and the rows to be written. */
export interface Settled {
  readonly answers: readonly Answer[];
  readonly stock: Stock;
  readonly reservations: readonly Reservation[];
  readonly restocks: readonly Restock[];
}

/**
 * Plans commands one after the other, first come, first served. Nothing is read or written here, so all rules about
 * stock can be seen, and tried, at once.
 */
export function settle(state: State, commands: readonly Command[], now: string): Settled {
  let { stock } = state;
  const reservations = new Map<string, Reservation>();
  const restocks = new Map<string, Restock>();

  const move = (change: Partial<Stock>): void => {
    stock = {
      available: stock.available + (change.available ?? 0),
      reserved: stock.reserved + (change.reserved ?? 0),
      sold: stock.sold + (change.sold ?? 0),
      stocked: stock.stocked + (change.stocked ?? 0),
    };
  };
  const keep = (reservation: Reservation): Outcome => {
    reservations.set(reservation.id, reservation);
    return { reservation };
  };
  const become = (found: Reservation, status: Reservation['status']): Outcome =>
    keep({ ...found, status, settled_at: now });

  const reserve = (command: Extract<Command, { kind: 'reserve' }>, found?: Reservation): Outcome => {
    const { id, quantity, expiresAt } = command;
    if (found !== undefined) {
      if (found.status === 'EXPIRED' || found.status === 'RELEASED')
        return { refusal: 'over', reservation: found };
      return found.quantity === quantity
        ? { reservation: found }
        : { refusal: 'other-quantity', reservation: found };
    }
    if (stock.available < quantity) return { refusal: 'out-of-stock' };
    move({ available: -quantity, reserved: quantity });
    return keep({
      id,
      quantity,
      status: 'PENDING',
      created_at: now,
      expires_at: expiresAt,
      settled_at: null,
    });
  };

  const confirm = (found?: Reservation): Outcome => {
    if (found === undefined) return { refusal: 'no-reservation' };
    const { quantity, status } = found;
    if (status === 'CONFIRMED') return { reservation: found };
    if (status === 'RELEASED') return { refusal: 'over', reservation: found };
    // Who paid late gets what is still there.
    if (status === 'EXPIRED' && stock.available < quantity)
      return { refusal: 'out-of-stock', reservation: found };
    move(
      status === 'EXPIRED'
        ? { available: -quantity, sold: quantity }
        : { reserved: -quantity, sold: quantity },
    );
    return become(found, 'CONFIRMED');
  };

  /** Gives back what is reserved; what is sold only if it is `returned`. */
  const release = (id: string, found: Reservation | undefined, isReturn: boolean): Outcome => {
    if (found === undefined) {
      if (!isReturn) return { refusal: 'no-reservation' };
      // The reservation may be on its way still: now it comes too late.
      return keep({
        id,
        quantity: 0,
        status: 'RELEASED',
        created_at: now,
        expires_at: now,
        settled_at: now,
      });
    }
    const { quantity, status } = found;
    if (status === 'EXPIRED' || status === 'RELEASED') return { reservation: found };
    if (status === 'CONFIRMED' && !isReturn) return { refusal: 'sold', reservation: found };
    move(
      status === 'CONFIRMED'
        ? { available: quantity, sold: -quantity }
        : { available: quantity, reserved: -quantity },
    );
    return become(found, 'RELEASED');
  };

  const expire = (found?: Reservation): Outcome => {
    if (found === undefined) return { refusal: 'no-reservation' };
    if (found.status !== 'PENDING' || found.expires_at > now) return { reservation: found };
    move({ available: found.quantity, reserved: -found.quantity });
    return become(found, 'EXPIRED');
  };

  const restock = (id: string, quantity: number): Outcome => {
    const found = restocks.get(id) ?? state.restocks.get(id);
    if (found !== undefined) return found.quantity === quantity ? {} : { refusal: 'other-quantity' };
    if (stock.available + quantity < 0) return { refusal: 'out-of-stock' };
    move({ available: quantity, stocked: quantity });
    restocks.set(id, { id, quantity, created_at: now });
    return {};
  };

  const outcomeOf = (command: Command): Outcome => {
    const { id } = command;
    if (command.kind === 'restock') return restock(id, command.quantity);
    const found = reservations.get(id) ?? state.reservations.get(id);
    if (command.kind === 'reserve') return reserve(command, found);
    if (command.kind === 'confirm') return confirm(found);
    if (command.kind === 'expire') return expire(found);
    return release(id, found, command.kind === 'return');
  };

  const answers = commands.map((command): Answer => {
    const outcome = outcomeOf(command);
    return { ...outcome, available: stock.available };
  });
  return { answers, stock, reservations: [...reservations.values()], restocks: [...restocks.values()] };
}

type Outcome = Omit<Answer, 'available'>;
