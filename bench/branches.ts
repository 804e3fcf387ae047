import { doltliteBranches } from './adapters/doltlite.ts';
import { dosqlBranches } from './adapters/durable-object.ts';
import { expectSame, inTurn, startPeers } from './harness/peers.ts';
import {
  figure,
  isQuick,
  memoryFolder,
  print,
  report,
  roundsOr,
  spread,
  type Figure,
} from './harness/report.ts';
import { inWorkerd, OBJECTS } from './harness/workerd.ts';
import { MAIN, type BranchEngine, type LineReading, type Step } from './scenarios/branching.ts';
import { someKeys, stockOf, type Rows } from './scenarios/item.ts';

/** Rows of the tables that are branched; those of {@link MERGED} are also merged. */
const SIZES = isQuick ? [1_000, 10_000] : [10_000, 100_000, 1_000_000];
const MERGED = isQuick ? [10_000] : [100_000, 1_000_000];
/** Changes of each side before a merge. */
const CHANGES = isQuick ? [100] : [100, 1_000, 10_000];
/** Branches made for one sample, and how many of them are written. */
const CREATED = 100;
const WRITTEN = 20;
/** Neighbouring rows that one update changes. */
const UPDATED = isQuick ? 100 : 1_000;
/** Rows that main changes while a branch is read, or a tenth of the table. */
const MAIN_CHANGES = 10_000;
/** What is read for one sample: enough that a clock of whole milliseconds tells the time. */
const POINTS = 2_000;
const RANGES = 200;
const AGGREGATED_ROWS = 300_000;

/** A figure of one engine at one size; which one, `what` says. */
interface Measured {
  readonly engine: string;
  readonly rows: number;
  readonly what: string;
  /** Changes of each side of a merge, rows of a diff, or main's changes before a read. */
  readonly changes?: number;
  readonly micros: Figure;
}

interface Billed {
  readonly engine: string;
  readonly rows: number;
  readonly firstWrite: number;
}

/** Gathers samples by what they are samples of, in the order in which these came up. */
class Samples {
  readonly #all = new Map<string, { of: Omit<Measured, 'micros'>; micros: number[] }>();

  add(of: Omit<Measured, 'micros'>, micros: number): void {
    const name = JSON.stringify(of);
    const own = this.#all.get(name) ?? { of, micros: [] };
    this.#all.set(name, own);
    own.micros.push(micros);
  }

  figures(): Measured[] {
    return [...this.#all.values()].map(({ of, micros }) => ({ ...of, micros: figure(micros) }));
  }
}

/** One size of table, on every engine. */
class Run {
  readonly #engines: readonly BranchEngine[];
  readonly #rows: number;
  readonly #samples: Samples;
  /** What the sum of `stock` on main has to be. */
  readonly #totals = new Map<string, number>();

  constructor(engines: readonly BranchEngine[], rows: number, samples: Samples) {
    this.#engines = engines;
    this.#rows = rows;
    this.#samples = samples;
  }

  async load(): Promise<void> {
    for (const engine of this.#engines) {
      await engine.load(this.#rows);
      this.#totals.set(engine.name, stockOf(this.#rows));
      await this.#expectTotal(engine);
    }
  }

  async firstWrites(rounds: number): Promise<void> {
    for (let round = 0; round <= rounds; round++)
      for (const engine of inTurn(this.#engines, round)) {
        const { createMicros, writeMicros } = await engine.firstWrites(CREATED, WRITTEN, 1 + round);
        if (round === 0) continue;
        this.#add(engine, 'create a branch', createMicros);
        this.#add(engine, 'first write of a branch', writeMicros);
      }
  }

  async billed(): Promise<Billed[]> {
    const all: Billed[] = [];
    for (const engine of this.#engines) {
      const firstWrite = await engine.billedRows?.(7);
      if (firstWrite !== undefined) all.push({ engine: engine.name, rows: this.#rows, firstWrite });
    }
    return all;
  }

  /** Changes main and a branch in rows of their own, compares them and merges. */
  async merges(changes: number, how: 'spread' | 'neighbouring', rounds: number): Promise<void> {
    for (let round = 0; round <= rounds; round++)
      for (const engine of inTurn(this.#engines, round)) {
        const branch = `merge/${how}/${changes}/${round}`;
        await engine.branch(branch);
        await this.#change(engine, branch, this.#which(how, changes, 1));
        const diff = await engine.diff(branch);
        await this.#change(engine, MAIN, this.#which(how, changes, 2));
        const merge = await engine.merge(branch);
        if (round === 0 && (diff === undefined || merge === undefined))
          console.log(`${engine.name} is left out of diffs and merges: this build of it has none`);
        if (diff !== undefined) expectSame('rows of a diff', engine.name, diff.rows, changes);
        if (merge !== undefined) {
          this.#grow(engine, changes);
          expectSame('rows merged', engine.name, merge.rows, changes);
        }
        await this.#expectTotal(engine);
        await engine.drop(branch);
        if (round === 0) continue;
        if (diff !== undefined) this.#add(engine, `diff, ${how} rows`, diff.micros, changes);
        if (merge !== undefined) this.#add(engine, `merge, ${how} rows`, merge.micros, changes);
      }
  }

  /** Reads main and a branch that has changed rows, before and after main changes too. */
  async reads(rounds: number): Promise<void> {
    for (let round = 0; round <= rounds; round++) {
      const sums: number[][] = [];
      for (const engine of inTurn(this.#engines, round)) {
        const branch = `read/${round}`;
        const add = (what: string, micros: number, changes?: number): void => {
          if (round > 0) this.#add(engine, what, micros, changes);
        };
        const [ofBranch, ofMain] = [3, 4].map((part) => this.#which('neighbouring', UPDATED, part)) as [
          Rows,
          Rows,
        ];
        await engine.branch(branch);
        add(`update of ${UPDATED} rows on main`, (await this.#change(engine, MAIN, ofMain)).micros);
        add(
          `update of ${UPDATED} rows on a new branch`,
          (await this.#change(engine, branch, ofBranch)).micros,
        );
        add('update of the same rows again', (await this.#change(engine, branch, ofBranch)).micros);
        const before = await this.#readBoth(engine, branch, 0, add);
        const { rows: changes } = await this.#change(
          engine,
          MAIN,
          this.#which('spread', Math.min(MAIN_CHANGES, this.#rows / 10), 2),
        );
        add('first read of a branch', await engine.firstRead(branch), changes);
        const after = await this.#readBoth(engine, branch, changes, add);
        expectSame('a branch while main changes', engine.name, after[1] ?? 0, before[1] ?? 0);
        sums.push([...before, ...after]);
        await this.#expectTotal(engine);
        await engine.drop(branch);
      }
      if (sums.some((sum) => sum.join() !== sums[0]?.join()))
        throw new Error(`the engines read different rows: ${JSON.stringify(sums)}`);
    }
  }

  async #readBoth(
    engine: BranchEngine,
    branch: string,
    changes: number,
    add: (what: string, micros: number, changes: number) => void,
  ): Promise<number[]> {
    const keys = someKeys(POINTS, this.#rows);
    const ranges = someKeys(RANGES, this.#rows - 100);
    const aggregates = Math.max(2, AGGREGATED_ROWS / this.#rows);
    const sums: number[] = [];
    for (const line of [MAIN, branch]) {
      const reading: LineReading = await engine.read(line, keys, ranges, aggregates);
      const where = line === MAIN ? 'main' : 'a branch';
      add(`point on ${where}`, reading.pointMicros, changes);
      add(`range of 100 on ${where}`, reading.rangeMicros, changes);
      add(`aggregate on ${where}`, reading.aggregateMicros, changes);
      sums.push(reading.sum);
    }
    return sums;
  }

  /** `count` rows that no other `part` has. */
  #which(how: 'spread' | 'neighbouring', count: number, part: number): Rows {
    if (how === 'spread') return { step: this.#rows / count, rest: part };
    return { first: part * count + 1, last: (part + 1) * count };
  }

  async #change(engine: BranchEngine, branch: string, which: Rows): Promise<Step> {
    const changed = await engine.change(branch, which);
    const rows = 'step' in which ? this.#rows / which.step : which.last - which.first + 1;
    expectSame('rows updated', engine.name, changed.rows, rows);
    if (branch === MAIN) this.#grow(engine, changed.rows);
    return changed;
  }

  #add(engine: BranchEngine, what: string, micros: number, changes?: number): void {
    const of = { engine: engine.name, rows: this.#rows, what };
    this.#samples.add(changes === undefined ? of : { ...of, changes }, micros);
  }

  #grow(engine: BranchEngine, by: number): void {
    this.#totals.set(engine.name, (this.#totals.get(engine.name) ?? 0) + by);
  }

  async #expectTotal(engine: BranchEngine): Promise<void> {
    const total = this.#totals.get(engine.name) ?? 0;
    expectSame('the sum on main', engine.name, await engine.sum(MAIN), total);
  }
}

/** Branches, their first writes, diffs, merges and reads, beside DoltLite. */
export async function branches(): Promise<void> {
  const rounds = roundsOr(5);
  await inWorkerd(OBJECTS, async (origin) => {
    const { engines, versions } = await startPeers<BranchEngine>(dosqlBranches(origin), {
      DoltLite: async () => doltliteBranches(),
    });
    const samples = new Samples();
    const billed: Billed[] = [];
    try {
      for (const rows of SIZES) {
        const started = performance.now();
        const run = new Run(engines, rows, samples);
        await run.load();
        await run.firstWrites(rounds);
        await run.reads(rounds);
        if (MERGED.includes(rows)) {
          for (const changes of CHANGES) await run.merges(changes, 'spread', rounds);
          await run.merges(UPDATED, 'neighbouring', rounds);
        }
        billed.push(...(await run.billed()));
        console.log(`${rows} rows: ${((performance.now() - started) / 1_000).toFixed(1)} s`);
      }
    } finally {
      for (const engine of engines) await engine.close();
    }
    const measured = samples.figures();
    report('branches', { rounds, storage: memoryFolder, engines: versions, billed, measured });
    show(measured, billed);
  });
}

function show(measured: readonly Measured[], billed: readonly Billed[]): void {
  print('branches: median (least – most)', [
    ['', 'rows', 'changes', 'engine', ''],
    ...measured
      .toSorted(
        (a, b) => a.what.localeCompare(b.what) || a.rows - b.rows || (a.changes ?? 0) - (b.changes ?? 0),
      )
      .map(({ engine, what, rows, changes, micros }) => [
        what,
        String(rows),
        String(changes ?? ''),
        engine,
        spread(micros),
      ]),
  ]);
  print(
    'rows billed for the first write of a branch',
    billed.map(({ engine, rows, firstWrite }) => [`${engine}, ${rows} rows`, String(firstWrite)]),
  );
}
