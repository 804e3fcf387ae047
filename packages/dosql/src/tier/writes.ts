import { clausesOf } from '../branch/clauses.ts';
import type { Engine, Outcome, RunOptions } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import type { Budget } from '../scan/budget.ts';
import type { ScanTable } from '../scan/table.ts';
import { sameName } from '../schema/catalog.ts';
import { MAIN, namesBehind } from '../schema/line.ts';
import { ROWID_NAMES, type Relation } from '../schema/relation.ts';
import type { Statement } from '../sql/statement.ts';
import { lowerName } from '../sql/token.ts';
import { orderParameters, type SqlParameter } from '../value/parameter.ts';
import type { SqlValue } from '../value/row.ts';
import { bringBack, lostVersion, storedFields, type FileRows } from './bring-back.ts';
import { clashesAfter, keysOf, keyText, type Clash, type UniqueKey } from './clashes.ts';
import { FILE_COLUMN, ROW_COLUMN, ROWID_COLUMN, type ColdTable } from './cold-table.ts';
import { highestHot, highestIn, highestPlace } from './highest.ts';
import type { ColdFile, Manifest, TieredTable } from './manifest.ts';
import type { Names } from './names.ts';
import type { Reads } from './reads.ts';
import { columnList, selectionOf } from './selection.ts';
import type { Pass } from '../outcome.ts';
import { valueAt } from './vectors.ts';

/** A query that began before a file went may read it for so long. */
export const GRACE_MS = 3_600_000;
/** A statement is tried so often while what it reads keeps changing under it. */
const MAX_ATTEMPTS = 50;

/** Opens a file of cold rows. */
export type OpenStored = (file: ColdFile, budget: Budget) => Promise<ScanTable>;

/** Positions of rows in files. */
type Places = Map<number, number[]>;

/** Thrown to undo what a statement has written before it is known whether cold rows allow it. */
class Undo extends Error {
  readonly clashes: readonly Clash[];
  /** The highest rowid that SQLite then saw, where a cold row may have a higher one: it would give that again. */
  readonly highest: number | undefined;

  constructor(clashes: readonly Clash[], highest: number | undefined) {
    super('undone');
    this.clashes = clashes;
    this.highest = highest;
  }
}

/** The rows that a statement is about have been made hot. */
interface Matched {
  /** The version of the manifest in which that is so; undefined where it is about none. */
  readonly version: number | undefined;
  /** Whether it is about other cold rows by now, because of what has been written elsewhere. */
  readonly hasMore: () => boolean;
}

/** A statement that was undone, in this version of the manifest. */
interface Undone {
  readonly undo: Undo;
  readonly version: number;
}

/**
 * Writes tables that have cold rows. Nothing is written to files: the rows that a statement could meet, those that its
 * WHERE takes and those that have the same unique values, become hot first, and then SQLite runs the user's own
 * statement. Which these are is looked up without holding anyone back, so it is made sure of within the turn in
 * which the statement runs, and looked up again where something has come between.
 */
export class Writes {
  readonly #engine: Engine;
  readonly #manifest: Manifest;
  readonly #names: Names;
  readonly #reads: Reads;

  constructor(engine: Engine, manifest: Manifest, names: Names, reads: Reads) {
    this.#engine = engine;
    this.#manifest = manifest;
    this.#names = names;
    this.#reads = reads;
  }

  /** Runs a statement that writes, or that reads cold rows or files to write elsewhere. */
  async run(
    statement: Statement,
    params: readonly SqlParameter[],
    options: RunOptions,
    pass: Pass,
    budget: Budget,
  ): Promise<Outcome> {
    const values = orderParameters(statement, params);
    const harmless = new Set<string>();
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const { target, version } = await pass(() => ({
        target: this.#target(statement),
        version: this.#manifest.version,
      }));
      const matched =
        target === undefined
          ? { version, hasMore: () => false }
          : await this.#bringMatching(statement, values, target, options, pass, budget);
      if (matched === undefined) continue;
      // An INSERT of values, or of rows of json_each, reads nothing that could be cold.
      const readsNothing =
        target !== undefined && clausesOf(statement)?.verb === 'insert' && !this.#names.reads(statement);
      const needs = readsNothing
        ? undefined
        : await pass(() => this.#reads.needs(statement, values, options));
      const instead = needs && (await this.#reads.fetch(needs, budget));
      if (needs !== undefined && instead === undefined) continue;
      const result = await pass((): Outcome | Undone | undefined => {
        if (needs !== undefined && !this.#reads.isCurrent(needs)) return undefined;
        // Rows that it is about may have become cold since they were looked for.
        if (matched.version !== undefined && matched.version !== this.#manifest.version) return undefined;
        if (matched.hasMore()) return undefined;
        const redirected =
          instead === undefined
            ? { ...options, isHotOnly: true }
            : { ...options, redirect: this.#reads.redirect(instead) };
        try {
          return this.#engine.atomically(() => {
            const before = this.#engine.log.end();
            const outcome = this.#engine.run(statement, params, redirected);
            if (target === undefined) return outcome;
            const found = this.#clashes(target.relation, before, options, harmless);
            const highest = this.#tooLow(target.relation, harmless, options.branch);
            if (found.length > 0 || highest !== undefined) throw new Undo(found, highest);
            return outcome;
          });
        } catch (error) {
          // What is looked up for it is looked up in the manifest of this moment.
          if (error instanceof Undo) return { undo: error, version: this.#manifest.version };
          throw error;
        }
      });
      if (result === undefined) continue;
      if (!('undo' in result)) return result;
      if (target === undefined) continue;
      const { undo } = result;
      if (undo.highest !== undefined)
        await this.#bringHighest(target.relation, harmless, pass, budget, undo.highest);
      if (undo.clashes.length > 0)
        await this.#bringClashing(target, undo.clashes, result.version, harmless, pass, budget);
    }
    throw new DoSQLError(
      'STORAGE_UNAVAILABLE',
      `what the statement reads has changed ${MAX_ATTEMPTS} times while it was read: try it again`,
      { sql: statement.sql },
    );
  }

  /**
   * Whether a statement can be run without looking at cold rows: one that inserts rows whose only unique value is a
   * rowid that SQLite gives, which is above all others.
   */
  isSafe(statement: Statement): boolean {
    const clauses = statement.references.length === 1 ? clausesOf(statement) : undefined;
    // On a branch the rowid is not above those of main's rows that came after it was made.
    if (clauses?.verb !== 'insert' || this.#engine.hasBranchesNow) return false;
    const { name, whole } = clauses.target;
    const relation = this.#engine.catalog
      .current()
      .find((relation) => relation.branch === MAIN && sameName(relation.name, name));
    if (relation === undefined || relation.key.kind !== 'rowid') return false;
    const { unique, hasTriggers } = keysOf(this.#engine, relation);
    const given = columnList(statement, whole.end);
    if (unique.length > 1 || hasTriggers || given === undefined) return false;
    const rowids = new Set([...ROWID_NAMES, lowerName(relation.key.name)]);
    return !given.some((column) => rowids.has(lowerName(column)));
  }

  /** Makes the cold rows with these keys hot: those whose first column has one of `values`, by `matches`. */
  async bringKeys(
    relation: Relation,
    key: UniqueKey,
    keys: readonly (readonly SqlValue[])[],
    pass: Pass,
    budget: Budget,
  ): Promise<void> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const { version } = this.#manifest;
      const files = await pass(() => this.#manifest.tables.get(relation.tableId)?.files ?? []);
      const places = await this.#find(relation, key, keys, files, budget);
      if (places.size === 0) return;
      if ((await this.#bring(relation, places, version, pass, budget)) !== undefined) return;
    }
  }

  /** Makes all cold rows of these files hot. */
  async bringFile(relation: Relation, file: ColdFile, pass: Pass, budget: Budget): Promise<void> {
    const { version } = this.#manifest;
    const positions: number[] = [];
    const table = this.#reads.coldTable(relation, [file]);
    for await (const batch of table.scan({ columns: [ROW_COLUMN], conditions: [], budget })) {
      const rows = batch.column(ROW_COLUMN);
      for (let i = 0; i < batch.rowCount; i++) positions.push(valueAt(rows, i) as number);
    }
    await this.#bring(relation, new Map([[file.id, positions]]), version, pass, budget);
  }

  #target(statement: Statement): { tiered: TieredTable; relation: Relation } | undefined {
    const name = clausesOf(statement)?.target.name;
    if (name === undefined) return undefined;
    const { catalog } = this.#engine;
    for (const one of namesBehind(name)) {
      for (const id of catalog.tableIdsCalled(one)) {
        const tiered = this.#manifest.tables.get(id);
        const relation = catalog.present(id);
        if (tiered !== undefined && tiered.files.length > 0 && relation !== undefined)
          return { tiered, relation };
      }
      // A table without cold rows, or with none any more: what is called like its end is another.
      if (catalog.current().some((table) => sameName(table.name, one))) return undefined;
    }
    return undefined;
  }

  /** Makes the cold rows hot that an UPDATE or DELETE is about; undefined where something has come between. */
  async #bringMatching(
    statement: Statement,
    values: readonly SqlParameter[],
    { relation }: { relation: Relation },
    options: RunOptions,
    pass: Pass,
    budget: Budget,
  ): Promise<Matched | undefined> {
    const isOnBranch =
      options.branch !== undefined || clausesOf(statement)?.target.name.includes('/') === true;
    const select = selectionOf(statement, relation, isOnBranch);
    if (select === undefined) return { version: undefined, hasMore: () => false };
    // A branch copies up what the WHERE takes by the rows that are hot, also those of other tables.
    if (isOnBranch && statement.references.length > 1) await this.#bringNamed(statement, pass, budget);
    const { needs, query, given } = await pass(() => {
      const query = this.#engine.statement(select);
      const given = values.slice(0, query.parameterCount);
      return { needs: this.#reads.needs(query, given, {}, relation), query, given };
    });
    const instead = await this.#reads.fetch(needs, budget);
    if (instead === undefined) return undefined;
    const matching = (): Places =>
      placesIn(
        this.#engine.run(query, given, { redirect: this.#reads.redirect(instead) }).raw as [number, number][],
      );
    const places = await pass(() => (this.#reads.isCurrent(needs) ? matching() : undefined));
    if (places === undefined) return undefined;
    const version =
      places.size === 0 ? needs.version : await this.#bring(relation, places, needs.version, pass, budget);
    if (version === undefined) return undefined;
    // A WHERE that reads nothing else takes the same rows for as long as the same rows are cold.
    const isSimple = statement.references.length === 1;
    const isNew = ([file, rows]: [number, number[]]): boolean =>
      rows.some((row) => places.get(file)?.includes(row) !== true);
    return { version, hasMore: () => !isSimple && [...matching()].some(isNew) };
  }

  /** Makes all cold rows of the tables hot that a statement names. */
  async #bringNamed({ references }: Statement, pass: Pass, budget: Budget): Promise<void> {
    const { catalog } = this.#engine;
    const ids = references.flatMap(({ name, isCte }) =>
      isCte ? [] : namesBehind(name).flatMap((one) => [...catalog.tableIdsCalled(one)]),
    );
    for (const id of new Set(ids))
      for (;;) {
        const relation = catalog.present(id);
        const file = this.#manifest.tables.get(id)?.files[0];
        if (relation === undefined || file === undefined) break;
        await this.bringFile(relation, file, pass, budget);
      }
  }

  async #bringClashing(
    { relation }: { relation: Relation },
    clashes: readonly Clash[],
    version: number,
    harmless: Set<string>,
    pass: Pass,
    budget: Budget,
  ): Promise<void> {
    const byKey = new Map<UniqueKey, Clash[]>();
    for (const clash of clashes) byKey.set(clash.key, [...(byKey.get(clash.key) ?? []), clash]);
    const places: Places = new Map();
    for (const [key, of] of byKey) {
      const files = [...new Set(of.flatMap((clash) => clash.files))];
      const found = await this.#find(
        relation,
        key,
        of.map((clash) => clash.values),
        files,
        budget,
      );
      for (const [file, rows] of found)
        places.set(
          file,
          [...new Set([...(places.get(file) ?? []), ...rows])].sort((a, b) => a - b),
        );
    }
    if (places.size > 0) await this.#bring(relation, places, version, pass, budget);
    else
      for (const { key, values } of clashes)
        harmless.add(`${version} ${key.columnIds.join()} ${keyText(values)}`);
  }

  /** The highest rowid that SQLite sees, where that may not be the highest that the table has; else undefined. */
  #tooLow(relation: Relation, harmless: ReadonlySet<string>, branch?: number): number | undefined {
    if (harmless.has(`${this.#manifest.version} highest`)) return undefined;
    const cold = highestIn(this.#manifest.tables.get(relation.tableId)?.files ?? [], relation);
    const hot = cold === undefined ? undefined : highestHot(this.#engine, relation, branch);
    return cold !== undefined && hot !== undefined && hot < cold ? hot : undefined;
  }

  /** Makes the row with the highest rowid hot, if SQLite does not see a higher one. */
  async #bringHighest(
    relation: Relation,
    harmless: Set<string>,
    pass: Pass,
    budget: Budget,
    hot = -Infinity,
  ): Promise<void> {
    const { version } = this.#manifest;
    const files = this.#manifest.tables.get(relation.tableId)?.files ?? [];
    const highest = await highestPlace(this.#reads, relation, files, budget);
    // It is so at the next try as well, when it is not needed there.
    if (highest === undefined || highest.rowid <= hot) harmless.add(`${version} highest`);
    else await this.#bring(relation, new Map([[highest.file, [highest.row]]]), version, pass, budget);
  }

  /** Sees to it that SQLite sees the highest rowid after what may delete rows with `keys`, none of which are cold. */
  async keepHighest(
    relation: Relation,
    keys: ReadonlyMap<string, unknown>,
    pass: Pass,
    budget: Budget,
  ): Promise<void> {
    const hot = highestHot(this.#engine, relation);
    if (hot === undefined || !keys.has(keyText([hot]))) return;
    await this.#bringHighest(relation, new Set(), pass, budget);
  }

  #clashes(
    relation: Relation,
    before: number,
    { branch = MAIN }: RunOptions,
    harmless: Set<string>,
  ): Clash[] {
    const files = this.#manifest.tables.get(relation.tableId)?.files ?? [];
    const { version } = this.#manifest;
    return clashesAfter(
      this.#engine,
      before,
      branch,
      relation,
      keysOf(this.#engine, relation).unique,
      files,
    ).filter(({ key, values }) => !harmless.has(`${version} ${key.columnIds.join()} ${keyText(values)}`));
  }

  /** Where the rows are that have one of these keys. */
  async #find(
    relation: Relation,
    { columnIds, names }: UniqueKey,
    keys: readonly (readonly SqlValue[])[],
    files: readonly ColdFile[],
    budget: Budget,
  ): Promise<Places> {
    const columns = names.map((name, i) => (columnIds[i] === -1 ? ROWID_COLUMN : name));
    const wanted = new Set(keys.map(keyText));
    const table = this.#reads.coldTable(relation, files);
    const places: Places = new Map();
    const conditions = columns.flatMap((column, i) =>
      column === ROWID_COLUMN
        ? []
        : [{ column, operator: 'in' as const, values: [...new Set(keys.map((key) => key[i] as SqlValue))] }],
    );
    const scanned = [...columns, FILE_COLUMN, ROW_COLUMN];
    for await (const batch of table.scan({ columns: scanned, conditions, budget })) {
      const vectors = columns.map((name) => batch.column(name));
      const [file, row] = [batch.column(FILE_COLUMN), batch.column(ROW_COLUMN)];
      for (let i = 0; i < batch.rowCount; i++)
        if (wanted.has(keyText(vectors.map((vector) => valueAt(vector, i)))))
          place(places, valueAt(file, i) as number, valueAt(row, i) as number);
    }
    return places;
  }

  /**
   * Makes rows hot; returns the version of the manifest that comes of it, undefined when it is not any more the one in
   * which they were found.
   */
  async #bring(
    relation: Relation,
    places: Places,
    version: number,
    pass: Pass,
    budget: Budget,
  ): Promise<number | undefined> {
    const files = (this.#manifest.tables.get(relation.tableId)?.files ?? []).filter(({ id }) =>
      places.has(id),
    );
    const rows: FileRows[] = [];
    for (const file of files) {
      const version = lostVersion(this.#engine, relation, file);
      const positions = new Set(places.get(file.id));
      const table = this.#reads.coldTable(relation, [file]);
      const names = storedFields(relation).map(({ id, name }) => (id === -1 ? ROWID_COLUMN : name));
      const read = await readRows(table, names, positions, budget);
      const before =
        version === undefined
          ? undefined
          : {
              version,
              rows: (
                await readRows(
                  this.#reads.coldTable(version, [file]),
                  [...version.columns.map(({ name }) => name), ROWID_COLUMN],
                  positions,
                  budget,
                )
              ).rows,
            };
      rows.push({ file, ...read, before });
    }
    return pass(() => {
      if (this.#manifest.version !== version) return undefined;
      bringBack(this.#engine, this.#manifest, relation, rows, this.#engine.nowMs() + GRACE_MS);
      return this.#manifest.version;
    });
  }
}

/** The values of these columns in the rows at some positions of a file. */
async function readRows(
  table: ColdTable,
  names: readonly string[],
  wanted: ReadonlySet<number>,
  budget: Budget,
): Promise<Pick<FileRows, 'positions' | 'rows'>> {
  const types = names.map((name) => table.columns.find((column) => column.name === name)?.type);
  const positions: number[] = [];
  const rows: SqlValue[][] = [];
  for await (const batch of table.scan({ columns: [ROW_COLUMN], conditions: [], budget })) {
    const row = batch.column(ROW_COLUMN);
    const found: number[] = [];
    for (let i = 0; i < batch.rowCount; i++) if (wanted.has(valueAt(row, i) as number)) found.push(i);
    if (found.length === 0) continue;
    await batch.fetch(names, Uint32Array.from(found));
    const vectors = names.map((name) => batch.column(name));
    for (const i of found) {
      positions.push(valueAt(row, i) as number);
      rows.push(vectors.map((vector, c) => valueAt(vector, i, types[c])));
    }
  }
  return { positions, rows };
}

function placesIn(raw: readonly (readonly [number, number])[]): Places {
  const places: Places = new Map();
  for (const [file, row] of raw) place(places, file, row);
  for (const [file, rows] of places)
    places.set(
      file,
      [...new Set(rows)].sort((a, b) => a - b),
    );
  return places;
}

function place(places: Places, file: number, row: number): void {
  const rows = places.get(file);
  if (rows === undefined) places.set(file, [row]);
  else rows.push(row);
}
