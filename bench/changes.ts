import { dosqlStreams } from './adapters/durable-object.ts';
import { tursoStreams } from './adapters/turso.ts';
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
import { stockOf } from './scenarios/item.ts';
import type { StreamEngine } from './scenarios/streaming.ts';

const ROWS = isQuick ? 2_000 : 100_000;
/** How often every row is changed before a consumer that saw none of it catches up. */
const BEHIND = isQuick ? 2 : 10;

/** µs a row or change. */
interface Measured {
  readonly engine: string;
  readonly what: string;
  readonly micros: Figure;
}

/** Capturing changes and reading them out, beside Turso's table of changes. */
export async function changes(): Promise<void> {
  const rounds = roundsOr(7);
  await inWorkerd(OBJECTS, async (origin, memory) => {
    const ours = dosqlStreams(origin);
    const { engines, versions } = await startPeers<StreamEngine>(ours, { Turso: tursoStreams });
    try {
      for (const engine of engines) await engine.load(ROWS);
      const samples = new Map<string, number[]>();
      const keep = (round: number, engine: string, what: string, micros: number): void => {
        const name = `${what}\n${engine}`;
        const own = samples.get(name) ?? [];
        samples.set(name, own);
        if (round > 0) own.push(micros);
      };
      for (let round = 0; round <= rounds; round++) {
        const stock = stockOf(ROWS) + (round + 1) * ROWS;
        for (const engine of inTurn(engines, round)) {
          await engine.forget();
          for (const captured of [false, true]) {
            const { micros, sum } = await engine.update(captured);
            expectSame('the rows of an update', engine.name, sum, ROWS);
            if (captured) keep(round, engine.name, 'update with its changes captured', micros);
            else keep(round, engine.bareName, 'update', micros);
          }
          for (const form of ['objects', 'json'] as const) {
            const { micros, sum } = await engine.readOut(form);
            expectSame('the changes of an update', engine.name, sum, stock);
            keep(round, engine.name, form === 'json' ? 'read out as JSON' : 'read out', micros);
          }
        }
        const { micros, sum } = await ours.snapshot();
        expectSame('a snapshot', ours.name, sum, stock);
        keep(round, ours.name, 'snapshot', micros);
      }
      const catchUp = await measureCatchUp(ours, memory);
      const measured = [...samples].map(([name, micros]): Measured => {
        const [what = '', engine = ''] = name.split('\n');
        return { what, engine, micros: figure(micros) };
      });
      report('changes', { rounds, rows: ROWS, storage: memoryFolder, engines: versions, measured, catchUp });
      show(measured, catchUp);
    } finally {
      for (const engine of engines) await engine.close();
    }
  });
}

/** A consumer that is a million changes behind. */
interface CatchUp {
  readonly changes: number;
  readonly changesPerSecond: number;
  /** What workerd's memory grew by at most meanwhile. */
  readonly mebibytes: number;
}

async function measureCatchUp(engine: StreamEngine, memory: () => number): Promise<CatchUp> {
  await engine.forget();
  for (let i = 0; i < BEHIND; i++) await engine.update(true);
  const before = memory();
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, memory());
  }, 20);
  const { micros } = await engine.readOut('json');
  clearInterval(watch);
  return {
    changes: BEHIND * ROWS,
    changesPerSecond: Math.round(1_000_000 / micros),
    mebibytes: Math.round((most - before) / 2 ** 20),
  };
}

function show(measured: readonly Measured[], catchUp: CatchUp): void {
  print('changes, each: median (least – most)', [
    ['', 'engine', '', 'a second'],
    ...measured.map(({ what, engine, micros }) => [
      what,
      engine,
      spread(micros),
      Math.round(1_000_000 / micros.median).toLocaleString('en'),
    ]),
  ]);
  print(`catching up with ${catchUp.changes} changes`, [
    ['changes a second', catchUp.changesPerSecond.toLocaleString('en')],
    ['memory, at most', `+${catchUp.mebibytes} MiB`],
  ]);
}
