import { doltlitePast } from './adapters/doltlite.ts';
import { dosqlPast } from './adapters/durable-object.ts';
import { mariadbPast } from './adapters/mariadb.ts';
import { expectSame, inTurn, startPeers } from './harness/peers.ts';
import {
  figure,
  isQuick,
  memoryFolder,
  print,
  report,
  roundsOr,
  spread,
  time,
  type Figure,
} from './harness/report.ts';
import { inWorkerd, OBJECTS } from './harness/workerd.ts';
import { someKeys, stockOf } from './scenarios/item.ts';
import { TOGETHER, type PastEngine } from './scenarios/past.ts';

const ROWS = isQuick ? 2_000 : 100_000;
/** How many changes back the past is read, furthest first. Each row is changed once in the furthest. */
const BACK = isQuick ? [2_000, 400, 200] : [100_000, 10_000, 1_000];
/** How often all rows are changed at once, to age the table, before they are changed as before. */
const MORE = 8;
/** Rounds on the aged table, at most. */
const AGED_ROUNDS = 3;
const POINTS = isQuick ? 200 : 2_000;
const AGGREGATES = 5;

interface AsOf {
  readonly engine: string;
  /** Changes that the table has seen. */
  readonly changes: number;
  /** 0 is the present. */
  readonly changesBack: number;
  readonly aggregateMicros: Figure;
  readonly pointMicros: Figure;
}

interface RowHistory {
  readonly engine: string;
  readonly how: string;
  /** Changes of the table, of which `versions - 1` are the row's. */
  readonly changes: number;
  readonly versions: number;
  readonly micros: Figure;
}

/** The first reading after the object slept, and the one after it. */
interface Cold {
  readonly engine: string;
  readonly changes: number;
  readonly what: string;
  readonly micros: number;
}

/** Queries of the past and the history of one row, beside MariaDB and DoltLite. */
export async function history(): Promise<void> {
  const rounds = roundsOr(7);
  await inWorkerd(OBJECTS, async (origin) => {
    const { engines, versions } = await startPeers<PastEngine>(dosqlPast(origin), {
      MariaDB: mariadbPast,
      DoltLite: doltlitePast,
    });
    try {
      for (const engine of engines) await engine.load(ROWS);
      const marks = await changeAll(engines);
      const asOf = await measureAsOf(engines, marks, rounds);
      const aging = engines.filter((engine) => engine.changeAll !== undefined);
      for (const engine of aging) for (let i = 0; i < MORE; i++) await engine.changeAll?.();
      asOf.push(
        ...(await measureAsOf(aging, await changeAll(aging), Math.min(rounds, AGED_ROUNDS), MORE + 1)),
      );
      const rowHistory = await measureHistory(engines, rounds);
      const cold = await measureCold(engines);
      report('history', {
        rounds,
        rows: ROWS,
        storage: memoryFolder,
        engines: versions,
        asOf,
        rowHistory,
        cold,
      });
      show(asOf, rowHistory, cold);
    } finally {
      for (const engine of engines) await engine.close();
    }
  });
}

/** Changes every row once, and marks the points that lie as far back as {@link BACK} says. */
async function changeAll(engines: readonly PastEngine[]): Promise<Map<PastEngine, Map<number, number>>> {
  const marks = new Map<PastEngine, Map<number, number>>();
  for (const engine of engines) {
    const started = performance.now();
    const own = new Map<number, number>();
    for (const [i, back] of BACK.entries()) {
      own.set(back, await engine.mark());
      const upTo = BACK[i + 1] ?? 0;
      const keys = someKeys(back - upTo, ROWS, (BACK[0] ?? 0) - back);
      await engine.change(
        Array.from({ length: keys.length / TOGETHER }, (_, j) =>
          keys.slice(j * TOGETHER, (j + 1) * TOGETHER),
        ),
      );
    }
    marks.set(engine, own);
    console.log(
      `${engine.name}: ${BACK[0]} changes in transactions of ${TOGETHER}, ${((performance.now() - started) / 1_000).toFixed(1)} s`,
    );
  }
  return marks;
}

/** Reads the past on each engine, where every row has been changed `before` times up to the farthest mark. */
async function measureAsOf(
  engines: readonly PastEngine[],
  marks: ReadonlyMap<PastEngine, ReadonlyMap<number, number>>,
  rounds: number,
  before = 0,
): Promise<AsOf[]> {
  const distances = [0, ...BACK.toReversed()];
  const samples = new Map<string, { aggregate: number[]; point: number[] }>();
  const keys = someKeys(POINTS, ROWS);
  const expectedPoints = keys.reduce((sum, key) => sum + (key % 1_000), 0);
  const farthest = BACK[0] ?? 0;
  for (let round = 0; round <= rounds; round++)
    for (const back of distances)
      for (const engine of inTurn(engines, round)) {
        const mark = back === 0 ? null : (marks.get(engine)?.get(back) ?? null);
        const aggregate = await engine.aggregate(mark, AGGREGATES);
        expectSame(
          `the sum ${back} changes back`,
          engine.name,
          aggregate.sum,
          stockOf(ROWS) + before * ROWS + farthest - back,
        );
        const point = await engine.points(mark, keys);
        // The keys are those changed first: only at the farthest point are they as they were inserted.
        const changed = POINTS * (back === farthest ? before : before + 1);
        expectSame(`rows ${back} changes back`, engine.name, point.sum, expectedPoints + changed);
        if (round === 0) continue;
        const name = `${engine.name} ${back}`;
        const own = samples.get(name) ?? { aggregate: [], point: [] };
        samples.set(name, own);
        own.aggregate.push(aggregate.micros);
        own.point.push(point.micros);
      }
  return engines.flatMap((engine) =>
    distances.map((changesBack) => ({
      engine: engine.name,
      changes: (before + 1) * ROWS,
      changesBack,
      aggregateMicros: figure(samples.get(`${engine.name} ${changesBack}`)?.aggregate ?? []),
      pointMicros: figure(samples.get(`${engine.name} ${changesBack}`)?.point ?? []),
    })),
  );
}

async function measureHistory(engines: readonly PastEngine[], rounds: number): Promise<RowHistory[]> {
  const samples = new Map<string, number[]>();
  for (let round = 0; round <= rounds; round++)
    for (const engine of inTurn(engines, round))
      for (const { how, count, rounds: most = rounds } of engine.histories) {
        if (round > most) continue;
        const keys = someKeys(count, ROWS);
        const { micros, sum } = await engine.history(how, keys);
        expectSame(`versions of ${count} rows`, engine.name, sum, count * versionsOf(engine));
        const own = samples.get(`${engine.name} ${how}`) ?? [];
        samples.set(`${engine.name} ${how}`, own);
        if (round > 0) own.push(micros);
      }
  return engines.flatMap((engine) =>
    engine.histories.map(({ how }) => ({
      engine: engine.name,
      how,
      changes: (versionsOf(engine) - 1) * ROWS,
      versions: versionsOf(engine),
      micros: figure(samples.get(`${engine.name} ${how}`) ?? []),
    })),
  );
}

/** As it was inserted, after its first change, and after those that aged the table where the engine made them. */
function versionsOf(engine: PastEngine): number {
  return engine.changeAll === undefined ? 2 : 3 + MORE;
}

/** What a question costs that is the first of an object that has just woken. */
async function measureCold(engines: readonly PastEngine[]): Promise<Cold[]> {
  const cold: Cold[] = [];
  for (const engine of engines) {
    if (engine.sleep === undefined) continue;
    for (const { how } of engine.histories) {
      const changes = (versionsOf(engine) - 1) * ROWS;
      await engine.sleep();
      const { micros } = await engine.history(how, [1]);
      cold.push({ engine: engine.name, changes, what: `${how}, the first`, micros });
      const further = await engine.history(how, someKeys(20, ROWS));
      cold.push({
        engine: engine.name,
        changes,
        what: `${how}, each of the next 20`,
        micros: further.micros,
      });
    }
  }
  return cold;
}

function show(asOf: readonly AsOf[], rowHistory: readonly RowHistory[], cold: readonly Cold[]): void {
  print(`as of so many changes back, over ${ROWS} rows: median (least – most)`, [
    ['engine', 'changes', 'changes back', 'aggregate', 'point'],
    ...asOf.map(({ engine, changes, changesBack, aggregateMicros, pointMicros }) => [
      engine,
      String(changes),
      changesBack === 0 ? 'the present' : String(changesBack),
      spread(aggregateMicros),
      spread(pointMicros),
    ]),
  ]);
  print('the history of one row', [
    ['engine', 'changes', 'versions', ''],
    ...rowHistory.map(({ engine, how, changes, versions, micros }) => [
      `${engine}, ${how}`,
      String(changes),
      String(versions),
      spread(micros),
    ]),
  ]);
  print(
    'when the object has just woken',
    cold.map(({ engine, what, micros }) => [`${engine}, ${what}`, time(micros)]),
  );
}
