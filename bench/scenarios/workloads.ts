/**
 * Statements that every engine runs alike: those of a task board, and the core workloads of YCSB
 * (https://github.com/brianfrankcooper/YCSB/wiki/Core-Workloads), with a tenth of its fields' length.
 */

/** A value that every engine knows. */
export type Value = string | number | null;

/** A statement with `?` for each value. */
export interface Statement {
  readonly sql: string;
  readonly values: readonly Value[];
}

/** A database as its users call it. What it has written is durable once `settle` resolves. */
export interface SqlEngine {
  exec(sql: string): Promise<void>;
  /** The number of rows that a query has, each of them read whole. */
  read(statement: Statement): Promise<number>;
  write(statement: Statement): Promise<void>;
  /** All or none. */
  writeTogether(statements: readonly Statement[]): Promise<void>;
  settle(): Promise<void>;
}

/** One kind of load. */
export interface Workload {
  readonly name: string;
  /** One operation; `i` counts them over the life of the database. */
  operate(engine: SqlEngine, random: () => number, i: number): Promise<void>;
}

const PROJECTS = 100;
const USERS = 100;
/** Tasks of the board, and records of YCSB, before anything is measured. */
export const ROWS = 10_000;
const FIELDS = [
  'field0',
  'field1',
  'field2',
  'field3',
  'field4',
  'field5',
  'field6',
  'field7',
  'field8',
  'field9',
];

const TABLES = [
  'CREATE TABLE users(id INTEGER PRIMARY KEY, email VARCHAR(100) NOT NULL, name VARCHAR(100) NOT NULL)',
  'CREATE TABLE projects(id INTEGER PRIMARY KEY, name VARCHAR(100) NOT NULL, owner_id INTEGER NOT NULL)',
  `CREATE TABLE tasks(id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, title VARCHAR(100) NOT NULL,
     assignee_id INTEGER, status VARCHAR(20) NOT NULL, priority INTEGER NOT NULL)`,
  'CREATE INDEX tasks_project ON tasks(project_id)',
  `CREATE TABLE usertable(ycsb_key INTEGER PRIMARY KEY, ${FIELDS.map((name) => `${name} VARCHAR(100)`).join(', ')})`,
];

/** Makes and fills the tables. */
export async function setUp(engine: SqlEngine): Promise<void> {
  for (const table of TABLES) await engine.exec(table);
  const random = randomFrom(1);
  await fill(engine, USERS, (id) => userOf(id));
  await fill(engine, PROJECTS, (id) => projectOf(id));
  await fill(engine, ROWS, (id) => insertTask(id, random));
  await fill(engine, ROWS, (key) => insertRecord(key, random));
  await engine.settle();
}

async function fill(engine: SqlEngine, count: number, make: (id: number) => Statement): Promise<void> {
  for (let first = 1; first <= count; first += 500) {
    const size = Math.min(500, count - first + 1);
    await engine.writeTogether(Array.from({ length: size }, (_, i) => make(first + i)));
  }
}

function userOf(id: number): Statement {
  return { sql: 'INSERT INTO users VALUES(?, ?, ?)', values: [id, `user${id}@example.test`, `User ${id}`] };
}

function projectOf(id: number): Statement {
  return { sql: 'INSERT INTO projects VALUES(?, ?, ?)', values: [id, `Project ${id}`, (id % USERS) + 1] };
}

function insertTask(id: number, random: () => number): Statement {
  return {
    sql: 'INSERT INTO tasks VALUES(?, ?, ?, ?, ?, ?)',
    values: [id, some(random, PROJECTS), `Task number ${id}`, some(random, USERS), 'todo', id % 5],
  };
}

function insertRecord(key: number, random: () => number): Statement {
  const fields = FIELDS.map(() => text(random));
  return { sql: `INSERT INTO usertable VALUES(?${', ?'.repeat(FIELDS.length)})`, values: [key, ...fields] };
}

const readRecord = (key: number): Statement => ({
  sql: 'SELECT * FROM usertable WHERE ycsb_key = ?',
  values: [key],
});

function updateRecord(key: number, random: () => number): Statement {
  const field = FIELDS[Math.floor(random() * FIELDS.length)] ?? '';
  return { sql: `UPDATE usertable SET ${field} = ? WHERE ycsb_key = ?`, values: [text(random), key] };
}

async function found(engine: SqlEngine, statement: Statement): Promise<void> {
  if ((await engine.read(statement)) === 0) throw new Error(`no rows for ${statement.sql}`);
}

/** Reads or writes, in the proportion of YCSB's workload. */
function mixed(name: string, reads: number, write: Workload['operate'], read = readPopular): Workload {
  return {
    name,
    operate: (engine, random, i) => (random() < reads ? read : write)(engine, random, i),
  };
}

const readPopular: Workload['operate'] = (engine, random) => found(engine, readRecord(popular(random)));
const updatePopular: Workload['operate'] = (engine, random) =>
  engine.write(updateRecord(popular(random), random));
const insertNext: Workload['operate'] = (engine, random, i) => engine.write(insertRecord(ROWS + i, random));

/** What is measured, in this order. */
export const WORKLOADS: readonly Workload[] = [
  {
    name: 'point query',
    operate: (engine, random) =>
      found(engine, { sql: 'SELECT * FROM tasks WHERE id = ?', values: [some(random, ROWS)] }),
  },
  {
    name: 'three-table join',
    operate: (engine, random) =>
      found(engine, {
        sql: `SELECT tasks.id, tasks.title, tasks.status, projects.name AS project, users.name AS assignee
                FROM tasks JOIN projects ON projects.id = tasks.project_id JOIN users ON users.id = tasks.assignee_id
               WHERE tasks.project_id = ? ORDER BY tasks.priority DESC, tasks.id LIMIT 50`,
        values: [some(random, PROJECTS)],
      }),
  },
  {
    name: 'insert',
    operate: (engine, random, i) => engine.write(insertTask(ROWS + i, random)),
  },
  {
    name: 'update by key',
    operate: (engine, random) =>
      engine.write({
        sql: 'UPDATE tasks SET status = ?, priority = priority + 1 WHERE id = ?',
        values: ['review', some(random, ROWS)],
      }),
  },
  {
    name: 'transaction of five statements',
    operate: (engine, random) =>
      engine.writeTogether(
        Array.from({ length: 5 }, (_, step) => ({
          sql: 'UPDATE tasks SET assignee_id = ?, status = ? WHERE id = ?',
          values: [some(random, USERS), `step ${step}`, some(random, ROWS)],
        })),
      ),
  },
  mixed('YCSB A: half updates', 0.5, updatePopular),
  mixed('YCSB B: 5% updates', 0.95, updatePopular),
  mixed('YCSB C: reads', 1, updatePopular),
  mixed('YCSB D: the latest, 5% inserts', 0.95, insertNext, (engine, random) =>
    found(engine, readRecord(Math.max(1, ROWS - Math.floor(ROWS ** random())))),
  ),
  mixed('YCSB E: short ranges, 5% inserts', 0.95, insertNext, (engine, random) =>
    found(engine, {
      sql: 'SELECT * FROM usertable WHERE ycsb_key >= ? ORDER BY ycsb_key LIMIT ?',
      values: [popular(random), some(random, 100)],
    }),
  ),
  mixed('YCSB F: half read, changed and written', 0.5, async (engine, random) => {
    const key = popular(random);
    await found(engine, readRecord(key));
    await engine.write(updateRecord(key, random));
  }),
];

/** How much is done under one clock. */
const ENOUGH_MS = 60;
const MOST_OPERATIONS = 4_000;

/** Where a workload goes on from: no two rounds insert the same key. */
export interface Progress {
  next: number;
  /** Operations under one clock, once it is known how long they take. */
  count: number;
}

/** µs an operation takes, until all are durable. */
export async function measure(engine: SqlEngine, workload: Workload, progress: Progress): Promise<number> {
  const random = randomFrom(progress.next + 7);
  const run = async (count: number): Promise<number> => {
    await engine.settle();
    const started = performance.now();
    for (let i = 0; i < count; i++) await workload.operate(engine, random, progress.next++);
    await engine.settle();
    return performance.now() - started;
  };
  if (progress.count === 0) {
    let [count, took] = [20, await run(20)];
    while (took < ENOUGH_MS / 4 && count < MOST_OPERATIONS) took = await run((count = count * 2));
    progress.count = Math.min(
      MOST_OPERATIONS,
      Math.max(20, Math.ceil((count * ENOUGH_MS) / Math.max(took, 1))),
    );
  }
  return ((await run(progress.count)) * 1_000) / progress.count;
}

/** Keys of which few are asked for often: near to YCSB's Zipfian distribution, in one multiplication. */
function popular(random: () => number): number {
  const rank = Math.floor(ROWS ** random());
  return ((rank * 7_919) % ROWS) + 1;
}

function some(random: () => number, count: number): number {
  return Math.floor(random() * count) + 1;
}

function text(random: () => number): string {
  return Array.from({ length: 2 }, () => random().toString(36).slice(2, 7).padEnd(5, 'x')).join('');
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}
