import { DurableObject } from 'cloudflare:workers';
import { createDOBackend, createR2Backend, createTieredBackend } from '@dotdo/fsx';

const day = 24 * 60 * 60 * 1000;

/** One person's notes: recent ones in the object, large and old ones in R2. */
export class Notes extends DurableObject<{ BUCKET: R2Bucket }> {
  readonly files = createTieredBackend(
    createDOBackend(this.ctx.storage),
    createR2Backend(this.env.BUCKET, { prefix: `notes/${this.ctx.id.toString()}` }),
    { maxHotFileSize: 100_000, hotDataMaxAge: 7 * day },
  );

  /** Saves a note over the version that was edited, or as a new one. */
  async save(path: string, text: string, etag?: string): Promise<string> {
    const saved = await this.files.write(path, text, etag ? { ifMatch: etag } : { ifAbsent: true });
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now() + day);
    return saved.etag;
  }

  async load(path: string): Promise<string | null> {
    const bytes = await this.files.read(path);
    return bytes && new TextDecoder().decode(bytes);
  }

  async titles(): Promise<string[]> {
    const { files } = await this.files.list('', { limit: 100 });
    return files.map((file) => `${file.path}: ${file.size} bytes, ${file.tier}`);
  }

  /** Moves notes of a week ago to R2, once a day while there are any in the object. */
  override async alarm(): Promise<void> {
    await this.files.migrate();
    const { files } = await this.files.hot.list('', { limit: 1 });
    if (files.length > 0) await this.ctx.storage.setAlarm(Date.now() + day);
  }
}
