import { createCDC, type Database } from '../../src/index.ts';
import { attempt, picture, tableNames } from './backup.ts';
import { alter, change, schemaOf, shapeOf } from './history.ts';
import { Random } from './random.ts';

/** In the future, so that alarms that are set by this clock do not go off. */
export const START = Date.parse('2046-01-01T00:00:00.000Z');
const MINUTE = 60_000;

/** A committed state, and what the database was then. */
export interface Moment {
  readonly lsn: bigint;
  readonly ms: number;
  readonly picture: readonly string[];
}

/** A history that is the same again with the same seed: what is trimmed meanwhile has no part in it. */
export class Course {
  readonly clock = { now: START };
  readonly moments: Moment[] = [];
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  async begin(db: Database, sql: SqlStorage): Promise<void> {
    await db.exec(schemaOf(this.#random));
    await db.exec(
      "CREATE TABLE short(a TEXT, b); INSERT INTO item(id, n, name) SELECT value, value, value FROM json_each('[0, 1, 2, 3, 4, 5, 6, 7]'); " +
        "INSERT INTO word(w) VALUES ('a'), ('b'), ('5'), ('1'); INSERT INTO kv SELECT w, 1 FROM word; INSERT INTO plain SELECT id, n, name FROM item; " +
        'INSERT INTO child(id, item) SELECT id, n FROM item',
    );
    this.#note(db, sql);
  }

  /** So many steps, after which it is much later. */
  async go(db: Database, sql: SqlStorage, steps: number): Promise<void> {
    const random = this.#random;
    for (let i = 0; i < steps; i++) {
      this.clock.now += 1 + random.int(3) * 1_000;
      const names = tableNames(sql);
      // Behind the largest rowid SQLite gives random ones.
      const one = (): string =>
        change(random, shapeOf(sql, random.pick(names))).replaceAll(
          '9223372036854775807',
          '9007199254740995',
        );
      const dice = random.next();
      if (dice < 0.1) await attempt(db.exec(alter(random, shapeOf(sql, random.pick(names)))));
      else if (dice < 0.13)
        await attempt(db.exec('DROP TABLE kv; CREATE TABLE kv(k TEXT PRIMARY KEY, v, w) WITHOUT ROWID'));
      // The newest table goes: its numbers must not be given again.
      else if (dice < 0.16) await attempt(db.exec(`DROP TABLE short; CREATE TABLE short(a TEXT, b${i})`));
      else if (dice < 0.45)
        await attempt(
          db.transaction(async (tx) => {
            for (let n = random.int(6); n >= 0; n--) await attempt(tx.run(one()));
          }),
        );
      else await attempt(db.run(one()));
      this.clock.now += 1;
      this.#note(db, sql);
    }
    this.clock.now += 11 * MINUTE;
  }

  #note(db: Database, sql: SqlStorage): void {
    this.moments.push({ lsn: db.lsn(), ms: this.clock.now, picture: picture(sql, false) });
  }
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const exact = (name: string): string => `typeof(${quote(name)}) || ' ' || quote(${quote(name)})`;
const text = (value: unknown): string =>
  JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'bigint' ? `${each}n` : each instanceof Uint8Array ? [...each].join() : each,
  );

/** Whatever is said of the past, in every form; what fails says so. */
export async function interrogate(
  db: Database,
  sql: SqlStorage,
  moments: readonly Moment[],
  seed: number,
): Promise<string[]> {
  const random = new Random(seed);
  const answers: string[] = [];
  const ask = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    const answer = await work().then(text, (error: Error) => error.message);
    answers.push(`${what}: ${answer}`);
  };
  const tables = tableNames(sql).map((name) => shapeOf(sql, name));
  const point = (): Moment => random.pick(moments);
  for (let i = 0; i < 6; i++) {
    const { name, columns } = random.pick(tables);
    const { lsn, ms } = point();
    const at = random.pick([{ lsn }, ms, new Date(ms).toISOString()]);
    await ask(`${name} as of ${text(at)}`, async () => {
      const rows = await db.asOf(at).query(`SELECT * FROM ${quote(name)}`, [], { integers: 'bigint' });
      return rows.map(text).toSorted();
    });
    const clause = random.pick(['LSN ?', 'TIMESTAMP ?']);
    const value = clause === 'LSN ?' ? Number(lsn) : ms;
    await ask(
      `${name} AS OF ${clause} ${value}`,
      async () =>
        await db
          .prepare(`SELECT count(*) FROM ${quote(name)} FOR SYSTEM_TIME AS OF ${clause}`)
          .bind(value)
          .raw(),
    );
    const [low, high] = [point(), point()];
    const between = random.pick(['BETWEEN LSN ? AND ?', 'FROM LSN ? TO ?']);
    const list = columns.map(exact).join(', ');
    // What is older than what has been recalled begins with it.
    await ask(`${name} ${between} ${low.lsn} ${high.lsn}`, async () => {
      const rows = await db
        .prepare(
          `SELECT ${list}, max(_lsn_from, ${low.lsn}), _lsn_to, _valid_to FROM ${quote(name)} FOR SYSTEM_TIME ${between}`,
        )
        .bind(low.lsn, high.lsn)
        .raw();
      return rows.map(text).toSorted();
    });
    const keyed = random.pick(['item', 'word', 'kv', 'child']);
    const key = keyed === 'item' || keyed === 'child' ? random.int(12) : random.pick(['a', 'b', '5', '1']);
    await ask(`blame of ${keyed} ${key}`, () => db.blame(keyed, key));
    await ask(`history of ${keyed} ${key} since ${low.lsn}`, async () =>
      (await db.history(keyed, key, { since: { lsn: low.lsn } })).map((version) => ({
        ...version,
        lsnFrom: version.lsnFrom < low.lsn,
        validFrom: undefined,
        op: undefined,
        tx: undefined,
      })),
    );
    await ask(`history of ${keyed} ${key}`, () => db.history(keyed, key));
  }
  const { name, columns } = random.pick(tables);
  await ask(`${name} ALL`, async () => {
    const list = columns.map(exact).join(', ');
    const rows = await db
      .prepare(
        `SELECT ${list}, _lsn_from, _lsn_to, _valid_from, _valid_to FROM ${quote(name)} FOR SYSTEM_TIME ALL`,
      )
      .raw();
    return rows.map(text).toSorted();
  });
  return answers;
}

/** All that a stream gives from the beginning on, and from a point. */
export async function streamed(db: Database, from: bigint): Promise<string[]> {
  const cdc = createCDC(db);
  const found: string[] = [];
  for (let at = from; ;) {
    const { changes, lsn } = await cdc.read(at, { limit: 100 });
    found.push(...changes.map(text));
    if (changes.length === 0) return found;
    at = lsn;
  }
}

/** Runs what the alarm has to do until nothing of it is due. */
export async function alarms(db: Database, clock: { now: number }): Promise<void> {
  for (let i = 0; i < 100; i++) {
    const { ran, failed, next } = await db.alarm();
    if (failed.length > 0) throw failed[0]?.error;
    if (ran.length === 0 && (next === undefined || +next > clock.now)) return;
  }
}

/** So many days in which rows come, change and go; each day's log goes to the archive when it is over. */
export async function archivedDays(
  db: Database,
  sql: SqlStorage,
  clock: { now: number },
  count: number,
): Promise<Moment[]> {
  const days: Moment[] = [];
  await db.exec('CREATE TABLE entry(id INTEGER PRIMARY KEY, day, text TEXT)');
  for (let day = 0; day < count; day++) {
    await db.run('INSERT INTO entry(day, text) VALUES (?, ?)', [day, `first of ${day}`]);
    await db.transaction(async (tx) => {
      await tx.run('INSERT INTO entry(day, text) VALUES (?, ?)', [day, 'second']);
      await tx.run('UPDATE entry SET text = ? WHERE id = ?', [`of day ${day}`, 1 + (day % 3)]);
    });
    await db.run('DELETE FROM entry WHERE id > 3 AND id = ?', [day]);
    await db.run('INSERT INTO entry(day) VALUES (?)', [day + 0.5]);
    days.push({ lsn: db.lsn(), ms: clock.now, picture: picture(sql) });
    clock.now += 2 * 1_440 * MINUTE;
    await alarms(db, clock);
  }
  return days;
}
