import { DB, type Database } from '../../src/index.ts';
import { Base } from './base.ts';
import { CARELESS, SCENARIOS, STEPS, TABLES, type Scenario } from './branch-scenarios.ts';
import { SPINNING, watched, type PointKind, type Points, type Stop } from './breakable.ts';

/** What an object's storage holds, but for times. */
export interface Stored {
  readonly schema: readonly (readonly [type: string, name: string, table: string, sql: string | null])[];
  readonly tables: Readonly<Record<string, readonly Readonly<Record<string, string>>[]>>;
}

/** What can be read of a database. */
export interface Observed {
  readonly branches: unknown;
  readonly rows: Readonly<Record<string, readonly string[]>>;
  readonly conflicts: unknown;
  readonly pragmas: readonly unknown[];
}

/** Objects that hang, by what their requests call them; it belongs to the process. */
const hanging: string[] = [];
/** Columns of DoSQL's own tables that differ from one time to the next. */
const VOLATILE = new Set(['at', 'created_at', 'applied_at', 'duration_ms', 'version']);

/** An object that does one of the scenarios. */
export class Branched extends Base {
  #db: Promise<Database> | undefined;
  #points: Points = { await: 0, statement: 0 };
  #stop: Stop | undefined;
  #called = '';
  readonly #storage = watched(this.ctx.storage, {
    awaiting: () => this.#awaiting(),
    statement: () => {
      if (this.#isStop('statement')) this.#end();
    },
  });

  #open(): Promise<Database> {
    return (this.#db ??= DB('branched', { storage: this.#storage }));
  }

  override async alarm(): Promise<void> {
    await (await this.#open()).alarm();
  }

  async prepare({ scenario }: { scenario: string }): Promise<{ ok: true }> {
    await named(scenario).prepare(await this.#open());
    return { ok: true };
  }

  /** Does it; `stop` says where to stop, `called` who. */
  async run({
    scenario,
    stop,
    called,
  }: {
    scenario: string;
    stop?: Stop;
    called?: string;
  }): Promise<unknown> {
    const db = await this.#open();
    this.#points = { await: 0, statement: 0 };
    this.#stop = stop;
    this.#called = called ?? '';
    try {
      await named(scenario).run(db);
    } finally {
      this.#stop = undefined;
    }
    return { ok: true, points: this.#points };
  }

  /** Takes one of the steps. */
  async step({ index }: { index: number }): Promise<unknown> {
    await STEPS[index]?.(await this.#open());
    return { ok: true };
  }

  /** Ends the object: its next request finds a new one. */
  async evict(): Promise<never> {
    this.ctx.abort('evicted');
    throw new Error('it goes on');
  }

  /** The objects that hang by now. */
  async hanging(): Promise<string[]> {
    return hanging;
  }

  /** What is stored, read without DoSQL. */
  async stored(): Promise<Stored> {
    const { sql } = this.ctx.storage;
    const schema = [
      ...sql
        .exec(
          "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\' ORDER BY rowid",
        )
        .raw(),
    ] as unknown as Stored['schema'];
    const names = schema.filter(([type]) => type === 'table').map(([, name]) => name);
    const tables = names.map((name) => {
      const columns = [...sql.exec('SELECT name FROM pragma_table_xinfo(?)', name).raw()].flat() as string[];
      const values = columns
        .filter((column) => !name.startsWith('__dosql_') || !VOLATILE.has(column))
        .map((column) => `quote(${quoted(column)}) AS ${quoted(column)}`);
      const where = name === '__dosql_meta' ? " WHERE key <> 'trimmed_at'" : '';
      return [name, sql.exec(`SELECT ${values.join(', ')} FROM ${quoted(name)}${where}`).toArray()] as const;
    });
    return { schema, tables: Object.fromEntries(tables) as unknown as Stored['tables'] };
  }

  /** What can be read on main and on each branch. */
  async observed(): Promise<Observed> {
    const db = await this.#open();
    const lines = ['main', ...(await db.branches()).map(({ name }) => name)];
    const rows: Record<string, string[]> = {};
    for (const line of lines) {
      const handle = await db.checkout(line);
      for (const table of TABLES)
        rows[`${line}: ${table}`] = await handle
          .query(`SELECT * FROM ${quoted(table)}`, [], { integers: 'bigint' })
          .then((found) => found.map(print).toSorted())
          .catch((error: unknown) => [String(error)]);
    }
    const pragmas = ['foreign_keys', 'recursive_triggers', 'defer_foreign_keys', 'legacy_alter_table'].map(
      (name) => [...this.ctx.storage.sql.exec(`PRAGMA ${name}`).raw()],
    );
    return JSON.parse(
      print({
        rows,
        // How many rows a branch has of its own is known once it has caught up with main, as reading makes it do.
        branches: (await db.branches()).map(({ createdAt: _, ...branch }) => branch),
        conflicts: await Promise.all(lines.map((name) => db.conflicts(name))),
        pragmas,
      }),
    ) as Observed;
  }

  /** Whether main and every branch refuse a row that refers to none. */
  async refusals(): Promise<(string | undefined)[]> {
    const db = await this.#open();
    const lines = ['main', ...(await db.branches()).map(({ name }) => name)];
    const refusals: (string | undefined)[] = [];
    for (const line of lines) {
      const handle = await db.checkout(line);
      refusals.push(
        await handle.run('INSERT INTO member(team, pay) VALUES(99, 0)').then(
          () => 'taken',
          (error: { code?: string }) => error.code,
        ),
      );
    }
    return refusals;
  }

  #isStop(kind: PointKind): boolean {
    this.#points[kind]++;
    return this.#stop?.kind === kind && this.#points[kind] === this.#stop.at;
  }

  async #awaiting(): Promise<void> {
    if (!this.#isStop('await')) return;
    if (this.#stop?.how !== 'hang') return this.#end();
    hanging.push(this.#called);
    // Without a timer the platform would find out that nothing can come of it, and end it.
    await scheduler.wait(600_000);
  }

  #end(): void {
    if (this.#stop?.how === 'abort') return this.ctx.abort('meant to end');
    console.error(SPINNING);
    for (;;);
  }
}

function named(name: string): Scenario {
  const scenario = [...SCENARIOS, CARELESS].find((scenario) => scenario.name === name);
  if (scenario === undefined) throw new Error(`there is no scenario "${name}"`);
  return scenario;
}

function print(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === 'bigint') return `${part}n`;
    return part instanceof Uint8Array ? `x${[...part].join()}` : part;
  });
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
