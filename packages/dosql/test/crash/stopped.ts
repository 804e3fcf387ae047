import { createCDC } from '@dotdo/cdc';
import { DB, type Database } from '../../src/index.ts';
import { Base } from './base.ts';

/** An object that is stopped while it loads what the library loads when it is first used. */
export class Stopped extends Base {
  #open(): Promise<Database> {
    return DB('stopped', { storage: this.ctx.storage });
  }

  async stopLoading(): Promise<void> {
    const db = await this.#open();
    const reading = createCDC(db).read(0);
    const branching = db.branches();
    const purging = db.purge('none', { where: 'TRUE' });
    this.ctx.abort('stopped by the test');
    await Promise.allSettled([reading, branching, purging]);
  }

  /** Uses all of it; how many changes were read. */
  async use(): Promise<number> {
    const db = await this.#open();
    await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)');
    const { changes } = await createCDC(db).read(0);
    const branch = await db.branch('b');
    await branch.run('INSERT INTO t VALUES (2)');
    await db.purge('t', { where: 'id = 2' });
    return changes.length;
  }
}
