import type { Database } from '../../src/index.ts';

/** Something to do that must be done wholly or not at all, and what there is before it. */
export interface Scenario {
  readonly name: string;
  readonly prepare: (db: Database) => Promise<void>;
  readonly run: (db: Database) => Promise<unknown>;
  /** What doing it again fails with. */
  readonly again?: string;
  /** It changes nothing that can be read. */
  readonly isHidden?: boolean;
  /** What no table, and no past of any, may hold afterwards. */
  readonly erased?: string;
}

/** The tables that any scenario has, at any time. */
export const TABLES: readonly string[] = [
  'team',
  'member',
  "it's a pair",
  'loose',
  'journal',
  'extra',
  'paid',
];

const PAIR = `"it's a pair"`;

const SCHEMA = `
  CREATE TABLE team(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, note TEXT);
  CREATE TABLE member(id INTEGER PRIMARY KEY AUTOINCREMENT, team INTEGER REFERENCES team(id) ON DELETE CASCADE, name TEXT, pay REAL);
  CREATE INDEX member_team ON member(team);
  CREATE TABLE ${PAIR}(a TEXT, b INTEGER, v BLOB, PRIMARY KEY(a, b)) WITHOUT ROWID;
  CREATE TABLE loose(x, y);
  CREATE TABLE journal(id INTEGER PRIMARY KEY, what TEXT);
  CREATE TRIGGER member_pay AFTER UPDATE OF pay ON member BEGIN
    INSERT INTO journal(what) VALUES(NEW.name || ' gets ' || NEW.pay);
  END;
  CREATE VIEW paid AS SELECT t.name AS team, sum(m.pay) AS pay FROM team AS t JOIN member AS m ON m.team = t.id GROUP BY t.id;
  INSERT INTO team VALUES(1, 'red', 'secret'), (2, 'blue', NULL), (3, 'green', 'x'), (4, 'grey', '');
  INSERT INTO member(team, name, pay) VALUES(1, 'ann', 1.5), (1, 'bob', 2), (2, 'cy', 3.25), (3, 'dee', 4.75), (3, 'eve', 5), (4, 'zoë', 6);
  INSERT INTO ${PAIR} VALUES('p', 1, x'00ff'), ('p', 2, 'text'), ('q', 1, NULL), ('q', 2, 0.1);
  INSERT INTO loose VALUES(1, 'a'), (1, 'a'), (2, NULL), (3, x'01');
`;

/** Changes of all tables, a cascade and a trigger among them. */
const ON_BRANCH = `
  UPDATE member SET pay = pay + 1 WHERE id % 2 = 0;
  DELETE FROM team WHERE id = 2;
  INSERT INTO member(team, name, pay) VALUES(1, 'new on b', 7);
  UPDATE ${PAIR} SET v = 'b' WHERE b = 1;
  INSERT INTO loose VALUES(9, 'b');
`;

/** Changes that go together with those of the branch. */
const ON_MAIN = `
  UPDATE team SET note = 'main' WHERE id IN (1, 4);
  UPDATE ${PAIR} SET v = 'main' WHERE b = 2;
  DELETE FROM loose WHERE x = 2;
  INSERT INTO team VALUES(5, 'white', 'new on main');
`;

async function schema(db: Database): Promise<void> {
  await db.exec(SCHEMA);
}

async function branched(db: Database): Promise<void> {
  await schema(db);
  await db.branch('b');
}

async function written(db: Database): Promise<void> {
  await schema(db);
  await (await db.branch('b')).exec(ON_BRANCH);
}

async function diverged(db: Database): Promise<void> {
  await written(db);
  await db.exec(ON_MAIN);
}

async function inConflict(db: Database): Promise<void> {
  await diverged(db);
  await db.exec("UPDATE member SET pay = -1 WHERE id IN (2, 4); UPDATE team SET note = 'kept' WHERE id = 3");
  await (await db.checkout('b')).run("UPDATE team SET note = 'conflicting' WHERE id = 3");
}

async function merged(db: Database): Promise<void> {
  await inConflict(db);
  await db.merge('b');
}

async function on(db: Database, branch: string, sql: string): Promise<void> {
  await (await db.checkout(branch)).exec(sql);
}

export const SCENARIOS: readonly Scenario[] = [
  { name: 'make the first branch', prepare: schema, run: (db) => db.branch('b'), again: 'BRANCH_EXISTS' },
  {
    name: 'make a branch of the past',
    prepare: diverged,
    run: (db) => db.branch('c', { from: { lsn: Number(db.lsn()) - 3 } }),
    again: 'BRANCH_EXISTS',
  },
  {
    name: 'make a branch of a branch',
    prepare: diverged,
    run: (db) => db.branch('c', { from: 'b' }),
    again: 'BRANCH_EXISTS',
  },
  {
    name: 'write to a branch for the first time',
    prepare: branched,
    run: (db) => on(db, 'b', 'DELETE FROM team WHERE id = 1'),
  },
  {
    name: 'write to a branch for the first time, after main',
    prepare: async (db) => {
      await branched(db);
      await db.exec(ON_MAIN);
    },
    run: (db) =>
      on(
        db,
        'b',
        "UPDATE member SET name = upper(name) WHERE team IN (SELECT id FROM team WHERE note = 'secret')",
      ),
  },
  {
    name: 'write to a branch of a branch',
    prepare: async (db) => {
      await diverged(db);
      await db.branch('c', { from: 'b' });
    },
    run: (db) => on(db, 'c', ON_BRANCH),
  },
  {
    name: 'write in a transaction that waits',
    prepare: diverged,
    run: async (db) =>
      (await db.checkout('b')).transaction(async (tx) => {
        await tx.run("UPDATE team SET note = 'tx'");
        await tx.run("INSERT INTO journal(what) VALUES('tx')");
        await tx.exec('DELETE FROM team WHERE id = 3');
      }),
  },
  {
    name: 'catch up with main',
    prepare: diverged,
    run: async (db) => (await db.checkout('b')).query('SELECT count(*) FROM member'),
    isHidden: true,
  },
  {
    name: 'alter a table on a branch',
    prepare: diverged,
    run: (db) =>
      on(
        db,
        'b',
        "ALTER TABLE member ADD COLUMN extra TEXT DEFAULT 'd'; CREATE INDEX extra ON member(extra)",
      ),
    again: 'SQLITE',
  },
  {
    name: 'alter a table on main under a branch',
    prepare: diverged,
    run: (db) => db.exec('ALTER TABLE member RENAME COLUMN name TO called'),
    again: 'NO_SUCH_COLUMN',
  },
  {
    name: 'drop a table on main under a branch',
    prepare: diverged,
    run: (db) => db.exec('DROP TABLE member'),
    again: 'NO_SUCH_TABLE',
  },
  {
    name: 'drop a branch',
    prepare: async (db) => {
      await diverged(db);
      await on(
        db,
        'b',
        "ALTER TABLE loose ADD COLUMN z DEFAULT 'd'; CREATE TABLE extra(id INTEGER PRIMARY KEY)",
      );
    },
    run: (db) => db.dropBranch('b'),
    again: 'NO_SUCH_BRANCH',
  },
  { name: 'merge rows', prepare: diverged, run: (db) => db.merge('b') },
  {
    name: 'merge while a transaction of the platform is open',
    prepare: diverged,
    run: async (db) => {
      await db.run('UPDATE journal SET what = what WHERE FALSE');
      return db.merge('b');
    },
  },
  {
    name: 'merge main into a branch',
    prepare: diverged,
    run: (db) => db.merge('main', { into: 'b' }),
  },
  {
    name: 'merge definitions',
    prepare: async (db) => {
      await diverged(db);
      await on(
        db,
        'b',
        "ALTER TABLE team ADD COLUMN colour TEXT DEFAULT 'd'; UPDATE team SET colour = name; CREATE TABLE extra(id INTEGER PRIMARY KEY, v); INSERT INTO extra VALUES(1, x'00'); CREATE INDEX team_colour ON team(colour); DROP TRIGGER member_pay",
      );
      await db.exec("ALTER TABLE member ADD COLUMN since TEXT DEFAULT 'd'");
    },
    run: (db) => db.merge('b'),
  },
  { name: 'keep the conflicts of a merge', prepare: inConflict, run: (db) => db.merge('b') },
  {
    name: 'merge in spite of conflicts',
    prepare: inConflict,
    run: (db) => db.merge('b', { strategy: 'theirs' }),
  },
  {
    name: 'settle conflicts',
    prepare: merged,
    run: (db) => db.resolve('member', 'all', 'theirs'),
  },
  {
    name: 'merge after conflicts were settled',
    prepare: async (db) => {
      await merged(db);
      await db.resolve('member', 2, { pay: 22 });
      await db.resolve('member', 4, 'ours');
      await db.resolve('team', 'all', 'theirs');
      await db.resolve('journal', 'all', 'ours');
    },
    run: (db) => db.merge('b'),
  },
  {
    name: 'restore main',
    prepare: async (db) => {
      await diverged(db);
      await db.exec('DELETE FROM team; UPDATE loose SET y = 1');
    },
    run: (db) => db.restore({ before: db.lsn() }),
  },
  {
    name: 'restore a table that was dropped',
    prepare: async (db) => {
      await diverged(db);
      await db.exec(
        'DROP TABLE member; CREATE TABLE extra(id INTEGER PRIMARY KEY, v); INSERT INTO extra VALUES(1, 2)',
      );
    },
    run: (db) => db.restore({ before: db.lsn() }),
  },
  {
    name: 'purge rows and their past',
    prepare: async (db) => {
      await branched(db);
      await db.exec("UPDATE team SET note = 'known' WHERE id = 1; UPDATE member SET pay = 0");
    },
    run: (db) => db.purge('team', { where: "note = 'secret'" }),
    erased: 'secret',
  },
  {
    name: 'purge the past',
    prepare: async (db) => {
      await diverged(db);
      await db.merge('b');
      await db.dropBranch('b');
      await db.exec("UPDATE loose SET y = 'now'");
    },
    run: async (db) => db.purge('loose', { before: { lsn: db.lsn() } }),
    isHidden: true,
  },
  {
    name: 'revert a transaction',
    prepare: async (db) => {
      await schema(db);
      await db.exec(ON_MAIN);
    },
    run: (db) => db.revert(db.lsn()),
  },
];

/** The control: done without a transaction, around an await. */
export const CARELESS: Scenario = {
  name: 'careless',
  prepare: branched,
  run: async (db) => {
    await on(db, 'b', "UPDATE team SET note = 'b'");
    await scheduler.wait(20);
    await db.run("UPDATE team SET note = 'main'");
  },
};

/** What a database with branches goes through, step by step; any of its objects may take any step. */
export const STEPS: readonly ((db: Database) => Promise<unknown>)[] = [
  schema,
  (db) => db.branch('b'),
  (db) => on(db, 'b', ON_BRANCH),
  (db) => db.exec(ON_MAIN),
  (db) => on(db, 'b', 'SELECT * FROM paid'),
  (db) =>
    db.exec(
      "UPDATE member SET name = name || '!'; INSERT INTO loose VALUES(4, 'main'); DELETE FROM team WHERE id = 4",
    ),
  (db) => db.branch('c', { from: 'b' }),
  (db) => on(db, 'c', "UPDATE team SET note = 'c' WHERE id = 1; INSERT INTO team VALUES(7, 'seven', 'c')"),
  (db) => db.exec(`UPDATE ${PAIR} SET v = 'later'; UPDATE team SET name = upper(name)`),
  (db) => on(db, 'b', 'SELECT * FROM team; SELECT * FROM member'),
  (db) => on(db, 'c', 'UPDATE member SET pay = pay * 2; DELETE FROM loose WHERE x = 1'),
  (db) => on(db, 'b', "ALTER TABLE loose ADD COLUMN z TEXT DEFAULT 'd'; INSERT INTO loose VALUES(5, 5, 5)"),
  (db) => db.exec("ALTER TABLE team ADD COLUMN size INTEGER DEFAULT 'd'; UPDATE team SET size = 1"),
  (db) => db.merge('c', { into: 'b', strategy: 'theirs' }),
  (db) => db.merge('b'),
  (db) => db.resolve('team', 'all', 'ours').catch(() => {}),
  (db) => db.merge('b', { strategy: 'ours' }),
  (db) => db.dropBranch('c'),
  (db) => db.branch('d', { from: { lsn: Number(db.lsn()) - 5 } }),
  (db) => on(db, 'd', ON_BRANCH),
  (db) => db.merge('main', { into: 'd', strategy: 'ours' }),
  (db) => db.merge('d', { into: 'b', strategy: 'theirs' }),
  (db) => on(db, 'd', 'SELECT * FROM member'),
];
