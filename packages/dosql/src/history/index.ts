import type { Engine } from '../engine.ts';
import { Points } from './point.ts';
import { Rewriter } from './rewrite.ts';

/** What reads the past: loaded when it is first asked for. */
export class History {
  readonly points: Points;
  readonly rewriter: Rewriter;

  constructor(engine: Engine) {
    const { archived, catalog, log, storage } = engine;
    this.points = new Points(log, () => engine.nowMs(), archived);
    this.rewriter = new Rewriter(storage.sql, catalog, log, this.points);
  }

  /** Forgets what a rolled-back transaction may have shown. */
  clear(): void {
    this.points.clear();
    this.rewriter.clear();
  }
}
