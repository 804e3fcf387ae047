import type { Core } from '../core.ts';
import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { Budget } from '../scan/budget.ts';
import { sameName } from '../schema/catalog.ts';
import { MAIN } from '../schema/line.ts';
import type { Relation } from '../schema/relation.ts';
import { compactNext, rewriteFile } from './compact.ts';
import { expireNext, type Rollup } from './expire.ts';
import { fileOf, handOver, leaving, type Leaving, type Written } from './hand-over.ts';
import type { Manifest } from './manifest.ts';
import { collectGarbage, moveFile } from './move.ts';
import type { IcebergStatus, IcebergTables } from './iceberg.ts';
import { policyOf, tieredBy, type TierOptions } from './options.ts';
import type { Places } from './places.ts';
import type { Pass } from '../outcome.ts';
import { refuseUnfit } from './unfit.ts';
import type { OpenStored, Writes } from './writes.ts';

/** What a pass has done. */
export interface TierPass {
  /** Rows that have become cold, and the files that they are in. */
  readonly rows: number;
  readonly files: number;
  /** Files that were copied to the cold store. */
  readonly moved: number;
  /** Rows that were older than `expireAfter`. */
  readonly expired: number;
  /** Whether there is more to do that can be done now. */
  readonly more: boolean;
}

/** How it stands with a tiered table. */
export interface TierStatus {
  readonly table: string;
  readonly coldRows: number;
  readonly files: number;
  readonly sizeBytes: number;
  /** Files that wait in the object to be copied to the cold store. */
  readonly waiting: { readonly files: number; readonly sizeBytes: number };
  /** Why the last pass could not go on, such as that the cold store does not answer; undefined when it could. */
  readonly problem: string | undefined;
  /** The Iceberg table that the cold rows are, as it was committed last; undefined where they are none. */
  readonly iceberg: IcebergStatus | undefined;
}

/** Rows that become cold in one step, which holds nobody back while they are compressed. */
const STEP_ROWS = 50_000;
const FIRST_RETRY_MS = 60_000;
const MAX_IDLE_MS = 3_600_000;
/** A pass that is not called but due ends after so many steps, and goes on from the next alarm. */
const STEPS_PER_ALARM = 8;

/** The timer of passes. */
export const TIER_TIMER = 'dosql:tier';

/** Makes old rows cold, and keeps cold ones in order. */
export class Tiering {
  readonly #core: Core;
  readonly #engine: Engine;
  readonly #manifest: Manifest;
  readonly #places: Places;
  readonly #writes: Writes;
  readonly #open: OpenStored;
  readonly #rollup: Rollup;
  readonly #iceberg: IcebergTables;
  #running: Promise<unknown> = Promise.resolve();

  constructor(
    core: Core,
    manifest: Manifest,
    places: Places,
    writes: Writes,
    open: OpenStored,
    rollup: Rollup,
    iceberg: IcebergTables,
  ) {
    this.#core = core;
    this.#engine = core.engine;
    this.#manifest = manifest;
    this.#places = places;
    this.#writes = writes;
    this.#open = open;
    this.#rollup = rollup;
    this.#iceberg = iceberg;
  }

  /**
   * Sets how a table is tiered; null makes all its cold rows hot and ends it.
   *
   * @throws DoSQLError `NO_SUCH_TABLE`, `NO_SUCH_COLUMN`, `BAD_PARAMETER` for options that are none, `FORBIDDEN` for a
   * table whose constraints cannot be kept without its cold rows.
   */
  async set(table: string, options: TierOptions | null): Promise<void> {
    if (options === null) {
      await this.#afterOthers(() => this.#end(table));
      await this.start();
      return;
    }
    await this.#pass(() => {
      const relation = this.#relation(table);
      const policy = policyOf(table, options);
      for (const name of tieredBy(policy))
        if (!relation.columns.some((column) => sameName(column.name, name)))
          throw new DoSQLError('NO_SUCH_COLUMN', `tiers.${table} names "${name}", which is no column of it`);
      refuseUnfit(this.#engine, relation);
      if (policy.iceberg !== undefined)
        this.#iceberg.configure(relation, options.iceberg === true ? undefined : options.iceberg?.catalog);
      this.#engine.atomically(() => {
        this.#manifest.open();
        this.#manifest.setPolicy(relation.tableId, policy);
      });
    });
    await this.#arm(this.#engine.nowMs());
  }

  /** Makes what is old enough cold, copies files and expires rows, until there is nothing more to do or `steps` are. */
  pass(table?: string, steps: number = Infinity): Promise<TierPass> {
    return this.#afterOthers(() => this.#run(table, steps));
  }

  /** What the timer does. */
  async due(): Promise<void> {
    const { more } = await this.pass(undefined, STEPS_PER_ALARM);
    const now = this.#engine.nowMs();
    if (more) {
      await this.#arm(now);
      return;
    }
    const { tables, garbageDue: garbage } = this.#manifest;
    if (tables.size === 0 && garbage === undefined) return;
    const isWaiting = [...tables.values()].some(({ problem }) => problem !== undefined);
    // What is due still could not be deleted now: the cold store is asked again after a while, not at once.
    const isStuck = garbage !== undefined && garbage <= now;
    await this.#arm(
      Math.min(
        now + (isWaiting || isStuck ? FIRST_RETRY_MS : MAX_IDLE_MS),
        isStuck ? Infinity : (garbage ?? Infinity),
      ),
    );
  }

  /**
   * Writes the files anew that rows have gone from, and deletes at once what nothing names any more; returns how many
   * files were written. Its caller holds the gate.
   */
  async shred(): Promise<number> {
    const now: Pass = async (work) => work();
    const { layout } = this.#iceberg;
    let written = 0;
    for (const { tableId } of this.#manifest.tables.values())
      for (;;) {
        const tiered = this.#manifest.tables.get(tableId);
        const file = tiered?.files.find(({ goneCount }) => goneCount > 0);
        if (tiered === undefined || file === undefined) break;
        await rewriteFile(
          this.#engine,
          this.#manifest,
          this.#places,
          this.#open,
          tiered,
          [file],
          now,
          layout,
        );
        written++;
      }
    const erased = await this.#eraseIceberg(now).then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    await collectGarbage(this.#engine, this.#manifest, this.#places, now, Infinity);
    if (erased !== undefined) throw erased.error;
    return written;
  }

  /** What was written anew for an Iceberg table is to be where others find it. */
  async #eraseIceberg(pass: Pass): Promise<void> {
    for (const { policy, files } of this.#manifest.tables.values())
      for (const file of policy.iceberg === undefined ? [] : files)
        if (file.place === 'local') await moveFile(this.#engine, this.#manifest, this.#places, file, pass);
    await this.#iceberg.erase();
  }

  status(): TierStatus[] {
    return [...this.#manifest.tables.values()].map(({ tableId, files, problem }) => {
      const waiting = this.#places.cold === undefined ? [] : files.filter(({ place }) => place === 'local');
      const bytes = (list: typeof files): number => list.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      return {
        table: this.#engine.catalog.versions(tableId).at(-1)?.name ?? '',
        coldRows: files.reduce((sum, { rows, goneCount }) => sum + rows - goneCount, 0),
        files: files.length,
        sizeBytes: bytes(files),
        waiting: { files: waiting.length, sizeBytes: bytes(waiting) },
        problem,
        iceberg: this.#iceberg.status(tableId),
      };
    });
  }

  /** Whether a timer is set, and if not sets it: on opening. */
  async start(): Promise<void> {
    const { tables, garbageDue } = this.#manifest;
    const hasWork = tables.size > 0 || garbageDue !== undefined;
    if (hasWork && !this.#core.timers.has(TIER_TIMER)) await this.#arm(this.#engine.nowMs());
  }

  /** One after the other: each works on what the one before has left. */
  #afterOthers<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#running.then(work);
    this.#running = run.catch(() => {});
    return run;
  }

  async #run(only: string | undefined, steps: number): Promise<TierPass> {
    const done = { rows: 0, files: 0, moved: 0, expired: 0 };
    let left = steps;
    let more = false;
    for (const { tableId } of this.#manifest.tables.values()) {
      const relation = this.#engine.catalog.present(tableId);
      if (only !== undefined && (relation === undefined || !sameName(relation.name, only))) continue;
      try {
        for (;;) {
          if (relation === undefined) {
            await this.#iceberg.end(tableId, this.#pass);
            break;
          }
          if (left-- <= 0) {
            more = true;
            break;
          }
          if (!(await this.#step(tableId, done))) {
            if (!(await this.#iceberg.sync(tableId, this.#pass))) more = true;
            break;
          }
        }
        await this.#note(tableId, undefined);
      } catch (error) {
        const problem = DoSQLError.from(error);
        if (problem === undefined) throw error;
        await this.#note(tableId, problem.message);
      }
    }
    if (this.#manifest.garbageDue !== undefined)
      await collectGarbage(this.#engine, this.#manifest, this.#places, this.#pass).catch((error: unknown) => {
        // What cannot be deleted now is deleted later.
        if (DoSQLError.from(error) === undefined && !(error instanceof Error)) throw error;
      });
    return { ...done, more };
  }

  /** Does one thing for a table; returns false when there is nothing to do. */
  async #step(
    tableId: number,
    done: { rows: number; files: number; moved: number; expired: number },
  ): Promise<boolean> {
    const left = await this.#handOverNext(tableId);
    if (left.rows > 0) {
      done.rows += left.rows;
      done.files += left.files;
      return true;
    }
    const expired = await expireNext(this.#engine, this.#manifest, this.#rollup, tableId, this.#pass);
    if (expired > 0) {
      done.expired += expired;
      return true;
    }
    const waiting = this.#manifest.tables.get(tableId)?.files.find(({ place }) => place === 'local');
    if (waiting !== undefined && this.#places.cold !== undefined) {
      await moveFile(this.#engine, this.#manifest, this.#places, waiting, this.#pass);
      done.moved++;
      return true;
    }
    const { layout } = this.#iceberg;
    if (
      await compactNext(this.#engine, this.#manifest, this.#places, this.#open, tableId, this.#pass, layout)
    )
      return true;
    await this.#pass(() => this.#beginIceberg(tableId));
    const tiered = this.#manifest.tables.get(tableId);
    const file = this.#iceberg.unfit(tableId);
    if (tiered === undefined || file === undefined) return false;
    await rewriteFile(
      this.#engine,
      this.#manifest,
      this.#places,
      this.#open,
      tiered,
      [file],
      this.#pass,
      layout,
    );
    return true;
  }

  /** A table that has cold rows already becomes an Iceberg table. */
  #beginIceberg(tableId: number): void {
    const tiered = this.#manifest.tables.get(tableId);
    const relation = this.#engine.catalog.present(tableId);
    const [file] = tiered?.files ?? [];
    if (tiered === undefined || relation === undefined || file === undefined) return;
    const time = relation.columns.find(({ name }) => sameName(name, tiered.policy.column));
    this.#iceberg.begin(relation, tiered.policy, file.ranges.get(time?.id ?? -1)?.min);
  }

  async #handOverNext(tableId: number): Promise<{ rows: number; files: number }> {
    const none = { rows: 0, files: 0 };
    const read = await this.#pass(() => {
      const tiered = this.#manifest.tables.get(tableId);
      const relation = this.#engine.catalog.present(tableId);
      if (tiered === undefined || relation === undefined) return undefined;
      const { policy } = tiered;
      const parts = leaving(this.#engine, relation, tiered, STEP_ROWS);
      const [first] = parts;
      if (first === undefined) return undefined;
      // Its constraints and triggers may have become others since it was tiered.
      refuseUnfit(this.#engine, relation);
      const time = first.columns.findIndex(({ name }) => sameName(name, policy.column));
      const layout = this.#iceberg.begin(relation, policy, first.rows[0]?.[time]);
      return { parts, policy, layout, generation: this.#engine.catalog.generation };
    });
    if (read === undefined) return none;
    const { parts, policy, layout, generation } = read;
    const files: { left: Leaving; written: Written }[] = [];
    for (const left of parts) files.push({ left, written: await fileOf(left, policy.sortBy, layout) });
    return this.#pass(() => {
      // The schema has changed meanwhile: the rows are read again as they are now.
      if (this.#engine.catalog.generation !== generation || !this.#manifest.tables.has(tableId)) return none;
      return handOver(this.#engine, this.#manifest, this.#places, policy, files);
    });
  }

  /** Makes all cold rows hot again, file by file. */
  async #end(table: string): Promise<void> {
    const { tableId } = this.#relation(table);
    for (;;) {
      const relation = this.#relation(table);
      const file = this.#manifest.tables.get(tableId)?.files[0];
      if (file === undefined) break;
      await this.#writes.bringFile(
        relation,
        file,
        this.#pass,
        new Budget({ bytes: Infinity, decodedBytes: Infinity }),
      );
    }
    await this.#iceberg.end(tableId, this.#pass);
    const isOver = await this.#pass(() => {
      if ((this.#manifest.tables.get(tableId)?.files.length ?? 0) > 0) return false;
      this.#engine.atomically(() => this.#manifest.remove(tableId));
      return true;
    });
    if (!isOver) await this.#end(table);
  }

  #note(tableId: number, problem: string | undefined): Promise<void> {
    return this.#pass(() => {
      if (this.#manifest.tables.get(tableId)?.problem !== problem)
        this.#engine.atomically(() => this.#manifest.setProblem(tableId, problem));
    });
  }

  #relation(table: string): Relation {
    const relation = this.#engine.catalog
      .current()
      .find((relation) => relation.branch === MAIN && sameName(relation.name, table));
    if (relation !== undefined) return relation;
    throw new DoSQLError('NO_SUCH_TABLE', `there is no table "${table}" to tier`);
  }

  readonly #pass: Pass = (work) => this.#core.gate.pass(work);

  async #arm(at: number): Promise<void> {
    try {
      await this.#core.schedule(TIER_TIMER, at);
    } catch (error) {
      // A class without alarm() has no timer: passes are then only called.
      if (error instanceof DoSQLError) throw error;
    }
  }
}
