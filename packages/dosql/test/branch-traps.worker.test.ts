import { describe, expect, it } from 'vitest';
import { DoSQLError, type Database } from '../src/index.ts';
import { failure, withDatabase } from './support/database.ts';

/**
 * What each statement does on a branch, and what it leaves, has to be what it does on a database without branches. Main
 * is written in between, which the branch must not notice.
 */
interface Case {
  readonly setup: string;
  /** What main does after the branch is made, and again after each of its statements. */
  readonly main?: string;
  readonly statements: readonly string[];
  /** Queries beyond the contents of all tables. */
  readonly queries?: readonly string[];
}

const MANY = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)';
const columns = Array.from({ length: 100 }, (_, i) => `c${i}`);

const CASES: Readonly<Record<string, Case>> = {
  'self-referencing chains of 1,000 rows': {
    setup: `CREATE TABLE t(id INTEGER PRIMARY KEY, up REFERENCES t(id) ON DELETE CASCADE); ${MANY} INSERT INTO t SELECT i, nullif(i - 1, 0) FROM n`,
    main: 'DELETE FROM t WHERE id > 500',
    statements: [
      'UPDATE t SET up = up WHERE id = 900',
      'INSERT INTO t VALUES (2000, 1000), (2001, 2000), (NULL, 7)',
      'INSERT INTO t VALUES (3000, 2999)',
      'DELETE FROM t WHERE id = 995',
      'UPDATE t SET id = 4000 WHERE id = 994',
      'UPDATE t SET id = 5000 WHERE id = 3',
    ],
  },
  'keys that an update changes by whatever name': {
    setup: `CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE, "Two Words" TEXT COLLATE NOCASE, v, g AS (v * 2) UNIQUE);
      CREATE UNIQUE INDEX both ON t("Two Words", v) WHERE v > 0;
      CREATE TABLE w(a, b, c, PRIMARY KEY (a, b)) WITHOUT ROWID;
      CREATE TABLE x(id INTEGER PRIMARY KEY, v); CREATE UNIQUE INDEX lowered ON x(lower(v));
      CREATE TABLE o(oid TEXT, id INTEGER PRIMARY KEY);
      CREATE TABLE bare(v);
      INSERT INTO t(id, u, "Two Words", v) VALUES (1, 1, 'a', 1), (2, 2, 'b', 2), (3, 3, 'a', 3);
      INSERT INTO w VALUES (1, 1, 1), (1, 2, 2); INSERT INTO x VALUES (1, 'a'), (2, 'B'), (3, 'c');
      INSERT INTO o VALUES ('x', 1), ('y', 2); INSERT INTO bare VALUES (1), (2)`,
    statements: [
      'UPDATE t SET v = v WHERE id = 1',
      'UPDATE t SET rowid = 2 WHERE id = 1',
      'UPDATE t SET OID = 2 WHERE id = 1',
      'UPDATE t SET "_rowid_" = 2 WHERE id = 1',
      'UPDATE t SET ID = 2 WHERE id = 1',
      'UPDATE t SET U = 2 WHERE id = 1',
      'UPDATE t SET v = 2 WHERE id = 1',
      'UPDATE t SET "two words" = \'B\', v = -1 WHERE id = 1',
      'UPDATE t SET v = 2 WHERE id = 1',
      'UPDATE OR REPLACE t SET rowid = 2 WHERE id = 1',
      'INSERT INTO t(id, u) VALUES (2, 9) ON CONFLICT(id) DO UPDATE SET rowid = 3',
      'UPDATE w SET b = 2 WHERE b = 1',
      'UPDATE w SET c = 5, a = a WHERE b = 1',
      "UPDATE x SET v = 'b' WHERE id = 1",
      'UPDATE x SET rowid = 3 WHERE id = 1',
      'UPDATE o SET rowid = 2 WHERE id = 1',
      "UPDATE o SET oid = 'y' WHERE id = 1",
      'UPDATE bare SET rowid = 2 WHERE rowid = 1',
      'UPDATE OR REPLACE bare SET rowid = 2 WHERE rowid = 1',
    ],
    queries: ['SELECT rowid, * FROM bare ORDER BY rowid'],
  },
  'chains over eight tables': {
    setup: Array.from({ length: 8 }, (_, i) =>
      i === 0
        ? 'CREATE TABLE t0(id INTEGER PRIMARY KEY); INSERT INTO t0 VALUES (1), (2)'
        : `CREATE TABLE t${i}(id INTEGER PRIMARY KEY, p REFERENCES t${i - 1}(id) ON DELETE CASCADE ON UPDATE CASCADE); INSERT INTO t${i} VALUES (1, 1), (2, 1), (3, 2)`,
    ).join(';'),
    main: 'INSERT INTO t0 DEFAULT VALUES; UPDATE t7 SET p = 3',
    statements: [
      'UPDATE t0 SET id = 10 WHERE id = 1',
      'DELETE FROM t3 WHERE id = 2',
      'DELETE FROM t0 WHERE id = 10',
      'INSERT INTO t7(p) VALUES (1)',
    ],
  },
  'actions of foreign keys': {
    setup: `CREATE TABLE p(a TEXT COLLATE NOCASE, b INT, PRIMARY KEY(a, b)) WITHOUT ROWID;
      CREATE TABLE n(id INTEGER PRIMARY KEY, a, b, FOREIGN KEY(a, b) REFERENCES p ON DELETE SET NULL ON UPDATE SET DEFAULT);
      CREATE TABLE r(id INTEGER PRIMARY KEY, a, b, FOREIGN KEY(a, b) REFERENCES p(a, b) ON DELETE RESTRICT);
      CREATE TABLE d(id INTEGER PRIMARY KEY, a, b, FOREIGN KEY(a, b) REFERENCES p(a, b) DEFERRABLE INITIALLY DEFERRED);
      INSERT INTO p VALUES ('a', 1), ('b', 2), ('c', 3), ('d', 4);
      INSERT INTO n VALUES (1, 'A', 1), (2, 'b', 2); INSERT INTO r VALUES (1, 'b', 2); INSERT INTO d VALUES (1, 'c', 3)`,
    main: "DELETE FROM n; INSERT OR IGNORE INTO p VALUES ('e', 5)",
    statements: [
      "DELETE FROM p WHERE a = 'A'",
      "DELETE FROM p WHERE a = 'b'",
      "DELETE FROM p WHERE a = 'c'",
      "INSERT INTO d VALUES (2, 'zz', 1)",
      "INSERT INTO n VALUES (3, 'e', 5)",
      "UPDATE p SET b = 9 WHERE a = 'b'",
      "DELETE FROM r; UPDATE p SET b = 9 WHERE a = 'b'",
      "INSERT INTO d VALUES (2, 'x', 1); INSERT INTO p VALUES ('X', 1)",
      "PRAGMA defer_foreign_keys = ON; INSERT INTO r VALUES (9, 'y', 1); INSERT INTO p VALUES ('y', 1)",
      "PRAGMA defer_foreign_keys = ON; INSERT INTO r VALUES (10, 'none', 1)",
    ],
  },
  'foreign keys whose two sides have other types or collations': {
    setup: `CREATE TABLE p(id INTEGER PRIMARY KEY, code TEXT UNIQUE, name TEXT COLLATE NOCASE UNIQUE, n NUMERIC UNIQUE, x UNIQUE);
      CREATE TABLE a(id INTEGER PRIMARY KEY, code REFERENCES p(code) ON DELETE CASCADE);
      CREATE TABLE b(id INTEGER PRIMARY KEY, p TEXT REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE);
      CREATE TABLE c(id INTEGER PRIMARY KEY, name TEXT REFERENCES p(name) ON DELETE SET NULL ON UPDATE CASCADE);
      CREATE TABLE d(id INTEGER PRIMARY KEY, n BLOB REFERENCES p(n) ON DELETE CASCADE, up TEXT REFERENCES d(id) ON DELETE CASCADE);
      CREATE TABLE e(id INTEGER PRIMARY KEY, code TEXT COLLATE NOCASE REFERENCES p(code));
      CREATE TABLE f(id INTEGER PRIMARY KEY, x INTEGER REFERENCES p(x) ON DELETE CASCADE);
      INSERT INTO p VALUES (1, '0.0', 'Ann', 1.5, 1), (2, 'b', 'Bob', 2, 2), (3, 'c', 'Cy', 3, 3.0), (4, 'B', 'Di', 4, 4), (5, '5', 'Ed', 5, 5);
      INSERT INTO a VALUES (1, 0.0), (2, '0.0'), (3, 5); INSERT INTO b VALUES (1, '2'), (2, '02'), (3, ' 3'), (4, '1');
      INSERT INTO c VALUES (1, 'ANN'), (2, 'bob'), (3, 'Cy'); INSERT INTO d VALUES (1, '1.5', NULL), (2, '2', '01'), (3, 3, ' 2'); INSERT INTO e VALUES (1, 'b');
      INSERT INTO f VALUES (1, 1), (2, 2), (3, 3)`,
    statements: [
      'UPDATE a SET id = id + 10',
      "UPDATE e SET code = 'B'",
      "UPDATE b SET p = '03' WHERE p = '02'",
      "UPDATE p SET name = 'Bert' WHERE id = 2",
      'DELETE FROM p WHERE id = 3',
      "UPDATE p SET name = 'ANN' WHERE id = 1",
      'DELETE FROM p WHERE id = 1',
      'UPDATE p SET id = 20, n = 22 WHERE id = 2',
      'INSERT INTO f VALUES (9, 4)',
      'UPDATE f SET x = 5.0 WHERE id = 2',
      "INSERT INTO d VALUES (7, '22', '007'), (8, '4.0', '7.0'), (9, NULL, '8')",
      'DELETE FROM d WHERE id = 7',
      'DELETE FROM p',
      'DELETE FROM e; DELETE FROM p',
    ],
  },
  'AUTOINCREMENT, and ids that SQLite gives': {
    setup: `CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT, v); CREATE TABLE b(id INTEGER PRIMARY KEY, v); CREATE TABLE c(v);
      INSERT INTO a VALUES (1, 1), (50, 2); DELETE FROM a WHERE id = 50; INSERT INTO b VALUES (7, 1), (9, 2); INSERT INTO c VALUES (1), (2)`,
    main: 'INSERT INTO b(v) VALUES (0), (0); INSERT INTO c VALUES (0); DELETE FROM b WHERE id = 9',
    statements: [
      'INSERT INTO a(v) VALUES (3) RETURNING id',
      'INSERT INTO b(v) VALUES (3) RETURNING id',
      'INSERT INTO c(v) VALUES (3) RETURNING rowid',
      'DELETE FROM b WHERE id >= 9',
      'INSERT INTO b(v) VALUES (4) RETURNING id',
      'DELETE FROM a WHERE id > 1',
      'INSERT INTO a(v) VALUES (4), (5) RETURNING id',
      'DELETE FROM b',
      'INSERT INTO b(v) VALUES (5) RETURNING id',
      'INSERT INTO b VALUES (9223372036854775807, 1)',
    ],
    queries: ['SELECT rowid, v FROM c ORDER BY 1'],
  },
  'unique indexes that are partial or of expressions': {
    setup: `CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b, c AS (a || b) STORED, d AS (upper(a)));
      CREATE UNIQUE INDEX ta ON t(lower(a)) WHERE b > 0; CREATE UNIQUE INDEX tc ON t(c); CREATE UNIQUE INDEX td ON t(b) WHERE b IS NOT NULL AND a <> 'skip';
      INSERT INTO t(a, b) VALUES ('x', 1), ('Y', 2), ('skip', 1), ('skip', -5), ('z', -1)`,
    main: "UPDATE t SET a = a || 'm', b = b + 100",
    statements: [
      "INSERT INTO t(a, b) VALUES ('X', 9)",
      "INSERT INTO t(a, b) VALUES ('Z', -9)",
      "INSERT INTO t(a, b) VALUES ('x', -1)",
      "INSERT OR IGNORE INTO t(a, b) VALUES ('y', 7) RETURNING id",
      "INSERT OR REPLACE INTO t(a, b) VALUES ('y', 8) RETURNING id",
      "UPDATE t SET a = 'x' WHERE a = 'skip' AND b = 1",
      "INSERT INTO t(a, b) VALUES ('X', 3) ON CONFLICT (lower(a)) WHERE b > 0 DO UPDATE SET b = excluded.b + b RETURNING id, a, b",
      "UPDATE OR REPLACE t SET a = 'q', b = 4",
      'UPDATE t SET c = 1',
    ],
  },
  'REPLACE, UPSERT and OR IGNORE onto rows of main': {
    setup: `CREATE TABLE t(k TEXT PRIMARY KEY COLLATE NOCASE, u INT UNIQUE, v NOT NULL DEFAULT 'd' CHECK (v <> 'bad'));
      CREATE TABLE log(what); CREATE TRIGGER ti AFTER INSERT ON t BEGIN INSERT INTO log VALUES ('i ' || NEW.k); END;
      CREATE TRIGGER td BEFORE DELETE ON t BEGIN INSERT INTO log VALUES ('d ' || OLD.k); END;
      CREATE TRIGGER tu AFTER UPDATE OF v ON t WHEN NEW.v <> OLD.v BEGIN INSERT INTO log VALUES ('u ' || OLD.v || NEW.v); END;
      INSERT INTO t VALUES ('a', 1, 'x'), ('B', 2, 'y'), ('c', 3, 'z')`,
    main: "UPDATE t SET k = k || k, u = u + 10; INSERT OR REPLACE INTO t VALUES ('n', 3, 'm')",
    statements: [
      "INSERT OR IGNORE INTO t VALUES ('A', 9, 'n'), ('new', 9, 'n') RETURNING k",
      "INSERT INTO t VALUES ('b', 8, 'n') ON CONFLICT (k) DO UPDATE SET v = v || excluded.v RETURNING *",
      "INSERT INTO t VALUES ('zz', 3, 'n') ON CONFLICT DO NOTHING",
      "INSERT INTO t VALUES ('zz', 3, 'n') ON CONFLICT (u) DO UPDATE SET k = 'moved' WHERE v = 'z' RETURNING *",
      "REPLACE INTO t VALUES ('A', 2, 'both')",
      "INSERT OR REPLACE INTO t(k, u, v) VALUES ('nn', 77, NULL)",
      "INSERT OR FAIL INTO t VALUES ('f1', 100, 'x'), ('NN', 101, 'x'), ('f2', 102, 'x')",
      'UPDATE OR IGNORE t SET u = 77',
      "UPDATE OR REPLACE t SET u = 77 WHERE k = 'new'",
      "INSERT INTO t VALUES ('x', 1000, 'bad')",
      'UPDATE t SET v = v',
    ],
  },
  'keys of all kinds': {
    setup: `CREATE TABLE w(a TEXT, b BLOB, v, PRIMARY KEY(b, a DESC)) WITHOUT ROWID; CREATE TABLE s(id INT UNIQUE, v ANY, n INTEGER NOT NULL) STRICT;
      CREATE TABLE n(v, "it's" TEXT); CREATE TABLE "a b"("x y" INTEGER PRIMARY KEY DESC, __proto__); CREATE TABLE k(a COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID;
      INSERT INTO w VALUES ('é', x'00ff', 1), ('', x'', 2), ('a', 'a', 3); INSERT INTO s VALUES (1, '1', 1), (NULL, 1, 2), (NULL, x'31', 3);
      INSERT INTO n VALUES (1, 'a'), (1, 'a'), (NULL, NULL); INSERT INTO "a b" VALUES (1, 1), (NULL, 2); INSERT INTO k VALUES ('Key', 1), ('other', 2)`,
    main: `DELETE FROM w; UPDATE s SET v = 'main'; DELETE FROM n; UPDATE "a b" SET __proto__ = 'main'; UPDATE k SET a = 'KEY' WHERE a = 'key'`,
    statements: [
      "UPDATE w SET v = v + 1 WHERE a >= ''",
      "UPDATE w SET a = 'moved', b = b || 'x' WHERE v = 2",
      "INSERT INTO w VALUES ('é', x'00ff', 9) RETURNING v",
      'DELETE FROM n WHERE rowid = 2 RETURNING *',
      'UPDATE n SET v = 5 WHERE v IS NULL',
      "INSERT INTO n VALUES (7, 'z') RETURNING rowid, *",
      'UPDATE s SET v = 1.5 WHERE id IS NULL',
      "INSERT INTO s VALUES (2, 'x', 'no integer')",
      'UPDATE "a b" SET __proto__ = 3 WHERE "x y" IS NULL',
      'DELETE FROM "a b" WHERE "x y" = 1',
      "UPDATE k SET v = 3 WHERE a = 'KEY'",
      "UPDATE k SET a = 'kEY' WHERE a = 'key' RETURNING *",
      "INSERT INTO k VALUES ('OTHER', 5) ON CONFLICT (a) DO UPDATE SET v = 6 RETURNING *",
    ],
    queries: [
      'SELECT rowid, * FROM n ORDER BY 1',
      'SELECT n.rowid, s.rowid AS s FROM n, s ORDER BY 1, 2',
      'SELECT * FROM n WHERE rowid = 1',
      'SELECT oid AS k, * FROM "a b" ORDER BY 1',
    ],
  },
  'tables of a hundred columns, and rows of megabytes': {
    setup: `CREATE TABLE wide(id INTEGER PRIMARY KEY, ${columns.slice(1).join(', ')}); INSERT INTO wide VALUES (${columns.map((_, i) => i).join(', ')}), (${columns.map((_, i) => i + 1).join(', ')});
      CREATE TABLE bare(${columns.slice(1).join(', ')}); INSERT INTO bare SELECT ${columns.slice(1).join(', ')} FROM wide;
      CREATE TABLE big(id INTEGER PRIMARY KEY, v); INSERT INTO big VALUES (1, zeroblob(1900000)), (2, hex(zeroblob(900000)))`,
    main: 'UPDATE wide SET c99 = 0; UPDATE bare SET c1 = 7; DELETE FROM big WHERE id = 1',
    statements: [
      'UPDATE wide SET c50 = 1000 WHERE id = 0 RETURNING c49, c50, c99',
      'UPDATE bare SET c99 = c98 + 1 WHERE c1 = 1',
      'DELETE FROM bare WHERE c1 = 2',
      "UPDATE big SET v = v || 'x' WHERE id = 2",
      'UPDATE big SET id = 3 WHERE id = 1',
      'INSERT INTO big SELECT NULL, v FROM big WHERE id = 3',
    ],
    queries: ['SELECT id, length(v) AS n FROM big ORDER BY 1'],
  },
  'views, and triggers that read them': {
    setup: `CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE u(id INTEGER PRIMARY KEY, n); CREATE TABLE log(what);
      CREATE VIEW total AS SELECT sum(v) AS v FROM t; CREATE VIEW both(a, b) AS SELECT t.v, u.n FROM t JOIN u USING (id); CREATE VIEW deep AS SELECT b + (SELECT v FROM total) AS x FROM both;
      CREATE TRIGGER tt AFTER UPDATE ON t BEGIN INSERT INTO log SELECT 'total ' || v FROM total; INSERT INTO log SELECT 'deep ' || group_concat(x) FROM (SELECT x FROM deep ORDER BY x); UPDATE u SET n = (SELECT v FROM total) WHERE id IN (SELECT a FROM both); END;
      CREATE TRIGGER tn AFTER INSERT ON t WHEN NEW.v > (SELECT v FROM total) - NEW.v BEGIN INSERT INTO log VALUES ('large'); END;
      INSERT INTO t VALUES (1, 1), (2, 2); INSERT INTO u VALUES (1, 10), (2, 20), (3, 30); DELETE FROM log`,
    main: 'INSERT INTO t(v) VALUES (1000); UPDATE u SET n = -1',
    statements: [
      'UPDATE t SET v = v + 1 WHERE id = 1',
      'INSERT INTO t(v) VALUES (100)',
      'INSERT INTO t(v) VALUES (3)',
      'UPDATE t SET v = 0',
      'DELETE FROM u WHERE n IN (SELECT b FROM both)',
    ],
    queries: [
      'SELECT * FROM deep ORDER BY 1',
      'SELECT * FROM both ORDER BY 1, 2',
      'SELECT * FROM total, (SELECT * FROM total)',
    ],
  },
  'triggers that write other tables': {
    setup: `CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE sum(id INTEGER PRIMARY KEY, v); CREATE TABLE hist(t, v, PRIMARY KEY(t, v)) WITHOUT ROWID;
      CREATE TRIGGER a AFTER INSERT ON t BEGIN INSERT INTO sum VALUES (1, NEW.v) ON CONFLICT (id) DO UPDATE SET v = v + NEW.v; INSERT OR IGNORE INTO hist VALUES (NEW.id, NEW.v); END;
      CREATE TRIGGER b BEFORE UPDATE OF v ON t WHEN NEW.v < 0 BEGIN SELECT RAISE(ABORT, 'no negatives'); END;
      CREATE TRIGGER c AFTER DELETE ON t BEGIN DELETE FROM hist WHERE t = OLD.id; UPDATE sum SET v = v - OLD.v FROM (SELECT 1 AS one) WHERE id = one; END;
      CREATE TRIGGER d AFTER UPDATE ON t WHEN NEW.v % 2 = 1 BEGIN UPDATE t SET v = v + 1 WHERE id = NEW.id; END;
      INSERT INTO t(v) VALUES (1), (2), (3)`,
    main: 'INSERT INTO t(v) VALUES (50); DELETE FROM t WHERE id = 1; UPDATE sum SET v = 0',
    statements: [
      'INSERT INTO t(v) VALUES (10)',
      'UPDATE t SET v = -1 WHERE id = 2',
      'UPDATE t SET v = v + 10',
      'DELETE FROM t WHERE id < 3',
      'REPLACE INTO t VALUES (3, 9)',
      'UPDATE OR IGNORE t SET id = id + 1',
    ],
  },
  'aggregates and joins': {
    setup: `CREATE TABLE p(id INTEGER PRIMARY KEY, v); CREATE TABLE c(id INTEGER PRIMARY KEY, p, v); CREATE INDEX cp ON c(p);
      ${MANY} INSERT INTO c SELECT i, i % 10, i FROM n; INSERT INTO p SELECT id, v FROM c WHERE id <= 12`,
    main: 'UPDATE c SET p = 0, v = 0; DELETE FROM p WHERE id > 5',
    statements: [
      'UPDATE c SET v = -v WHERE id % 100 = 0',
      'DELETE FROM p WHERE id = 4',
      'DELETE FROM c WHERE p IN (SELECT id FROM p WHERE v = 7) RETURNING count(*) OVER ()',
    ],
    queries: [
      'SELECT p.id, count(*) AS n, sum(c.v) AS v FROM p LEFT JOIN c ON c.p = p.id GROUP BY 1 ORDER BY 1',
      'SELECT max(v), min(id), total(p) FROM c INDEXED BY cp WHERE p = 3',
      'SELECT id FROM c WHERE p = 3 ORDER BY v DESC LIMIT 3 OFFSET 1',
      'SELECT * FROM p WHERE EXISTS (SELECT 1 FROM c WHERE c.p = p.id AND c.v < 0) ORDER BY id',
      'WITH RECURSIVE r(x) AS (SELECT 1 UNION SELECT p FROM c JOIN r ON c.id = r.x + 1) SELECT x FROM r ORDER BY 1',
      'SELECT id, row_number() OVER (PARTITION BY v % 2 ORDER BY id) AS n FROM p ORDER BY id',
      'SELECT id FROM p EXCEPT SELECT p FROM c ORDER BY 1',
      'SELECT c.*, p.* FROM c NATURAL JOIN p',
      'SELECT (SELECT count(*) FROM c WHERE c.p = p.id) AS n FROM p ORDER BY id',
      'SELECT * FROM p AS c JOIN c AS p ON p.p = c.id WHERE p.id < 30 ORDER BY p.id',
      'SELECT main.p.id FROM main.p ORDER BY 1',
    ],
  },
};

/** What a statement does. */
async function outcome(db: Database, sql: string): Promise<unknown> {
  try {
    if (/^SELECT|RETURNING/.test(sql)) return await db.query(sql);
    if (/;/.test(sql)) {
      await db.exec(sql);
      return undefined;
    }
    const { changes, lastRowId } = await db.run(sql);
    return { changes, lastRowId: changes > 0 && /^INSERT|^REPLACE/.test(sql) ? lastRowId : undefined };
  } catch (error) {
    const found = DoSQLError.from(error);
    return found === undefined
      ? error
      : [
          found.code,
          found.reason.replace(/^.*(FOREIGN KEY)/, '$1').replace(/: a row of.*| \(at offset.*/, ''),
        ];
  }
}

async function contents(db: Database, queries: readonly string[]): Promise<unknown> {
  const tables = await db.query<{ name: string }>(
    "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1",
  );
  const all: Record<string, unknown> = {};
  for (const { name } of tables.filter((table) => !/^(?:sqlite|_cf)_/.test(table.name))) {
    const rows = await db.prepare(`SELECT * FROM "${name}"`).raw<unknown[]>();
    all[name] = rows
      .map((row) =>
        JSON.stringify(
          row.map((value) => (value instanceof Uint8Array && value.length > 100 ? value.length : value)),
        ).slice(0, 2_000),
      )
      .toSorted();
  }
  for (const sql of queries) all[sql] = await outcome(db, sql);
  return all;
}

describe.each(Object.entries(CASES))('%s', (_, { setup, main, statements, queries = [] }) => {
  const plain = (): Promise<unknown[]> =>
    withDatabase(async (db) => {
      await db.exec(setup);
      const done: unknown[] = [];
      for (const sql of statements) done.push(await outcome(db, sql), await contents(db, queries));
      return done;
    });

  it.each(['a branch', 'a branch of a branch', 'a branch of the past'])('on %s', (which) =>
    withDatabase(async (db) => {
      await db.exec(setup);
      const fork = db.lsn();
      const noise = async (): Promise<void> => {
        if (main !== undefined) await db.exec(main).catch(() => {});
      };
      if (which === 'a branch of the past') await noise();
      let branch = await db.branch('b', which === 'a branch of the past' ? { from: { lsn: fork } } : {});
      await noise();
      if (which === 'a branch of a branch') branch = await branch.branch('inner');
      const done: unknown[] = [];
      for (const sql of statements) {
        done.push(await outcome(branch, sql), await contents(branch, queries));
        await noise();
      }
      expect(done).toEqual(await plain());
      expect(await contents(branch, queries)).toEqual(done.at(-1));
    }),
  );
});

describe('what a branch cannot do', () => {
  it('is refused in words', () =>
    withDatabase(async (db) => {
      await db.exec(`CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'one');
        CREATE VIEW v AS SELECT * FROM t; CREATE TRIGGER vi INSTEAD OF INSERT ON v BEGIN INSERT INTO t VALUES (NEW.id, NEW.v); END;
        CREATE VIRTUAL TABLE f USING fts5(v); INSERT INTO f VALUES ('main')`);
      const branch = await db.branch('b');
      expect(await failure(branch.run("INSERT INTO v VALUES (2, 'two')"))).toMatchObject({
        code: 'FORBIDDEN',
        message: expect.stringContaining('is a view'),
      });
      for (const sql of [
        "INSERT INTO f VALUES ('b')",
        'SELECT * FROM f',
        "SELECT * FROM f WHERE f MATCH 'main'",
        'DELETE FROM f_data',
        'CREATE VIRTUAL TABLE g USING fts5(v)',
      ])
        expect((await failure(branch.query(sql))).message, sql).toMatch(/virtual table/);
      expect(await branch.query('SELECT * FROM v')).toEqual([{ id: 1, v: 'one' }]);
      expect(await db.query('SELECT * FROM f')).toEqual([{ v: 'main' }]);
      await db.exec('CREATE TRIGGER tf AFTER INSERT ON t BEGIN INSERT INTO f VALUES (NEW.v); END');
      const other = await db.branch('c');
      expect((await failure(other.run("INSERT INTO t VALUES (2, 'two')"))).message).toMatch(/virtual table/);
      expect(await db.query('SELECT * FROM f')).toEqual([{ v: 'main' }]);
      expect(await other.query('SELECT * FROM t')).toEqual([{ id: 1, v: 'one' }]);
    }));
});

describe('a foreign key to a table that has been dropped', () => {
  const children = {
    'of one column': 'id INTEGER PRIMARY KEY, p REFERENCES p, v',
    'of named columns, and to two tables':
      'id INTEGER PRIMARY KEY, p, v, q REFERENCES q(u), FOREIGN KEY (p, q) REFERENCES p(a, "B b")',
    'of a table without rowids': 'id PRIMARY KEY, p REFERENCES p, v',
  };

  it.each(Object.entries(children))(
    'hinders nothing on a branch that it does not on main: %s',
    (name, columns) =>
      withDatabase(async (db) => {
        await db.exec(
          `CREATE TABLE q(u UNIQUE); CREATE TABLE p(id INTEGER PRIMARY KEY, a, "B b", UNIQUE (a, "B b"));
         CREATE TABLE c(${columns})${name.endsWith('rowids') ? ' WITHOUT ROWID' : ''}; INSERT INTO c(id, v) VALUES (1, 1), (2, 2), (3, 3)`,
        );
        const rows = (line: Database): Promise<unknown[]> =>
          line
            .query('SELECT id, p, v FROM c ORDER BY id')
            .then((found) => found.map(({ id, p, v }) => [id, p, v]));
        const early = await db.branch('early');
        await early.run('UPDATE c SET v = 20 WHERE id = 2');
        await early.exec('DROP TABLE p; DROP TABLE q');
        await db.exec('DROP TABLE p; DROP TABLE q');
        const late = await db.branch('late');
        const missing = {
          code: 'NO_SUCH_TABLE',
          message: expect.stringMatching(/no such table: main\.[pq]$/),
        };

        await db.run('UPDATE c SET v = 10 WHERE id = 1');
        await late.run('UPDATE c SET v = 30 WHERE id = 3');
        const inner = await early.branch('inner');
        await late.run('ALTER TABLE c ADD COLUMN x DEFAULT 7');
        await db.run('UPDATE c SET v = 11 WHERE id = 1');
        expect(await rows(db)).toEqual([
          [1, null, 11],
          [2, null, 2],
          [3, null, 3],
        ]);
        expect(await rows(early)).toEqual([
          [1, null, 1],
          [2, null, 20],
          [3, null, 3],
        ]);
        expect(await rows(late)).toEqual([
          [1, null, 1],
          [2, null, 2],
          [3, null, 30],
        ]);
        expect(await rows(inner)).toEqual(await rows(early));
        for (const line of [db, early, late, inner]) {
          expect(await failure(line.run('INSERT INTO c(id, v) VALUES (4, 4)'))).toMatchObject(missing);
          expect(await failure(line.run('DELETE FROM c WHERE id = 3'))).toMatchObject(missing);
          expect(await failure(line.query('SELECT * FROM p'))).toMatchObject({ code: 'NO_SUCH_TABLE' });
          expect((await rows(line)).length).toBe(3);
        }
        expect(await late.get('SELECT x FROM c WHERE id = 2')).toEqual({ x: 7 });
        await db.merge('early');
        expect(await rows(db)).toEqual([
          [1, null, 11],
          [2, null, 20],
          [3, null, 3],
        ]);
      }),
  );

  it('keeps rows without a key from being changed, in SQLite’s words and with the names that the branch gives', () =>
    withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(p REFERENCES p, v); INSERT INTO c(v) VALUES (1)',
      );
      await db.exec('DROP TABLE p');
      const branch = await db.branch('b');
      expect(await failure(branch.run('UPDATE c SET v = 2'))).toMatchObject({
        code: 'NO_SUCH_TABLE',
        message: expect.stringMatching(/no such table: main\.p$/),
      });
      await db.run('UPDATE c SET v = 3');
      expect(await branch.query('SELECT v FROM c')).toEqual([{ v: 1 }]);
      await branch.run('ALTER TABLE c ADD COLUMN w');
      expect(await branch.query('SELECT v, w FROM c')).toEqual([{ v: 1, w: null }]);
      // It is a table of its own now, and no row has to be copied.
      await branch.run('UPDATE c SET v = 2');
      expect(await branch.query('SELECT v FROM c')).toEqual([{ v: 2 }]);
    }));
});

describe('definitions that main changes', () => {
  const changes = [
    'ALTER TABLE t ADD COLUMN w DEFAULT 5',
    'DROP INDEX tv; DROP VIEW tview; DROP TRIGGER tt; ALTER TABLE t DROP COLUMN v',
    'ALTER TABLE t RENAME COLUMN v TO w',
    'ALTER TABLE t RENAME TO x',
    'DROP TABLE c; DROP TABLE t',
    "DROP TABLE c; DROP TABLE t; CREATE TABLE t(id TEXT PRIMARY KEY, v, w); INSERT INTO t VALUES ('new', 1, 2)",
    'CREATE UNIQUE INDEX tu ON t(v)',
    'DROP INDEX tv',
    'DROP VIEW tview; CREATE VIEW tview AS SELECT 0 AS v',
    'DROP TRIGGER tt',
    'CREATE TABLE own(main); INSERT INTO own VALUES (1)',
  ];
  const setup = `CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE INDEX tv ON t(v); CREATE TABLE c(id INTEGER PRIMARY KEY, t REFERENCES t(id) ON DELETE CASCADE);
    CREATE TABLE log(what); CREATE TRIGGER tt AFTER UPDATE ON t BEGIN INSERT INTO log VALUES (OLD.v || '>' || NEW.v); END;
    CREATE VIEW tview AS SELECT sum(v) AS v FROM t; INSERT INTO t VALUES (1, 1), (2, 2), (3, 3); INSERT INTO c VALUES (1, 1), (2, 2)`;
  const statements = [
    'SELECT * FROM t ORDER BY id',
    'SELECT * FROM tview',
    'UPDATE t SET v = v * 10 WHERE id > 1',
    'INSERT INTO c(t) VALUES (3)',
    'INSERT INTO c(t) VALUES (4)',
    'DELETE FROM t WHERE id = 2',
    'INSERT INTO t(v) VALUES (1)',
    'SELECT * FROM t INDEXED BY tv WHERE v > 5',
    'CREATE TABLE own(id INTEGER PRIMARY KEY, t REFERENCES t(id))',
    'INSERT INTO own VALUES (1, 3)',
    'ALTER TABLE t ADD COLUMN mine DEFAULT 7',
    'SELECT id, v, mine FROM t ORDER BY id',
  ];

  it.each(changes)('%s', (change) =>
    withDatabase(async (db) => {
      await db.exec(setup);
      const expected = await withDatabase(async (plain) => {
        await plain.exec(setup);
        const done: unknown[] = [];
        for (const sql of statements) done.push(await outcome(plain, sql));
        return [...done, await contents(plain, [])];
      });
      const untouched = await db.branch('untouched');
      const touched = await db.branch('touched');
      await touched.run('UPDATE c SET id = id');
      const late = await db.branch('late');
      const read = await db.branch('read');
      expect(await read.query('SELECT * FROM t')).toHaveLength(3);
      const nested = await touched.branch('nested');
      const folded = await db.branch('folded');
      await folded.exec('ALTER TABLE t ADD COLUMN f; ALTER TABLE t DROP COLUMN f');
      for (const one of change.split('; ')) await db.exec(one);
      // Its tables become overlays only now, that of t with nothing in it.
      await late.exec('INSERT INTO c(id) VALUES (50); DELETE FROM c WHERE id = 50');
      const main = await contents(db, []);
      for (const branch of [untouched, touched, late, read, nested, folded]) {
        const done: unknown[] = [];
        for (const sql of statements) done.push(await outcome(branch, sql));
        done.push(await contents(branch, []));
        expect(done, branch.activeBranch).toEqual(expected);
      }
      expect(await contents(db, [])).toEqual(main);
    }),
  );
});

describe('SQLite’s own words about a branch', () => {
  it('are of the branch’s tables', () =>
    withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE t(id INTEGER PRIMARY KEY, v UNIQUE); CREATE TABLE c(t REFERENCES t(id)); CREATE INDEX ct ON c(t); CREATE TABLE gone(x)',
      );
      const branch = await db.branch('b');
      const schema = (handle: Database): Promise<unknown[]> =>
        handle.query(
          "SELECT type, name, tbl_name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND name NOT LIKE '_cf_%' ORDER BY 1, 2",
        );
      expect(await schema(branch)).toEqual(await schema(db));
      await branch.exec(
        'ALTER TABLE t ADD COLUMN w; DROP TABLE gone; CREATE VIEW v AS SELECT * FROM t; CREATE TABLE "own one"(x)',
      );
      await db.exec('CREATE TABLE later(x)');
      expect((await schema(branch)).map((row) => (row as { name: string }).name)).toEqual([
        'ct',
        'c',
        'own one',
        't',
        'v',
      ]);
      expect((await branch.query('PRAGMA table_info(t)')).map((row) => row['name'])).toEqual([
        'id',
        'v',
        'w',
      ]);
      expect((await db.query('PRAGMA table_info(t)')).map((row) => row['name'])).toEqual(['id', 'v']);
      expect(await branch.query('PRAGMA foreign_key_list(c)')).toMatchObject([{ table: 't', from: 't' }]);
      expect(await branch.query('PRAGMA table_info(later)')).toEqual([]);
      expect(await branch.query('PRAGMA table_info(gone)')).toEqual([]);
      expect(await branch.query('PRAGMA index_list(c)')).toMatchObject([{ name: 'ct' }]);
      const sql = await branch.get<{ sql: string }>("SELECT sql FROM sqlite_schema WHERE name = 't'");
      expect(sql?.sql).not.toMatch(/__dosql/);
    }));
});
