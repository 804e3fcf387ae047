import { describe, expect, it } from 'vitest';
import type { SqlValue } from '../src/index.ts';
import { baseOf, type Base, type Line, type Merge } from '../src/merge/ancestry.ts';
import { foldBases, mergeCount, mergeRow, type BaseCells, type Cells } from '../src/merge/cells.ts';
import {
  MergeModel,
  MODEL_TABLES,
  randomHistory,
  randomWrite,
  type ModelTable,
} from './support/merge-model.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';

const text = (cells: readonly (SqlValue | undefined)[]): string =>
  cells
    .map((cell) => (cell instanceof Uint8Array ? `x${cell.join()}` : `${typeof cell} ${String(cell)}`))
    .join(' | ');

const tables = (model: MergeModel, branch: string): string[][] =>
  MODEL_TABLES.map(({ name }) => model.rows(branch, name).map(text).toSorted());

/** The rows of one table of one line by their keys, at each LSN that changed them: what a log would answer. */
type States = Map<string, { readonly lsn: number; readonly rows: ReadonlyMap<string, readonly Cells[]> }[]>;

const keyOf = ({ columns, key }: ModelTable, row: Cells): string =>
  text((key.length === 0 ? columns : key).map((column) => row[columns.indexOf(column)]));

/** Does by the graph of lines and row by row what the model does by its commits. */
class Lines {
  readonly lines: Line[] = [{ id: 0, parent: undefined, base: 0 }];
  readonly merges: Merge[] = [];
  readonly #states: States = new Map();
  readonly #model: MergeModel;
  readonly ids = new Map([['main', 0]]);
  #lsn = 0;

  constructor(model: MergeModel) {
    this.#model = model;
    this.#record('main', 0);
  }

  branch(name: string, from: string): void {
    const id = this.lines.length;
    const parent = this.ids.get(from) as number;
    const { lsn: base } = this.head(from);
    this.lines.push({ id, parent, base, merges: this.merges.length });
    this.ids.set(name, id);
    this.#record(name, base);
  }

  commit(name: string): void {
    this.#lsn++;
    this.#record(name, this.#lsn);
  }

  /** Takes note of a merge; one that changed nothing takes no LSN of its own. */
  mergedFrom(source: string, into: string, changes: number): void {
    const { lsn: sourceLsn } = this.head(source);
    if (changes > 0) this.commit(into);
    this.merges.push({
      source: this.ids.get(source) as number,
      sourceLsn,
      into: this.ids.get(into) as number,
      lsn: this.head(into).lsn,
    });
  }

  head(name: string): { line: number; lsn: number } {
    const line = this.ids.get(name) as number;
    const states = this.#states.get(`${line} ${(MODEL_TABLES[0] as ModelTable).name}`);
    return { line, lsn: states?.at(-1)?.lsn ?? 0 };
  }

  /** What merging gives: rows of each table as text, and conflicts as text. */
  merge(source: string, into: string, strategy: string): { rows: string[][]; conflicts: string[] } {
    const base = baseOf(this, this.head(into), this.head(source));
    const conflicts: string[] = [];
    const rows = MODEL_TABLES.map((table) => {
      const [own, their] = [this.head(into), this.head(source)].map((state) => this.#rows(state, table));
      const old = this.#keys(base, table);
      const keys = new Set([...old, ...(own?.keys() ?? []), ...(their?.keys() ?? [])]);
      return [...keys]
        .flatMap((key): Cells[] => {
          const [ours, theirs] = [own?.get(key), their?.get(key)];
          if (table.key.length === 0) {
            const count = mergeCount(this.#count(base, table, key), ours?.length ?? 0, theirs?.length ?? 0);
            return Array.from({ length: count }, () => (ours ?? theirs)?.[0] as Cells);
          }
          const merged = mergeRow(this.#row(base, table, key), ours?.[0], theirs?.[0], table.columns);
          if (merged.kind === 'conflict') conflicts.push(`${table.name} ${key} ${merged.columns.join()}`);
          const row = merged.kind === 'conflict' && strategy === 'theirs' ? merged.theirRow : merged.row;
          return row === undefined ? [] : [row];
        })
        .map(text)
        .toSorted();
    });
    return { rows, conflicts: conflicts.toSorted() };
  }

  #record(name: string, lsn: number): void {
    const id = this.ids.get(name) as number;
    for (const table of MODEL_TABLES) {
      const rows = new Map<string, Cells[]>();
      for (const row of this.#model.rows(name, table.name)) {
        const key = keyOf(table, row);
        rows.set(key, [...(rows.get(key) ?? []), row]);
      }
      const states = this.#states.get(`${id} ${table.name}`) ?? [];
      this.#states.set(`${id} ${table.name}`, [...states, { lsn, rows }]);
    }
  }

  #rows(state: { line: number; lsn: number }, table: ModelTable): ReadonlyMap<string, readonly Cells[]> {
    const states = this.#states.get(`${state.line} ${table.name}`);
    const found = states?.findLast(({ lsn }) => lsn <= state.lsn);
    if (found === undefined) throw new Error(`no state ${JSON.stringify(state)}`);
    return found.rows;
  }

  #keys(base: Base | undefined, table: ModelTable): string[] {
    if (base === undefined) return [];
    if (base.kind === 'state') return [...this.#rows(base, table).keys()];
    return [base.one, base.other, base.base].flatMap((each) => this.#keys(each, table));
  }

  #row(base: Base | undefined, table: ModelTable, key: string): BaseCells {
    if (base === undefined) return undefined;
    if (base.kind === 'state') return this.#rows(base, table).get(key)?.[0];
    const [old, one, other] = [base.base, base.one, base.other].map((each) => this.#row(each, table, key));
    return foldBases(old, one, other);
  }

  #count(base: Base | undefined, table: ModelTable, key: string): number {
    if (base === undefined) return 0;
    if (base.kind === 'state') return this.#rows(base, table).get(key)?.length ?? 0;
    const [old, one, other] = [base.base, base.one, base.other].map((each) => this.#count(each, table, key));
    return mergeCount(old as number, one as number, other as number);
  }
}

const HISTORIES = 60;
const STEPS = 120;

describe.each(seeds(20_261_140))('seed %i', (seed) => {
  it(
    'rows merged over the bases of lines are what commits and their ancestors give',
    { timeout: 60_000 },
    () => {
      console.log(`merge: VITE_SEED=${seed}`);
      const counts = { merges: 0, conflicts: 0, crossed: 0 };
      for (let history = 0; history < HISTORIES; history++) {
        const random = new Random(seed + history * 104_729);
        const model = new MergeModel();
        const lines = new Lines(model);
        const steps = randomHistory(random, model, STEPS);
        for (const step of steps) {
          if ('write' in step) lines.commit(step.on);
          else if ('branch' in step) lines.branch(step.branch, step.from);
          else {
            const { merge, into, strategy, gives } = step;
            counts.merges++;
            counts.conflicts += gives.conflicts.length > 0 ? 1 : 0;
            counts.crossed += gives.bases > 1 ? 1 : 0;
            if (gives.bases <= 2) {
              const { rows, conflicts } = lines.merge(merge, into, strategy);
              const where = `history ${history}: ${merge} into ${into}`;
              const expected = gives.conflicts.map(
                ({ table, key, columns }) => `${table} ${text(key)} ${columns.join()}`,
              );
              expect(conflicts, where).toEqual(expected.toSorted());
              if (gives.merged) expect(rows, where).toEqual(tables(model, into));
            }
            const { inserted, updated, deleted } = gives;
            if (gives.merged) lines.mergedFrom(merge, into, inserted + updated + deleted);
          }
        }
      }
      console.log(`merge: ${JSON.stringify(counts)}`);
      expect(counts.merges).toBeGreaterThan(200);
      expect(counts.conflicts).toBeGreaterThan(50);
      expect(counts.crossed).toBeGreaterThan(20);
    },
  );

  it('the model keeps the laws of merging', () => {
    const random = new Random(seed);
    for (let history = 0; history < HISTORIES; history++) {
      const model = new MergeModel();
      const change = (on: string, count: number): void => {
        for (let i = 0; i < count; i++) model.write(on, randomWrite(random, model, on));
      };
      change('main', 20);
      model.branch('b');
      model.branch('unchanged');
      change('main', random.int(8));
      change('b', random.int(8));
      model.branch('before');
      const nothing = { merged: true, inserted: 0, updated: 0, deleted: 0, conflicts: [] };
      expect(model.merge('unchanged', 'main')).toMatchObject(nothing);
      expect(tables(model, 'main')).toEqual(tables(model, 'before'));
      model.branch('other');
      for (const branch of ['x', 'y']) model.branch(branch, branch === 'x' ? 'main' : 'b');
      const one = model.merge('b', 'x');
      const two = model.merge('main', 'y');
      expect(two.conflicts).toEqual(one.conflicts);
      if (one.merged) expect(tables(model, 'x')).toEqual(tables(model, 'y'));
      const settled = model.merge('b', 'other', 'ours');
      expect(settled.merged).toBe(true);
      expect(model.merge('b', 'other')).toMatchObject(nothing);
      for (const write of model.diff('before', 'b')) expect(model.write('before', write)).toBe(true);
      expect(tables(model, 'before')).toEqual(tables(model, 'b'));
    }
  });
});
