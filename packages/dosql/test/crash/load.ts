import { records } from './replay.ts';
import type { Dump, Op, Reply } from './worker.ts';
import type { Workerd } from './workerd.ts';

/** Numbers from a seed: mulberry32 (public domain, Tommy Ettinger). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return low + (((t ^ (t >>> 14)) >>> 0) % (high - low + 1));
  }
}

interface Item {
  n: number;
  readonly title: string;
  readonly parts: number[];
}

/** What a client has been told is stored. */
interface State {
  readonly items: Map<number, Item>;
  readonly transfers: string[];
}

type Statement = { sql: string; params: (string | number)[] };

/**
 * A client that writes to a ledger, one request at a time, rows that are its own, and knows what the ledger
 * must therefore hold: all that was acknowledged, and the one request that was not, wholly or not at all.
 */
export class Client {
  readonly ledger: string;
  readonly #owner: number;
  readonly #random: Random;
  #state: State = { items: new Map(), transfers: [] };
  #unknown: State | undefined;
  readonly #timers: string[] = [];
  #next = 0;
  acks = 0;
  acknowledgedLsn = 0;

  constructor(ledger: string, owner: number, random: Random) {
    this.ledger = ledger;
    this.#owner = owner;
    this.#random = random;
  }

  /** Writes until the process is gone. Returns what the ledger refused without having been asked to. */
  async write(workerd: Workerd, level: number): Promise<string[]> {
    const refused: string[] = [];
    for (;;) {
      const { op, state } = this.#choose();
      const fails = op.kind === 'transaction' && op.fails;
      this.#unknown = fails ? undefined : state;
      let answer;
      try {
        answer = await workerd.ask<Reply>('Ledger', this.ledger, 'op', { op, level });
      } catch {
        return refused;
      }
      const { ok, code, message, lsn } = answer.body;
      if (ok === fails || (fails && code !== 'CONSTRAINT_TRIGGER')) {
        refused.push(`${JSON.stringify(op)}: ${answer.status} ${message ?? JSON.stringify(answer.body)}`);
        return refused;
      }
      this.acks++;
      this.#unknown = undefined;
      if (!ok) continue;
      this.#state = state;
      this.acknowledgedLsn = Math.max(this.acknowledgedLsn, lsn ?? 0);
      if (op.kind === 'schedule') this.#timers.push(op.name);
    }
  }

  /** What `dump` lacks, or has beyond what was asked for. */
  check(dump: Dump): string[] {
    const wrong: string[] = [];
    const found = this.#find(dump);
    const acknowledged = print(this.#state);
    const asked = this.#unknown === undefined ? acknowledged : print(this.#unknown);
    if (print(found) !== acknowledged && print(found) !== asked)
      wrong.push(
        `client ${this.#owner} finds ${print(found)}, was told ${acknowledged}, had asked for ${asked}`,
      );
    this.#state = found;
    this.#unknown = undefined;
    const end = dump.tables['__dosql_log']?.rows.length ?? 0;
    if (this.acknowledgedLsn > end)
      wrong.push(`LSN ${this.acknowledgedLsn} was acknowledged, the log ends with ${end}`);
    const kept = new Set(records(dump, '__dosql_timer').map(({ name }) => name));
    const fired = new Set(records(dump, 'fired').map(({ name }) => String(name).slice(1, -1)));
    for (const name of this.#timers)
      if (!kept.has(name) && !fired.has(name)) wrong.push(`timer ${name} is neither set nor has it run`);
    return wrong;
  }

  #choose(): { op: Op; state: State } {
    const { items, transfers } = this.#state;
    const state: State = {
      items: new Map([...items].map(([id, item]) => [id, { ...item }])),
      transfers: [...transfers],
    };
    const way = this.#random.between(0, 9);
    const ids = [...items.keys()];
    if (way === 0) {
      const inMs = this.#random.between(0, 1) === 0 ? 30 : 3_600_000;
      return {
        op: { kind: 'schedule', name: `t:${this.#owner}:${this.#next++}`, inMs, payload: 'p' },
        state,
      };
    }
    if (way === 1 && ids.length > 0) {
      for (const item of state.items.values()) item.n++;
      const update = { sql: 'UPDATE item SET n = n + 1 WHERE owner = ?', params: [this.#owner] };
      return { op: { kind: 'run', statements: [update] }, state };
    }
    if (way === 2 && ids.length > 3) {
      const some = ids.filter(() => this.#random.between(0, 1) === 0);
      for (const id of some) state.items.delete(id);
      const remove = {
        sql: 'DELETE FROM item WHERE id IN (SELECT value FROM json_each(?))',
        params: [JSON.stringify(some)],
      };
      return { op: { kind: 'run', statements: [remove] }, state };
    }
    if (way === 3) return { op: { kind: 'run', statements: [this.#insert(state)] }, state };
    const statements = [this.#insert(state), ...this.#parts(state), ...this.#transfer(state)];
    if (way < 7) return { op: { kind: 'batch', statements }, state };
    const fails = this.#random.between(0, 3) === 0;
    return {
      op: { kind: 'transaction', statements, waitMs: this.#random.between(0, 2), fails },
      state: fails ? this.#state : state,
    };
  }

  #insert({ items }: State): Statement {
    const id = this.#owner * 100_000 + this.#next++;
    const item = { n: this.#random.between(0, 1_000), title: `it's ${id}`, parts: [] };
    items.set(id, item);
    return {
      sql: 'INSERT INTO item(id, owner, n, title) VALUES(?, ?, ?, ?)',
      params: [id, this.#owner, item.n, item.title],
    };
  }

  #parts({ items }: State): Statement[] {
    const [id, item] = [...items].at(-1) as [number, Item];
    return Array.from({ length: this.#random.between(1, 3) }, () => {
      item.parts.push(this.#random.between(1, 99) / 2);
      return {
        sql: 'INSERT INTO part(item, qty) VALUES(?, ?)',
        params: [id, item.parts.at(-1) as number],
      };
    });
  }

  #transfer({ transfers }: State): Statement[] {
    const [source, target, amount] = [
      this.#random.between(1, 10),
      this.#random.between(1, 10),
      this.#random.between(1, 50),
    ];
    transfers.push(`${source}>${target}:${amount}`);
    const change = 'UPDATE account SET balance = balance + ? WHERE id = ?';
    return [
      { sql: change, params: [-amount, source] },
      { sql: change, params: [amount, target] },
      {
        sql: 'INSERT INTO transfer VALUES(?, ?, ?, ?, ?)',
        params: [this.#owner, transfers.length, source, target, amount],
      },
    ];
  }

  #find(dump: Dump): State {
    const items = new Map<number, Item>();
    for (const { id, owner, n, title } of records(dump, 'item'))
      if (Number(owner) === this.#owner)
        items.set(Number(id), {
          n: Number(n),
          title: String(title).slice(1, -1).replaceAll("''", "'"),
          parts: [],
        });
    for (const { item, qty } of records(dump, 'part')) items.get(Number(item))?.parts.push(Number(qty));
    const transfers = records(dump, 'transfer')
      .filter(({ owner }) => Number(owner) === this.#owner)
      .toSorted((a, b) => Number(a['seq']) - Number(b['seq']))
      .map(({ source, target, amount }) => `${source}>${target}:${amount}`);
    return { items, transfers };
  }
}

/** Accounts must hold what the transfers say, all clients' together. */
export function checkBalances(dump: Dump): string[] {
  const balances = new Map(records(dump, 'account').map(({ id }) => [Number(id), 100]));
  const add = (id: unknown, amount: number): void => {
    balances.set(Number(id), (balances.get(Number(id)) ?? 0) + amount);
  };
  for (const { source, target, amount } of records(dump, 'transfer')) {
    add(source, -Number(amount));
    add(target, Number(amount));
  }
  return records(dump, 'account')
    .filter(({ id, balance }) => balances.get(Number(id)) !== Number(balance))
    .map(
      ({ id, balance }) => `account ${id} holds ${balance}, its transfers make ${balances.get(Number(id))}`,
    );
}

function print({ items, transfers }: State): string {
  const sorted = [...items]
    .toSorted(([a], [b]) => a - b)
    .map(([id, { n, title, parts }]) => [id, n, title, parts.toSorted((a, b) => a - b)]);
  return JSON.stringify([sorted, transfers]);
}
