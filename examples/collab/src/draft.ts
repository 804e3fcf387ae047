import { MAX_BLOCKS, MAX_TEXT_LENGTH, type BlockRow, type Properties } from './block.ts';
import type { Line } from './line.ts';
import type { Operation } from './messages.ts';
import { between, MAX_POSITION_LENGTH, spread } from './position.ts';
import { applyChange, diff, transform } from './text.ts';

/** Why operations are not done; meant for people. */
export class Refused extends Error {}

/** What writing comes to. */
export interface Written {
  /** Blocks of which only the text is new: their index need not be touched. */
  readonly texts: readonly BlockRow[];
  /** Blocks that are new, or of which more than the text is. */
  readonly rows: readonly BlockRow[];
  readonly removed: readonly string[];
}

/** The blocks that operations are about, as they were and as they come to be. */
export class Draft {
  readonly #line: Line;
  readonly #before = new Map<string, BlockRow>();
  readonly #after = new Map<string, BlockRow | undefined>();
  #added = 0;

  private constructor(line: Line) {
    this.#line = line;
  }

  /** A draft that knows the blocks that these operations name. */
  static async open(line: Line, operations: readonly Operation[]): Promise<Draft> {
    const draft = new Draft(line);
    const ids = operations.flatMap((operation) =>
      'after' in operation && operation.after !== null ? [operation.id, operation.after] : [operation.id],
    );
    for (const row of await line.rows([...new Set(ids)])) draft.#before.set(row.id, row);
    return draft;
  }

  /** The block as it comes to be. */
  get(id: string): BlockRow | undefined {
    return this.#after.has(id) ? this.#after.get(id) : this.#before.get(id);
  }

  /** Puts a block as it is to be, or takes it out. */
  put(id: string, row: BlockRow | undefined): void {
    this.#after.set(id, row);
  }

  /** The blocks that a run has changed, and whether they have gone by that. */
  touchedBy(run: string): { block: string; removed: number }[] {
    const own = [...this.#after].filter(([, row]) => row === undefined || row.run === run);
    return own.map(([block, row]) => ({ block, removed: row === undefined ? 1 : 0 }));
  }

  /**
   * Does a person's operations, which were made on the state of the LSN `base`.
   *
   * What they are about may have changed since: a text is merged; of all else the last one is right; and a block that
   * has gone stays gone.
   *
   * @throws Refused for what does not fit the state that they were made on, or is too much.
   */
  async operate(operations: readonly Operation[], base: number, run: string): Promise<void> {
    const stale = operations.filter(({ op, id }) => op === 'edit' && this.#line.mayHaveChanged(id, base));
    const texts = new Map<string, string>();
    for (const row of await this.#line.rowsAt(
      base,
      stale.map(({ id }) => id),
    ))
      texts.set(row.id, row.text);
    for (const operation of operations) {
      const { id } = operation;
      const row = this.get(id);
      if (operation.op === 'insert') {
        // One that is there already was put in by someone else's operation of the same id.
        if (row !== undefined) throw new Refused(`there is a block ${id}`);
        const { kind, text, properties, after } = operation;
        const position = await this.#positionAfter(after, base);
        this.#added++;
        this.put(id, { id, kind, text, properties: JSON.stringify(properties), position, run });
      } else if (row === undefined) continue;
      else if (operation.op === 'edit') {
        const seen = stale.includes(operation) ? texts.get(id) : row.text;
        if (seen === undefined) throw new Refused(`there was no block ${id} yet`);
        this.put(id, { ...row, text: editedText(row.text, seen, operation.change), run });
      } else if (operation.op === 'set') {
        const { kind = row.kind, properties = {} } = operation;
        const all = { ...(JSON.parse(row.properties) as Properties), ...properties };
        this.put(id, { ...row, kind, properties: JSON.stringify(all), run });
      } else if (operation.op === 'move') {
        if (operation.after === id) throw new Refused('a block does not come after itself');
        const position = await this.#positionAfter(operation.after, base);
        this.put(id, { ...(this.get(id) ?? row), position, run });
      } else this.put(id, undefined);
    }
    await this.checkSize();
  }

  /** @throws Refused when the document would have too many blocks. */
  async checkSize(): Promise<void> {
    if (this.#added === 0) return;
    const found = await this.#line.db.get<{ count: number }>('SELECT count(*) AS count FROM blocks');
    if ((found?.count ?? 0) + this.#added > MAX_BLOCKS)
      throw new Refused(`a document has at most ${MAX_BLOCKS} blocks`);
  }

  /** What there is to write. */
  written(): Written {
    const texts: BlockRow[] = [];
    const rows: BlockRow[] = [];
    const removed: string[] = [];
    for (const [id, after] of this.#after) {
      const before = this.#before.get(id);
      if (after === undefined) {
        if (before !== undefined) removed.push(id);
      } else if (before === undefined || isMoreThanText(before, after)) rows.push(after);
      else if (before.text !== after.text) texts.push(after);
    }
    return { texts, rows, removed };
  }

  /**
   * The position behind a block, or at the beginning. Operations come one after the other, so two that are made at
   * the same time at one place get two positions, in the order in which they come.
   */
  async #positionAfter(id: string | null, base: number): Promise<string> {
    const before = id === null ? '' : await this.#positionOf(id, base);
    const position = between(before, await this.#nextPosition(before));
    if (position.length <= MAX_POSITION_LENGTH) return position;
    await this.#spread();
    const now = id === null ? '' : await this.#positionOf(id, base);
    return between(now, await this.#nextPosition(now));
  }

  /** Where a block is; or was, if it has gone since: the log knows. Otherwise the end. */
  async #positionOf(id: string, base: number): Promise<string> {
    const row = this.get(id) ?? (await this.#line.rowsAt(base, [id]))[0];
    if (row !== undefined) return row.position;
    const last = await this.#line.db.get<{ position: string }>(
      "SELECT coalesce(max(position), '') AS position FROM blocks",
    );
    return last?.position ?? '';
  }

  async #nextPosition(before: string): Promise<string | undefined> {
    const next = await this.#line.db.get<{ position: string | null }>(
      'SELECT min(position) AS position FROM blocks WHERE position > ?',
      [before],
    );
    const positions = [...this.#after.values()].map((row) => row?.position ?? '');
    return [...positions, next?.position ?? ''].filter((position) => position > before).sort()[0];
  }

  /** Gives all blocks new positions, in the order that they have: nobody's doing, so nobody can undo it. */
  async #spread(): Promise<void> {
    for (const row of await this.#line.db.query<BlockRow>('SELECT * FROM blocks'))
      if (!this.#before.has(row.id)) this.#before.set(row.id, row);
    const ids = new Set([...this.#before.keys(), ...this.#after.keys()]);
    const rows = [...ids].map((id) => this.get(id)).filter((row) => row !== undefined);
    rows.sort((a, b) => (a.position < b.position || (a.position === b.position && a.id < b.id) ? -1 : 1));
    const positions = spread(rows.length);
    rows.forEach((row, i) => this.put(row.id, { ...row, position: positions[i] ?? row.position, run: '' }));
  }
}

/** A text with a change that was made when it was `seen`. */
function editedText(
  text: string,
  seen: string,
  change: readonly (readonly [number, number, string])[],
): string {
  if (applyChange(seen, change) === undefined) throw new Refused('the change does not fit the text');
  const edited = applyChange(text, text === seen ? change : transform(change, diff(seen, text))) ?? text;
  if (edited.length > MAX_TEXT_LENGTH) throw new Refused(`a block has at most ${MAX_TEXT_LENGTH} characters`);
  // A change may cut a character of two units in half.
  if (!edited.isWellFormed()) throw new Refused('the text is not well-formed');
  return edited;
}

function isMoreThanText(before: BlockRow, after: BlockRow): boolean {
  return (
    before.kind !== after.kind || before.properties !== after.properties || before.position !== after.position
  );
}
