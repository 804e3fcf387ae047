import type { ArchiveAge, Backup } from './backup/backup.ts';
import type { BranchRunner } from './branch/index.ts';
import type { FileAccess, FileStack } from './tier/index.ts';
import type { Engine } from './engine.ts';
import { DoSQLError } from './error.ts';
import { Gate } from './gate.ts';
import { Archived, ArchivedPoint } from './log/archived.ts';
import { HistoryNotLoaded } from './outcome.ts';
import { ARCHIVE_HOLD, Holds } from './log/holds.ts';
import { leaseOf } from './log/lease.ts';
import { TRIM_TIMER, trimDue, trimStep, type Window } from './log/trim.ts';
import { Timers } from './timer/timers.ts';

const TRIM_EVERY_MS = 600_000;
/** Changes between two looks at the log's size. */
const CHANGES_PER_LOOK = 500;

/** The timer of continuous backups. */
const BACKUP_TIMER = 'dosql:backup';

/** How a database is backed up. */
export interface BackupPolicy {
  /** How long archived changes are kept; undefined where the log is trimmed without being archived. */
  readonly archive: ArchiveAge;
  /** Ms between backups; undefined where they are only called for. */
  readonly everyMs: number | undefined;
  /** How much of the log is recalled at most. */
  readonly recallBytes: number;
}

/** What all handles of one open database share. */
export class Core {
  readonly name: string;
  readonly engine: Engine;
  readonly gate: Gate = new Gate();
  readonly timers: Timers;
  readonly holds: Holds;
  readonly #window: Window;
  readonly #access: FileAccess;
  readonly #policy: BackupPolicy;
  #backup: Backup | undefined;
  #branching: BranchRunner | undefined;
  #files: FileStack | undefined;
  /** The timer that trims the log is set. */
  #isArmed = false;
  /** The LSN at which it was last looked whether the log has become too large. */
  #looked = 0;

  constructor(name: string, engine: Engine, window: Window, access: FileAccess, policy: BackupPolicy) {
    this.name = name;
    this.engine = engine;
    this.timers = new Timers(engine, this.gate);
    this.holds = new Holds(engine);
    this.#window = window;
    this.#access = access;
    this.#policy = policy;
    engine.loadFiles = async () => (await this.files()).runner;
    if (access.cold !== undefined) engine.archived = new Archived(engine.storage.sql, engine.log);
    engine.recall = async (error) => {
      if (error instanceof HistoryNotLoaded) return engine.loadHistory();
      // While the gate is held nobody waits for the archive: a transaction must not.
      if (!(error instanceof ArchivedPoint) || this.gate.isMine) throw error;
      await (await this.backup()).recall(error);
    };
    this.timers.on(TRIM_TIMER, () => this.#trim());
    this.timers.on(BACKUP_TIMER, () => this.#backUp());
    engine.onCommit(() => this.#committed());
  }

  /** What runs statements on branches; loaded when it is first asked for. */
  async branching(): Promise<BranchRunner> {
    await this.engine.loadHistory();
    const { BranchRunner } = await import('./branch/index.ts');
    return (this.#branching ??= await this.gate.pass(() => {
      const branching = new BranchRunner(this.engine);
      this.engine.branching = branching;
      return branching;
    }));
  }

  /** Where in the bucket cold files are; undefined where no bucket was given, or nothing was written to it yet. */
  get coldPrefix(): string | undefined {
    const { cold } = this.#access;
    if (cold === undefined || !('bucket' in cold)) return undefined;
    const own = this.engine.log.meta('cold_prefix');
    return cold.prefix ?? (own === undefined ? undefined : String(own));
  }

  /** What reads files and cold rows; loaded when it is first asked for. */
  async files(): Promise<FileStack> {
    if (this.#files !== undefined) return this.#files;
    await this.engine.loadHistory();
    const { fileStack } = await import('./tier/index.ts');
    return (this.#files ??= fileStack(this, this.#access));
  }

  /**
   * What backs the database up; loaded when it is first asked for.
   *
   * @throws DoSQLError `BAD_PARAMETER` when there is no cold storage
   */
  async backup(): Promise<Backup> {
    await this.engine.loadHistory();
    const { openBackup } = await import('./backup/index.ts');
    return (this.#backup ??= openBackup(this, this.#access.cold, this.#policy));
  }

  /** Sets what keeps the log until it is archived, and the timer of backups. */
  async startBackups(): Promise<void> {
    const { archive, everyMs } = this.#policy;
    // What uses a lease goes on with it.
    if (this.#access.cold !== undefined && (leaseOf(this.engine.log)?.untilMs ?? 0) > this.engine.nowMs())
      await this.backup();
    const held = this.holds.of(ARCHIVE_HOLD);
    // Without the option a log that nobody backs up any more is let go of in the end, as that of a slot is.
    const isBounded = archive === undefined;
    if ((held?.isBounded ?? true) !== isBounded)
      await this.gate.pass(() => {
        const lsn = BigInt(held?.lsn ?? this.engine.log.earliest().lsn);
        this.holds.set(ARCHIVE_HOLD, lsn, isBounded ? {} : { bytes: Infinity });
      });
    if (everyMs === undefined || this.timers.has(BACKUP_TIMER)) return;
    try {
      await this.schedule(BACKUP_TIMER, this.engine.nowMs());
    } catch (cause) {
      if (cause instanceof DoSQLError) throw cause;
      throw new DoSQLError(
        'BAD_PARAMETER',
        'backup.every is set, but the class has no alarm(): give it one that calls db.alarm()',
        { cause },
      );
    }
  }

  /** The branches, once loaded. */
  get branches(): BranchRunner['branches'] | undefined {
    return this.#branching?.branches;
  }

  /** Sets the timer `name` for `at`, as part of the transaction of whoever asks. */
  schedule(name: string, at: Date | number, payload?: unknown, ifAbsent: boolean = false): Promise<void> {
    const schedule = (): Promise<void> => this.timers.schedule(name, at, payload, ifAbsent);
    return this.gate.isMine ? schedule() : this.gate.hold(schedule);
  }

  /** Removes the timer `name`; returns whether there was one. */
  cancel(name: string): Promise<boolean> {
    const cancel = (): Promise<boolean> => this.timers.cancel(name);
    return this.gate.isMine ? cancel() : this.gate.hold(cancel);
  }

  /**
   * Arms the timer that trims the log, for when its oldest change will be too old. A new database is armed at
   * once, so that opening one later, on a full disk perhaps, writes nothing. A class without alarm() has no timer.
   */
  async startTrimming(): Promise<void> {
    try {
      await this.gate.hold(() => this.timers.rearm());
      if (!this.timers.has(TRIM_TIMER)) await this.#armTrimming();
      this.#isArmed = true;
    } catch (error) {
      if (error instanceof DoSQLError) throw error;
    }
  }

  /** A log that no timer trims, or that has become too large before it does, is trimmed as it is written. */
  #committed(): void {
    const { marked } = this.engine.log;
    if (marked - this.#looked < CHANGES_PER_LOOK) return;
    this.#looked = marked;
    const size = this.engine.storage.sql.databaseSize;
    if (!this.#isArmed || size > this.#window.maxBytes)
      trimStep(this.engine, this.#window, () => this.holds.lowest());
  }

  /** What the timer does; one that was set when backups were wanted, and is due when they are not, ends. */
  async #backUp(): Promise<void> {
    const { everyMs } = this.#policy;
    if (everyMs === undefined) return;
    await (await this.backup()).run();
    await this.schedule(BACKUP_TIMER, this.engine.nowMs() + everyMs);
  }

  async #trim(): Promise<void> {
    if (this.#policy.archive !== undefined) await (await this.backup()).archive();
    const more = await this.gate.pass(() => trimStep(this.engine, this.#window, () => this.holds.lowest()));
    if (more) await this.schedule(TRIM_TIMER, this.engine.nowMs());
    else await this.#armTrimming();
  }

  async #armTrimming(): Promise<void> {
    const due = await this.gate.pass(() => trimDue(this.engine, this.#window));
    await this.schedule(TRIM_TIMER, Math.max(due, this.engine.nowMs() + TRIM_EVERY_MS));
  }
}
