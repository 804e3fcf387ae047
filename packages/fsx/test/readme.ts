import { DurableObject } from 'cloudflare:workers';
import { createDOBackend, createR2Backend, createResilientBackend, createTieredBackend } from '@dotdo/fsx';

const day = 24 * 60 * 60 * 1000;

/** One person's notes: recent ones in the object, large and old ones in R2. */
export class Notes extends DurableObject<{ BUCKET: R2Bucket }> {
  readonly files = createTieredBackend(
    createDOBackend(this.ctx.storage),
    createResilientBackend(createR2Backend(this.env.BUCKET, { prefix: `notes/${this.ctx.id.toString()}` })),
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

  /** Takes and sends scans of any size, which are never whole in memory. */
  override async fetch(request: Request): Promise<Response> {
    const path = `scans${new URL(request.url).pathname}`;
    if (request.method === 'PUT') {
      const length = request.headers.get('content-length');
      const size = length === null ? undefined : Number(length);
      await this.files.write(path, request.body ?? '', { size });
      return new Response(null, { status: 201 });
    }
    const stream = await this.files.readStream(path);
    return stream ? new Response(stream) : new Response(null, { status: 404 });
  }

  /** Moves notes of a week ago to R2, once a day while there are any in the object. */
  override async alarm(): Promise<void> {
    await this.files.migrate();
    const { hot, pinned } = await this.files.stats();
    if (hot.files > pinned.files) await this.ctx.storage.setAlarm(Date.now() + day);
  }
}
