import { clausesOf } from '../branch/clauses.ts';
import type { Engine, Outcome, RunOptions } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import type { Budget } from '../scan/budget.ts';
import type { ScanTable } from '../scan/table.ts';
import { sameName } from '../schema/catalog.ts';
import { MAIN } from '../schema/line.ts';
import type { Relation } from '../schema/relation.ts';
import type { Span } from '../sql/scan.ts';
import { splice, type Statement } from '../sql/statement.ts';
import { first } from '../sql/read.ts';
import { isName, lowerName, nameOf, quoteName } from '../sql/token.ts';
import { orderParameters, type SqlParameter } from '../value/parameter.ts';
import type { SqlValue } from '../value/row.ts';
import { bringBack, lostVersion, storedFields, type FileRows } from './bring-back.ts';
import { clashesAfter, keysOf, keyText, type Clash, type UniqueKey } from './clashes.ts';
import { FILE_COLUMN, ROW_COLUMN, ROWID_COLUMN, type ColdTable } from './cold-table.ts';
import type { ColdFile, Manifest, TieredTable } from './manifest.ts';
import { COLD_PLACES, type Reads } from './reads.ts';
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
  /** The row with the highest rowid is cold: SQLite would give that rowid again. */
  readonly lacksHighest: boolean;

  constructor(clashes: readonly Clash[], lacksHighest: boolean) {
    super('undone');
    this.clashes = clashes;
    this.lacksHighest = lacksHighest;
  }
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
  readonly #reads: Reads;

  constructor(engine: Engine, manifest: Manifest, reads: Reads) {
    this.#engine = engine;
    this.#manifest = manifest;
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
      const target = await pass(() => this.#target(statement));
      if (target !== undefined) await this.#bringMatching(statement, values, target, options, pass, budget);
      // An INSERT of values reads nothing.
      const isAlone = statement.references.length === 1 && target !== undefined;
      const readsNothing = isAlone && clausesOf(statement)?.verb === 'insert';
      const needs = readsNothing
        ? undefined
        : await pass(() => this.#reads.needs(statement, values, options));
      const instead = needs && (await this.#reads.fetch(needs, budget));
      const result = await pass((): Outcome | Undone | undefined => {
        if (needs !== undefined && !this.#reads.isCurrent(needs)) return undefined;
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
            const lacksHighest = this.#lacksHighest(target.relation, harmless);
            if (found.length > 0 || lacksHighest) throw new Undo(found, lacksHighest);
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
      const { undo, version } = result;
      if (undo.lacksHighest) await this.#bringHighest(target.relation, harmless, pass, budget);
      if (undo.clashes.length > 0)
        await this.#bringClashing(target, undo.clashes, version, harmless, pass, budget);
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
    if (clauses?.verb !== 'insert') return false;
    const { name, whole } = clauses.target;
    const relation = this.#engine.catalog
      .current()
      .find((relation) => relation.branch === MAIN && sameName(relation.name, name));
    if (relation === undefined || relation.key.kind !== 'rowid') return false;
    const { unique, hasTriggers } = keysOf(this.#engine, relation);
    const given = columnList(statement, whole.end);
    if (unique.length > 1 || hasTriggers || given === undefined) return false;
    const rowids = new Set(['rowid', '_rowid_', 'oid', lowerName(relation.key.name)]);
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
      if (places.size === 0 || (await this.#bring(relation, places, version, pass, budget))) return;
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
    const ids = this.#engine.catalog.tableIdsCalled(name.slice(name.lastIndexOf('/') + 1));
    for (const tiered of this.#manifest.tables.values()) {
      if (!ids.has(tiered.tableId) || tiered.files.length === 0) continue;
      const relation = this.#engine.catalog.present(tiered.tableId);
      if (relation !== undefined) return { tiered, relation };
    }
    return undefined;
  }

  /** Makes the cold rows hot that an UPDATE or DELETE is about. */
  async #bringMatching(
    statement: Statement,
    values: readonly SqlParameter[],
    { relation }: { relation: Relation },
    options: RunOptions,
    pass: Pass,
    budget: Budget,
  ): Promise<void> {
    const select = selectionOf(statement, relation, options.branch !== undefined);
    if (select === undefined) return;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const { needs, query, given } = await pass(() => {
        const query = this.#engine.statement(select);
        const given = values.slice(0, query.parameterCount);
        return { needs: this.#reads.needs(query, given, {}, relation), query, given };
      });
      const instead = await this.#reads.fetch(needs, budget);
      const places = await pass((): Places | undefined => {
        if (!this.#reads.isCurrent(needs)) return undefined;
        const { raw } = this.#engine.run(query, given, { redirect: this.#reads.redirect(instead) });
        return placesIn(raw as [number, number][]);
      });
      if (places === undefined) continue;
      if (places.size === 0 || (await this.#bring(relation, places, needs.version, pass, budget))) return;
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

  /** Whether SQLite would not see the highest rowid that the table has, and give it to a new row. */
  #lacksHighest(relation: Relation, harmless: ReadonlySet<string>): boolean {
    const { key } = relation;
    if (key.kind !== 'rowid' || harmless.has(`${this.#manifest.version} highest`)) return false;
    if (keysOf(this.#engine, relation).isAutoincrement) return false;
    const cold = highestIn(this.#manifest.tables.get(relation.tableId)?.files ?? [], key.columnId ?? -1);
    if (cold === undefined) return false;
    const { sql } = this.#engine.storage;
    const hot = first<[number | null]>(
      sql,
      `SELECT max(${quoteName(key.name)}) FROM main.${quoteName(relation.table)}`,
    );
    return (hot?.[0] ?? -Infinity) < cold;
  }

  async #bringHighest(relation: Relation, harmless: Set<string>, pass: Pass, budget: Budget): Promise<void> {
    const { version } = this.#manifest;
    const { key } = relation;
    if (key.kind !== 'rowid') return;
    const id = key.columnId ?? -1;
    const files = this.#manifest.tables.get(relation.tableId)?.files ?? [];
    const name = relation.columns.find((column) => column.id === id)?.name ?? ROWID_COLUMN;
    let highest: { readonly rowid: number | bigint; readonly file: number; readonly row: number } | undefined;
    // By what they may have at most; what a file says may be of a row that has gone from it.
    for (const file of files.toSorted((a, b) => Number(highestIn([b], id)) - Number(highestIn([a], id)))) {
      if (highest !== undefined && highest.rowid >= (highestIn([file], id) ?? -Infinity)) break;
      const table = this.#reads.coldTable(relation, [file]);
      for await (const batch of table.scan({ columns: [name, ROW_COLUMN], conditions: [], budget })) {
        const [rowids, rows] = [batch.column(name), batch.column(ROW_COLUMN)];
        for (let i = 0; i < batch.rowCount; i++) {
          const rowid = valueAt(rowids, i) as number | bigint;
          if (highest === undefined || rowid > highest.rowid)
            highest = { rowid, file: file.id, row: valueAt(rows, i) as number };
        }
      }
    }
    // It is so at the next try as well, when it is not needed there.
    if (highest === undefined) harmless.add(`${version} highest`);
    else await this.#bring(relation, new Map([[highest.file, [highest.row]]]), version, pass, budget);
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

  /** Makes rows hot; returns whether their files are still as they were in this version of the manifest. */
  async #bring(
    relation: Relation,
    places: Places,
    version: number,
    pass: Pass,
    budget: Budget,
  ): Promise<boolean> {
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
      if (this.#manifest.version !== version) return false;
      bringBack(this.#engine, this.#manifest, relation, rows, this.#engine.nowMs() + GRACE_MS);
      return true;
    });
  }
}

/** The columns named behind the target of an INSERT, at `end`; undefined where none are. */
function columnList({ tokens, sql }: Statement, end: number): string[] | undefined {
  const open = tokens.findIndex(({ start }) => start >= end);
  if (tokens[open]?.text !== '(') return undefined;
  const close = tokens.findIndex(({ text }, i) => i > open && text === ')');
  return tokens
    .slice(open + 1, close)
    .filter(isName)
    .map((token) => nameOf(sql, token));
}

function highestIn(files: readonly ColdFile[], id: number): number | bigint | undefined {
  let highest: number | bigint | undefined;
  for (const { ranges } of files) {
    const max = ranges.get(id)?.max as number | bigint | undefined;
    if (max !== undefined && (highest === undefined || max > highest)) highest = max;
  }
  return highest;
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

/**
 * The query for the places of cold rows that an UPDATE or DELETE may be about; undefined for an INSERT. On a branch
 * names in subqueries mean the branch's tables, and the cold rows are main's: there all rows that the WHERE does not
 * exclude by itself are taken.
 */
function selectionOf(statement: Statement, relation: Relation, isOnBranch: boolean): string | undefined {
  const clauses = clausesOf(statement);
  if (clauses === undefined || clauses.verb === 'insert') return undefined;
  const { target, with: ctes, from, where } = clauses;
  const text = (span: Span | undefined): string => {
    if (span === undefined) return '';
    const inside = statement.parameters.filter(({ start, end }) => start >= span.start && end <= span.end);
    return splice(
      statement.sql.slice(span.start, span.end),
      inside.map(({ start, end, index }) => ({
        start: start - span.start,
        end: end - span.start,
        text: `?${index}`,
      })),
    );
  };
  const name = target.alias ?? relation.name;
  const own = `'${COLD_PLACES}' AS ${quoteName(name)}`;
  const places = [FILE_COLUMN, ROW_COLUMN]
    .map((column) => `${quoteName(name)}.${quoteName(column)}`)
    .join(', ');
  const isSimple = from === undefined && statement.references.length === 1;
  if (isOnBranch && !isSimple) return `SELECT ${places} FROM ${own}`;
  const others = from === undefined ? '' : `${text(from).replace(/^\s*FROM/i, '')}, `;
  return `${text(ctes)} SELECT ${places} FROM ${others}${own} ${text(where)}`.trim();
}
