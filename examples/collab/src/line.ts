import { createCDC, type Cdc } from '@dotdo/cdc';
import type { Database } from '@dotdo/dosql';
import { blockOf, compareBlocks, type Block, type BlockRow } from './block.ts';
import type { BlockChange } from './messages.ts';
import { diff } from './text.ts';

/** The line that every document has; the others are branches. */
export const MAIN = 'main';

/** Changes that are read from the log at a time. */
const PAGE = 1_000;
/** Blocks whose last change is remembered. */
const MAX_REMEMBERED = 20_000;

/** What has happened on a line since it was last looked at. */
export interface News {
  readonly lsn: number;
  readonly changes: readonly BlockChange[];
  readonly title: string | undefined;
}

/**
 * Main or a branch of a document: its blocks, and the log of their changes.
 *
 * Invariant: whoever writes holds the document's turn, so between reading and writing nothing changes.
 */
export class Line {
  readonly name: string;
  readonly db: Database;
  readonly #cdc: Cdc;
  /** How far `news` has told. */
  #lsn: bigint;
  /** When blocks last changed; of those that are not in here, only that they have not since `#rememberedFrom`. */
  readonly #changed = new Map<string, number>();
  #rememberedFrom: number;

  constructor(name: string, db: Database, cdc: Cdc = createCDC(db)) {
    this.name = name;
    this.db = db;
    this.#cdc = cdc;
    this.#lsn = db.lsn();
    this.#rememberedFrom = Number(this.#lsn);
  }

  /** How far `news` has told. */
  get lsn(): number {
    return Number(this.#lsn);
  }

  /** All blocks, in their order. */
  async blocks(): Promise<Block[]> {
    const rows = await this.db.query<BlockRow>('SELECT * FROM blocks');
    return rows.map(blockOf).sort(compareBlocks);
  }

  /** The blocks with these ids that there are. */
  async rows(ids: readonly string[]): Promise<BlockRow[]> {
    if (ids.length === 0) return [];
    return this.db.query<BlockRow>('SELECT * FROM blocks WHERE id IN (SELECT value FROM json_each(?))', [
      JSON.stringify(ids),
    ]);
  }

  /** The same as of an LSN: it is the log that knows what a client saw. */
  async rowsAt(lsn: number, ids: readonly string[]): Promise<BlockRow[]> {
    if (ids.length === 0) return [];
    return this.db
      .asOf({ lsn: BigInt(lsn) }, { schema: 'present' })
      .query<BlockRow>('SELECT * FROM blocks WHERE id IN (SELECT value FROM json_each(?))', [
        JSON.stringify(ids),
      ]);
  }

  /** Whether a block may have changed after an LSN; true also where that is not remembered. */
  mayHaveChanged(id: string, lsn: number): boolean {
    return lsn < this.#rememberedFrom || (this.#changed.get(id) ?? 0) > lsn;
  }

  /** Takes down that blocks have changed, before `news` has told of it. */
  noteChanged(ids: Iterable<string>): void {
    const lsn = Number(this.db.lsn());
    if (this.#changed.size > MAX_REMEMBERED) {
      this.#changed.clear();
      this.#rememberedFrom = lsn;
    }
    for (const id of ids) this.#changed.set(id, lsn);
  }

  /** What has changed since the last call, whatever did it: an edit, a restore or a merge. */
  async news(): Promise<News> {
    const changes: BlockChange[] = [];
    let title: string | undefined;
    while (this.#lsn < this.db.lsn()) {
      const page = await this.#cdc.read(this.#lsn, { tables: ['blocks', 'document'], limit: PAGE });
      for (const { table, key, before, after } of page.changes) {
        if (table === 'document') title = String(after?.['title']);
        else changes.push(changeOf(String(key['id']), before as BlockRow | null, after as BlockRow | null));
      }
      this.#lsn = page.lsn;
    }
    this.noteChanged(changes.map(({ id }) => id));
    return { lsn: this.lsn, changes, title };
  }

  /** What a client needs that has the state of an LSN; undefined when that is too long ago to tell. */
  async since(lsn: number): Promise<{ blocks: Block[]; removed: string[] } | undefined> {
    const known = await this.db.earliest();
    if (lsn < Number(known.lsn) || lsn > this.lsn) return undefined;
    const page = await this.#cdc.read(lsn, { tables: ['blocks'], limit: PAGE });
    if (page.lsn < this.#lsn) return undefined;
    const ids = [...new Set(page.changes.map(({ key }) => String(key['id'])))];
    const blocks = (await this.rows(ids)).map(blockOf);
    const there = new Set(blocks.map(({ id }) => id));
    return { blocks, removed: ids.filter((id) => !there.has(id)) };
  }
}

/** What of a block is new. A text is told by what changed of it, which is shorter than the text. */
function changeOf(id: string, before: BlockRow | null, after: BlockRow | null): BlockChange {
  if (after === null) return { id, gone: true };
  const block = blockOf(after);
  if (before === null) return block;
  return {
    id,
    ...(before.text === after.text ? {} : { text: diff(before.text, after.text) }),
    ...(before.kind === after.kind ? {} : { kind: after.kind }),
    ...(before.properties === after.properties ? {} : { properties: block.properties }),
    ...(before.position === after.position ? {} : { position: after.position }),
  };
}
