import { describe, expect, it } from 'vitest';
import { DoSQLError, type Database, type Transaction } from '../src/index.ts';
import { codeOf, request } from './support/request.ts';

/** Numbers from a seed that is printed. */
function seeded(seed: number): (below: number) => number {
  console.log(`seed ${seed}`);
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A short digest of a list: FNV-1a. */
function digestOf(list: readonly string[], by: number): string {
  let hash = 0x811c9dc5;
  for (const character of `${list.join()} ${by}`)
    hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  return (hash >>> 0).toString(16);
}

describe('200 concurrent requests', () => {
  it('leave what some serial order would have left', async () => {
    const random = seeded(Date.now() % 1_000_000);
    await request('serial', (db) =>
      db.exec(
        `CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) INSERT INTO account SELECT i, 100 FROM n;
         CREATE TABLE chain(id INTEGER PRIMARY KEY, digest TEXT, by INTEGER);
         CREATE TABLE plain(id INTEGER PRIMARY KEY, by INTEGER, nth INTEGER)`,
      ),
    );
    const plans = Array.from({ length: 200 }, (_, by) => ({
      by,
      from: 1 + random(10),
      to: 1 + random(10),
      wait: random(3),
      fails: random(3) === 0,
    }));
    const transfer = (plan: (typeof plans)[number], tx: Transaction): Promise<void> =>
      (async () => {
        const list = await tx.query<{ digest: string }>('SELECT digest FROM chain ORDER BY id');
        await tx.run('UPDATE account SET balance = balance - 7 WHERE id = ?', [plan.from]);
        await scheduler.wait(plan.wait);
        await tx.run('UPDATE account SET balance = balance + 7 WHERE id = ?', [plan.to]);
        const digest = digestOf(
          list.map((row) => row.digest),
          plan.by,
        );
        await tx.run('INSERT INTO chain(digest, by) VALUES(?, ?)', [digest, plan.by]);
        if (plan.fails) throw new Error('meant to fail');
      })();
    const seen: { total: number; chain: number }[] = [];
    const results = await Promise.all(
      plans.map((plan) =>
        request('serial', async (db) => {
          const first = db.run('INSERT INTO plain(by, nth) VALUES(?, 1)', [plan.by]);
          const work = db
            .transaction((tx) => transfer(plan, tx))
            .then(
              () => 'kept',
              (error: Error) => error.message,
            );
          const second = db.run('INSERT INTO plain(by, nth) VALUES(?, 2)', [plan.by]);
          const state = db.get<{ total: number; chain: number }>(
            'SELECT (SELECT sum(balance) FROM account) AS total, (SELECT count(*) FROM chain) AS chain',
          );
          await Promise.all([
            first,
            second,
            state.then((row) => seen.push(row as { total: number; chain: number })),
          ]);
          return work;
        }),
      ),
    );
    expect(results).toEqual(plans.map(({ fails }) => (fails ? 'meant to fail' : 'kept')));
    const { chain, accounts, plain } = await request('serial', async (db) => ({
      chain: await db.query<{ digest: string; by: number }>('SELECT digest, by FROM chain ORDER BY id'),
      accounts: await db.query<{ id: number; balance: number }>('SELECT id, balance FROM account'),
      plain: await db.query<{ by: number; nths: string }>(
        'SELECT by, group_concat(nth ORDER BY id) AS nths FROM plain GROUP BY by ORDER BY by',
      ),
    }));
    const kept = plans.filter(({ fails }) => !fails);
    expect(chain.map(({ by }) => by).toSorted((a, b) => a - b)).toEqual(kept.map(({ by }) => by));
    const digests = chain.map(({ digest }) => digest);
    chain.forEach(({ digest, by }, i) => expect(digest).toBe(digestOf(digests.slice(0, i), by)));
    for (const { id, balance } of accounts) {
      const [out, into] = [kept.filter(({ from }) => from === id), kept.filter(({ to }) => to === id)];
      expect(balance).toBe(100 + 7 * (into.length - out.length));
    }
    expect(plain).toEqual(plans.map(({ by }) => ({ by, nths: '1,2' })));
    expect(seen.every(({ total }) => total === 1_000)).toBe(true);
    expect(seen.map((row) => row.chain)).toEqual(seen.map((row) => row.chain).toSorted((a, b) => a - b));
  });
});

describe('while a transaction is open', () => {
  const calls: Record<string, (db: Database) => Promise<unknown>> = {
    query: (db) => db.query('SELECT 1'),
    get: (db) => db.get('SELECT 1'),
    run: (db) => db.run('DELETE FROM t'),
    exec: (db) => db.exec('DELETE FROM t'),
    batch: (db) => db.batch([{ sql: 'DELETE FROM t' }]),
    'a large batch': (db) => db.batch(Array.from({ length: 100 }, () => ({ sql: 'DELETE FROM t' }))),
    transaction: (db) => db.transaction(async () => {}),
    asOf: (db) => db.asOf({ lsn: 0 }).query('SELECT 1'),
    prepare: (db) => db.prepare('SELECT 1').all(),
    iterate: (db) => db.iterate('SELECT 1').next(),
    history: (db) => db.history('t', 1),
  };

  it.each(Object.entries(calls))(
    'a call on the database from inside of it is refused at once: %s',
    async (name, call) => {
      await request(`nested ${name}`, async (db) => {
        await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES(1)');
        const helper = async (): Promise<unknown> => {
          await scheduler.wait(0);
          return call(db);
        };
        let forgotten: Promise<string | undefined> | undefined;
        const codes = await db.transaction(async (tx) => {
          const direct = await codeOf(call(db));
          forgotten = codeOf(call(db));
          const nested = await tx.transaction(() => codeOf(call(db)));
          await tx.run('INSERT INTO t VALUES(2)');
          return [direct, await codeOf(helper()), nested];
        });
        expect([...codes, await forgotten]).toEqual(Array.from({ length: 4 }, () => 'NESTED_TRANSACTION'));
        expect(await db.query('SELECT id FROM t')).toEqual([{ id: 1 }, { id: 2 }]);
      });
    },
  );

  it('a call from elsewhere waits for its end, in the order of the calls', async () => {
    await request('waits', async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, by TEXT)');
      const { promise: opened, resolve } = Promise.withResolvers<void>();
      const first = db.transaction(async (tx) => {
        await tx.run("INSERT INTO t(by) VALUES('first')");
        resolve();
        await scheduler.wait(5);
        await tx.run("INSERT INTO t(by) VALUES('first')");
      });
      await opened;
      const count = db.query('SELECT count(*) AS n FROM t');
      const second = db.transaction((tx) => tx.run("INSERT INTO t(by) VALUES('second')"));
      const run = db.run("INSERT INTO t(by) VALUES('run')");
      await Promise.all([first, second, run]);
      expect(await count).toEqual([{ n: 2 }]);
      expect((await db.query('SELECT by FROM t')).map(({ by }) => by)).toEqual([
        'first',
        'first',
        'second',
        'run',
      ]);
    });
  });

  it('a call that outlived its own transaction waits like any other', async () => {
    await request('outlived', async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY)');
      const { promise: go, resolve } = Promise.withResolvers<void>();
      let late: Promise<unknown> | undefined;
      await db.transaction(async () => {
        late = go.then(() => db.query('SELECT count(*) AS n FROM t'));
      });
      await db.transaction(async (tx) => {
        await tx.run('INSERT INTO t VALUES(1)');
        resolve();
        await scheduler.wait(2);
        await tx.run('INSERT INTO t VALUES(2)');
      });
      expect(await late).toEqual([{ n: 2 }]);
    });
  });

  it('a synchronous statement is refused from elsewhere, and is part of it from inside', async () => {
    await request('sync', async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY)');
      const { promise: opened, resolve } = Promise.withResolvers<void>();
      const work = db.transaction(async (tx) => {
        await tx.run('INSERT INTO t VALUES(1)');
        db.sql.exec('INSERT INTO t VALUES(2)');
        db.storage.transactionSync(() => db.sql.exec('INSERT INTO t VALUES(3)'));
        resolve();
        await scheduler.wait(2);
        expect(await tx.query('SELECT id FROM t')).toHaveLength(3);
        throw new Error('undo');
      });
      const undone = codeOf(work);
      await opened;
      const code = (call: () => unknown): string | undefined => {
        try {
          call();
          return undefined;
        } catch (error) {
          return DoSQLError.from(error)?.code;
        }
      };
      expect(code(() => db.sql.exec('INSERT INTO t VALUES(9)'))).toBe('TRANSACTION_OPEN');
      expect(code(() => db.sql.exec('SELECT * FROM t'))).toBe('TRANSACTION_OPEN');
      expect(code(() => db.storage.transactionSync(() => {}))).toBe('TRANSACTION_OPEN');
      expect(await undone).toBe('Error: undo');
      expect(db.sql.exec('SELECT * FROM t').toArray()).toEqual([]);
    });
  });
});

describe('a transaction', () => {
  it('refuses its handle, and every handle made from it, once it is over', async () => {
    await request('over', async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY)');
      let inner: Transaction | undefined;
      const outer = await db.transaction(async (tx) => {
        await tx.transaction(async (nested) => void (inner = nested));
        return tx;
      });
      for (const tx of [outer, inner as Transaction]) {
        expect(await codeOf(tx.query('SELECT 1'))).toBe('TRANSACTION_OVER');
        expect(await codeOf(tx.run('INSERT INTO t VALUES(1)'))).toBe('TRANSACTION_OVER');
        expect(await codeOf(tx.exec('INSERT INTO t VALUES(1)'))).toBe('TRANSACTION_OVER');
        expect(await codeOf(tx.batch([{ sql: 'INSERT INTO t VALUES(1)' }]))).toBe('TRANSACTION_OVER');
        expect(await codeOf(tx.transaction(async () => {}))).toBe('TRANSACTION_OVER');
        expect(await codeOf(tx.iterate('SELECT 1').next())).toBe('TRANSACTION_OVER');
      }
      expect(await db.query('SELECT * FROM t')).toEqual([]);
    });
  });

  it('keeps what was written before its callback returned, awaited or not, and nothing of later', async () => {
    await request('unawaited', async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY)');
      let late: Promise<string | undefined> | undefined;
      await db.transaction(async (tx) => {
        void tx.run('INSERT INTO t VALUES(1)');
        late = codeOf(scheduler.wait(2).then(() => tx.run('INSERT INTO t VALUES(2)')));
      });
      expect(await late).toBe('TRANSACTION_OVER');
      expect(await db.query('SELECT id FROM t')).toEqual([{ id: 1 }]);
    });
  });

  it.each(['has begun', 'has not begun'])(
    'ends, and undoes with it, a savepoint that was not awaited and %s',
    async (when) => {
      await request(`unawaited savepoint ${when}`, async (db) => {
        await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY)');
        for (const isUndone of [false, true]) {
          const { promise: begun, resolve } = Promise.withResolvers<void>();
          let nested: Promise<string | undefined> | undefined;
          const outer = db.transaction(async (tx) => {
            await tx.run('INSERT INTO t VALUES(1)');
            nested = codeOf(
              tx.transaction(async (inner) => {
                await inner.run('INSERT INTO t VALUES(2)');
                resolve();
                await scheduler.wait(3);
                await inner.run('INSERT INTO t VALUES(3)');
              }),
            );
            if (when === 'has begun') await begun;
            if (isUndone) throw new Error('undo');
          });
          const other = db.run('INSERT INTO t VALUES(4)');
          expect(await codeOf(outer)).toBe(isUndone ? 'Error: undo' : undefined);
          expect(await nested).toBe('TRANSACTION_OVER');
          await other;
          const rows = isUndone ? [{ id: 4 }] : [{ id: 1 }, { id: 4 }];
          expect(await db.query('SELECT id FROM t')).toEqual(rows);
          const { lsn } = await db.run('DELETE FROM t');
          expect(await db.asOf({ lsn: lsn - BigInt(rows.length) }).query('SELECT id FROM t')).toEqual(rows);
        }
      });
    },
  );

  it('runs nested ones one after another, each kept or undone by itself', async () => {
    await request('nested', async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, by INTEGER, nth INTEGER)');
      await db.transaction(async (tx) => {
        const work = Array.from({ length: 9 }, (_, by) =>
          tx.transaction(async (inner) => {
            await inner.run('INSERT INTO t(by, nth) VALUES(?, 1)', [by]);
            await scheduler.wait(by % 3);
            await inner.run('INSERT INTO t(by, nth) VALUES(?, 2)', [by]);
            if (by % 3 === 0) throw new Error('undo');
          }),
        );
        const beside = tx.run('INSERT INTO t(by, nth) VALUES(99, 1)');
        const results = await Promise.allSettled(work);
        await beside;
        expect(results.map(({ status }) => status === 'rejected')).toEqual(
          Array.from({ length: 9 }, (_, by) => by % 3 === 0),
        );
      });
      const rows = await db.query<{ by: number; nth: number }>('SELECT by, nth FROM t ORDER BY id');
      const kept = [1, 2, 4, 5, 7, 8].flatMap((by) => [`${by} 1`, `${by} 2`]);
      expect(rows.map(({ by, nth }) => `${by} ${nth}`)).toEqual([...kept, '99 1']);
    });
  });
});
