import { DurableObject } from 'cloudflare:workers';
import { createDOBackend } from '@dotdo/fsx';

/** A page whose row and file are of one version, whatever happens. */
export class Page extends DurableObject {
  readonly files = createDOBackend(this.ctx.storage);

  publish(html: string): number {
    return this.ctx.storage.transactionSync(() => {
      const { sql } = this.ctx.storage;
      sql.exec('CREATE TABLE IF NOT EXISTS version (id INTEGER PRIMARY KEY, size INTEGER)').toArray();
      const { size } = this.files.writeSync('index.html', html);
      return Number(sql.exec('INSERT INTO version (size) VALUES (?) RETURNING id', size).one()['id']);
    });
  }
}
