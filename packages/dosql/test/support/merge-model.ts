import type { SqlValue } from '../../src/index.ts';
import type { Random } from './random.ts';

/**
 * Branches and merges over plain maps: every commit is kept whole and knows its parents, and merge bases are searched
 * among all ancestors. Slow and plain, to compare the real ones with. It takes no JSON apart.
 */

/** A table as the model knows it; one without a key counts its rows. */
export interface ModelTable {
  readonly name: string;
  readonly columns: readonly string[];
  readonly key: readonly string[];
}

export const MODEL_TABLES: readonly ModelTable[] = [
  { name: 't', columns: ['id', 'a', 'b', 'r'], key: ['id'] },
  { name: 'pair', columns: ['v', 'k', 'l', 'w'], key: ['k', 'l'] },
  { name: 'bag', columns: ['x', 'y'], key: [] },
];

/** The tables of the model in SQL. */
export const MODEL_SCHEMA =
  'CREATE TABLE t(id INTEGER PRIMARY KEY, a, b, r REAL); CREATE TABLE pair(v, k INTEGER, l TEXT, w, PRIMARY KEY (k, l)) WITHOUT ROWID; CREATE TABLE bag(x, y);';

/** What a cell of a base is that earlier states disagree about. */
class Open {
  readonly isOpen = true;
}

type Cell = SqlValue | Open;

interface Entry {
  readonly cells: readonly Cell[];
  /** How often a row of a table without a key is there. */
  readonly count: number;
}

/** Rows by the text of their key; where it is open whether there is a row, that. */
type Rows = ReadonlyMap<string, Entry | Open>;
type State = ReadonlyMap<string, Rows>;

interface Commit {
  readonly parents: readonly Commit[];
  readonly state: State;
}

/** A write of one row; a row of a table without a key is told by its cells. */
export type ModelWrite = { readonly table: string } & (
  | { readonly kind: 'insert'; readonly row: readonly SqlValue[] }
  | { readonly kind: 'update'; readonly row: readonly SqlValue[]; readonly to: readonly SqlValue[] }
  | { readonly kind: 'delete'; readonly row: readonly SqlValue[] }
);

export interface ModelConflict {
  readonly table: string;
  readonly key: readonly SqlValue[];
  readonly columns: readonly string[];
}

export interface ModelMerge {
  readonly merged: boolean;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  readonly conflicts: readonly ModelConflict[];
  /** How many bases there were; of more than two the order in which they are folded matters. */
  readonly bases: number;
}

type Settle = 'fail' | 'ours' | 'theirs' | 'open';

const tableOf = (name: string): ModelTable => MODEL_TABLES.find((table) => table.name === name) as ModelTable;

/** A value as text, the same for the same value. */
function show(value: Cell | undefined): string {
  if (value instanceof Uint8Array) return `x${[...value].join()}`;
  if (typeof value === 'number' && Number.isInteger(value)) return `n${BigInt(value)}`;
  if (value instanceof Open) return 'open';
  return typeof value === 'string' ? `t${value}` : `n${value}`;
}

const isSame = (a: Cell | undefined, b: Cell | undefined): boolean =>
  !(a instanceof Open) && !(b instanceof Open) && show(a) === show(b);

function keyText({ columns, key }: ModelTable, cells: readonly Cell[]): string {
  const parts = key.length === 0 ? columns : key;
  return parts.map((column) => show(cells[columns.indexOf(column)])).join('\0');
}

function isSameRow(a: Entry | Open | undefined, b: Entry | Open | undefined): boolean {
  if (a instanceof Open || b instanceof Open) return false;
  if (a === undefined || b === undefined) return a === b;
  return a.count === b.count && a.cells.every((cell, i) => isSame(cell, b.cells[i]));
}

interface Outcome {
  readonly entry: Entry | Open | undefined;
  readonly columns: readonly string[];
}

/** One row merged; with `open` what is in conflict stays open, else it is settled, as the columns tell. */
function mergeEntry(
  table: ModelTable,
  base: Entry | Open | undefined,
  ours: Entry | Open | undefined,
  theirs: Entry | Open | undefined,
  settle: Settle,
): Outcome {
  const none: readonly string[] = [];
  if (table.key.length === 0) {
    const count = (entry: Entry | Open | undefined): number =>
      entry instanceof Open ? 0 : (entry?.count ?? 0);
    const left = Math.max(0, count(ours) + count(theirs) - count(base));
    const { cells } = (ours ?? theirs ?? base) as Entry;
    return { entry: left === 0 ? undefined : { cells, count: left }, columns: none };
  }
  if (isSameRow(ours, theirs) || isSameRow(base, theirs)) return { entry: ours, columns: none };
  if (isSameRow(base, ours)) return { entry: theirs, columns: none };
  if (ours instanceof Open || theirs instanceof Open) return { entry: new Open(), columns: none };
  const old = base instanceof Open ? undefined : base;
  if (ours === undefined || theirs === undefined) {
    const { cells } = (ours ?? theirs) as Entry;
    const columns = table.columns.filter((_, i) => old === undefined || !isSame(old.cells[i], cells[i]));
    return { entry: settle === 'open' ? new Open() : settle === 'theirs' ? theirs : ours, columns };
  }
  const columns: string[] = [];
  const cells = table.columns.map((column, i) => {
    const [was, own, their] = [old?.cells[i], ours.cells[i] as Cell, theirs.cells[i] as Cell];
    if (isSame(own, their)) return own;
    if (old !== undefined && isSame(was, their)) return own;
    if (old !== undefined && isSame(was, own)) return their;
    columns.push(column);
    return settle === 'open' ? new Open() : settle === 'theirs' ? their : own;
  });
  return { entry: { cells, count: 1 }, columns };
}

const EMPTY: State = new Map(MODEL_TABLES.map(({ name }) => [name, new Map()]));

/** A database with branches. */
export class MergeModel {
  readonly #heads = new Map<string, Commit>([['main', { parents: [], state: EMPTY }]]);

  branch(name: string, from = 'main'): void {
    this.#heads.set(name, this.#head(from));
  }

  /** Carries out a write; false for one that a key forbids or that finds no row. */
  write(on: string, write: ModelWrite): boolean {
    const head = this.#head(on);
    const table = tableOf(write.table);
    const rows = new Map(head.state.get(table.name));
    const at = keyText(table, write.row);
    const there = rows.get(at) as Entry | undefined;
    if (write.kind === 'insert') {
      if (there !== undefined && table.key.length > 0) return false;
      rows.set(at, { cells: write.row, count: (there?.count ?? 0) + 1 });
    } else {
      if (there === undefined) return false;
      if (there.count > 1) rows.set(at, { ...there, count: there.count - 1 });
      else rows.delete(at);
      if (write.kind === 'update') {
        const to = keyText(table, write.to);
        const taken = rows.get(to) as Entry | undefined;
        if (taken !== undefined && table.key.length > 0) return false;
        rows.set(to, { cells: write.to, count: (taken?.count ?? 0) + 1 });
      }
    }
    this.#heads.set(on, { parents: [head], state: new Map(head.state).set(table.name, rows) });
    return true;
  }

  merge(source: string, into: string, strategy: 'fail' | 'ours' | 'theirs' = 'fail'): ModelMerge {
    const [ours, theirs] = [this.#head(into), this.#head(source)];
    const bases = basesOf(ancestors([ours]), ancestors([theirs]));
    const base = fold(bases);
    const { state, conflicts } = mergeStates(base, ours.state, theirs.state, strategy);
    const merged = strategy !== 'fail' || conflicts.length === 0;
    if (merged) this.#heads.set(into, { parents: [ours, theirs], state });
    const counts = merged ? countOf(ours.state, state) : { inserted: 0, updated: 0, deleted: 0 };
    return { merged, ...counts, conflicts, bases: bases.length };
  }

  /** The rows of a table; those of one without a key as often as they are there. */
  rows(on: string, table: string): (readonly SqlValue[])[] {
    return [...(this.#head(on).state.get(table) as ReadonlyMap<string, Entry>).values()].flatMap(
      ({ cells, count }) => Array.from({ length: count }, () => cells as readonly SqlValue[]),
    );
  }

  /** The writes that make of one branch’s tables another’s. */
  diff(from: string, to: string): ModelWrite[] {
    return MODEL_TABLES.flatMap(({ name }): ModelWrite[] => {
      const [before, after] = [from, to].map((branch) => this.#head(branch).state.get(name)) as [
        ReadonlyMap<string, Entry>,
        ReadonlyMap<string, Entry>,
      ];
      return [...new Set([...before.keys(), ...after.keys()])].flatMap((key): ModelWrite[] => {
        const [old, now] = [before.get(key), after.get(key)];
        const cells = ((now ?? old) as Entry).cells as readonly SqlValue[];
        const more = (now?.count ?? 0) - (old?.count ?? 0);
        if (old !== undefined && now !== undefined && more === 0)
          return isSameRow(old, now)
            ? []
            : [{ table: name, kind: 'update', row: old.cells as readonly SqlValue[], to: cells }];
        const kind = more > 0 ? ('insert' as const) : ('delete' as const);
        return Array.from({ length: Math.abs(more) }, () => ({ table: name, kind, row: cells }));
      });
    });
  }

  #head(name: string): Commit {
    const head = this.#heads.get(name);
    if (head === undefined) throw new Error(`no branch ${name}`);
    return head;
  }
}

function ancestors(commits: readonly Commit[]): Set<Commit> {
  const found = new Set(commits);
  for (const { parents } of found) for (const parent of parents) found.add(parent);
  return found;
}

/** The common commits that are no other common commit's ancestors. */
function basesOf(one: ReadonlySet<Commit>, other: ReadonlySet<Commit>): Commit[] {
  const shared = [...one].filter((commit) => other.has(commit));
  const older = ancestors(shared.flatMap(({ parents }) => parents));
  return shared.filter((commit) => !older.has(commit));
}

function fold(bases: readonly Commit[]): State {
  const [first, ...rest] = bases;
  if (first === undefined) return EMPTY;
  const folded = [first];
  let { state } = first;
  for (const next of rest) {
    const base = fold(basesOf(ancestors(folded), ancestors([next])));
    ({ state } = mergeStates(base, state, next.state, 'open'));
    folded.push(next);
  }
  return state;
}

function mergeStates(
  base: State,
  ours: State,
  theirs: State,
  settle: Settle,
): { state: State; conflicts: ModelConflict[] } {
  const conflicts: ModelConflict[] = [];
  const state = new Map<string, Rows>();
  for (const table of MODEL_TABLES) {
    const [old, own, their] = [base, ours, theirs].map((side) => side.get(table.name)) as [Rows, Rows, Rows];
    const rows = new Map<string, Entry | Open>();
    for (const key of new Set([...old.keys(), ...own.keys(), ...their.keys()])) {
      const three = [old.get(key), own.get(key), their.get(key)] as const;
      const { entry, columns } = mergeEntry(table, ...three, settle);
      if (entry !== undefined) rows.set(key, entry);
      if (columns.length === 0) continue;
      const { cells } = three.find((side) => side !== undefined && !(side instanceof Open)) as Entry;
      const values = table.key.map((column) => cells[table.columns.indexOf(column)] as SqlValue);
      conflicts.push({ table: table.name, key: values, columns });
    }
    state.set(table.name, rows);
  }
  return { state, conflicts };
}

function countOf(before: State, after: State): { inserted: number; updated: number; deleted: number } {
  const counts = { inserted: 0, updated: 0, deleted: 0 };
  for (const { name } of MODEL_TABLES) {
    const [old, now] = [before.get(name), after.get(name)] as [
      ReadonlyMap<string, Entry>,
      ReadonlyMap<string, Entry>,
    ];
    for (const key of new Set([...old.keys(), ...now.keys()])) {
      const more = (now.get(key)?.count ?? 0) - (old.get(key)?.count ?? 0);
      if (more > 0) counts.inserted += more;
      else if (more < 0) counts.deleted -= more;
      else if (!isSameRow(old.get(key), now.get(key))) counts.updated++;
    }
  }
  return counts;
}

const VALUES: readonly SqlValue[] = [
  0,
  1,
  -7,
  2.5,
  null,
  '',
  'a',
  'ä',
  '💥',
  "it's",
  9007199254740993n,
  -9223372036854775808n,
  new Uint8Array(),
  new Uint8Array([0, 255]),
];

function randomRow(random: Random, { name }: ModelTable): SqlValue[] {
  const value = (): SqlValue => random.pick(VALUES);
  if (name === 't') return [random.int(12), value(), value(), random.pick([0, 2, 2.5, null])];
  if (name === 'pair') return [value(), random.int(4), random.pick(['p', 'P', 'ä', '']), value()];
  return [random.int(3), random.pick(['a', 'b', null])];
}

/** A write that is likely to succeed on the branch. */
export function randomWrite(random: Random, model: MergeModel, on: string): ModelWrite {
  const table = random.pick(MODEL_TABLES);
  const rows = model.rows(on, table.name);
  const dice = random.next();
  if (rows.length === 0 || dice < 0.35)
    return { table: table.name, kind: 'insert', row: randomRow(random, table) };
  const row = random.pick(rows);
  if (dice < 0.5) return { table: table.name, kind: 'delete', row };
  const other = randomRow(random, table);
  const changed = random.some(table.columns);
  const to = row.map((cell, i) => {
    const column = table.columns[i] as string;
    const isKept = !changed.includes(column) || (table.key.includes(column) && random.chance(0.9));
    return isKept ? cell : (other[i] as SqlValue);
  });
  return { table: table.name, kind: 'update', row, to };
}

/** A value as a literal of SQL. */
export function literalOf(value: SqlValue): string {
  if (value === null) return 'NULL';
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`;
  if (value instanceof Uint8Array)
    return `x'${[...value].map((byte) => byte.toString(16).padStart(2, '0')).join('')}'`;
  return String(value);
}

/** The write as SQL. */
export function sqlOf(write: ModelWrite): string {
  const { name, columns, key } = tableOf(write.table);
  const list = (cells: readonly SqlValue[]): string => cells.map(literalOf).join(', ');
  if (write.kind === 'insert') return `INSERT INTO ${name} VALUES (${list(write.row)})`;
  const match = (key.length === 0 ? columns : key)
    .map((column) => `${column} IS ${literalOf(write.row[columns.indexOf(column)] as SqlValue)}`)
    .join(' AND ');
  const where = key.length === 0 ? `rowid = (SELECT min(rowid) FROM ${name} WHERE ${match})` : match;
  if (write.kind === 'delete') return `DELETE FROM ${name} WHERE ${where}`;
  const set = columns.map((column, i) => `${column} = ${literalOf(write.to[i] as SqlValue)}`).join(', ');
  return `UPDATE ${name} SET ${set} WHERE ${where}`;
}

/** One step of a random history. */
export type ModelStep =
  | { readonly on: string; readonly write: ModelWrite }
  | { readonly branch: string; readonly from: string }
  | {
      readonly merge: string;
      readonly into: string;
      readonly strategy: 'fail' | 'ours' | 'theirs';
      readonly gives: ModelMerge;
    };

/**
 * A random history of a few branches, as it is carried out on `model`. Branches and merges come in bursts, so that many
 * share an LSN.
 */
export function* randomHistory(random: Random, model: MergeModel, steps: number): Generator<ModelStep> {
  const names = ['main'];
  let isBurst = false;
  for (let i = 0; i < steps; i++) {
    const dice: number = random.next() * (isBurst ? 0.35 : 1);
    isBurst = dice < 0.2;
    if (dice < 0.06 && names.length < 7) {
      const step = { branch: `b${names.length}`, from: random.pick(names) };
      model.branch(step.branch, step.from);
      names.push(step.branch);
      yield step;
    } else if (dice < 0.2 && names.length > 1) {
      const [merge, into] = random.some(names);
      if (merge === undefined || into === undefined) continue;
      const strategy = random.pick(['fail', 'ours', 'theirs'] as const);
      yield { merge, into, strategy, gives: model.merge(merge, into, strategy) };
    } else {
      const on = random.pick(names);
      const write = randomWrite(random, model, on);
      if (model.write(on, write)) yield { on, write };
    }
  }
}
