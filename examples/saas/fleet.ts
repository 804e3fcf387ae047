/**
 * Looks after all tenants of an app that is deployed: `OPERATOR_SECRET=… node fleet.ts report https://app.example.com`
 * tells how they are, `migrate` brings them all to the schema that is deployed.
 */
import { parseArgs } from 'node:util';
import { table } from '@dotdo/example-shared/local/transcript';
import { Operator } from './operator.ts';

/** What did not become of a tenant, and why. */
interface Failure {
  readonly tenant: string;
  readonly error: string;
}

/** How far it has come. */
export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly failed: number;
}

/** What has become of all tenants. */
export interface Migrated {
  /** The version that is deployed; undefined when that could not be found out. */
  readonly version: number | undefined;
  /** Tenants that were behind, and are not any more. */
  readonly migrated: number;
  /** Tenants that have not been tried: there was a signal to stop, or too much had gone wrong. */
  readonly left: number;
  readonly failures: readonly Failure[];
}

/** How to go about it. */
export interface MigrateOptions {
  /** So many tenants at once; 16 by default. */
  readonly concurrency?: number;
  /** After so many failures nobody else is tried; 20 by default. */
  readonly maxFailures?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/**
 * Brings every tenant to the schema that is deployed. A tenant is brought there by its next request anyway; this has
 * it done for those, too, that nobody visits, and finds out for whom it fails. The first tenant goes alone: where it
 * fails, the others are not tried. What has been done is on the operator's list, so calling it again goes on with
 * those that are left.
 */
export async function migrateFleet(
  operator: Pick<Operator, 'tenants' | 'migrate'>,
  options: MigrateOptions = {},
): Promise<Migrated> {
  const { concurrency = 16, maxFailures = 20, signal, onProgress } = options;
  const tenants: { readonly name: string; readonly schema_version: number }[] = [];
  for await (const tenant of operator.tenants()) tenants.push(tenant);
  const [first, ...others] = tenants;
  if (first === undefined) return { version: undefined, migrated: 0, left: 0, failures: [] };

  const failures: Failure[] = [];
  const migrate = async (tenant: string): Promise<number | undefined> => {
    try {
      return await operator.migrate(tenant);
    } catch (error) {
      failures.push({ tenant, error: error instanceof Error ? error.message : String(error) });
      return undefined;
    }
  };
  const version = await migrate(first.name);
  if (version === undefined) return { version, migrated: 0, left: others.length, failures };

  const behind = others.filter(({ schema_version }) => schema_version < version);
  const wasBehind = Number(first.schema_version < version);
  let next = 0;
  let done = 0;
  const isOver = (): boolean =>
    next === behind.length || failures.length >= maxFailures || signal?.aborted === true;
  const work = async (): Promise<void> => {
    while (!isOver()) {
      const { name } = behind[next++] as (typeof behind)[number];
      await migrate(name);
      done++;
      onProgress?.({ done: done + wasBehind, total: behind.length + wasBehind, failed: failures.length });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return { version, migrated: done + wasBehind - failures.length, left: behind.length - done, failures };
}

/** How all tenants are: of which versions, and who does most. Asks none of them: it is all on the operator's side. */
async function report(operator: Operator): Promise<void> {
  const versions = await operator.query<{ schema_version: number; tenants: number }>(
    'SELECT schema_version, count(*) AS tenants FROM tenants GROUP BY schema_version ORDER BY schema_version',
  );
  table(
    ['schema version', 'tenants'],
    versions.map(({ schema_version, tenants }) => [String(schema_version), String(tenants)]),
  );
  const busiest = await operator.query<{ tenant: string; tasks: number; open: number }>(
    `SELECT tenant, count(*) AS tasks, sum(status <> 'done') AS open
     FROM tasks GROUP BY tenant ORDER BY tasks DESC, tenant LIMIT 10`,
  );
  table(
    ['tenant', 'tasks', 'open'],
    busiest.map(({ tenant, tasks, open }) => [tenant, String(tasks), String(open)]),
  );
}

/** A line that grows on a terminal; elsewhere one for each tenth. */
export function showProgress({ done, total, failed }: Progress): void {
  const text = `${done} of ${total} tenants${failed === 0 ? '' : `, ${failed} failed`}`;
  if (process.stderr.isTTY) process.stderr.write(`\r          ${text}${done === total ? '\n' : ''}`);
  else if (done === total || done % Math.ceil(total / 10) === 0) process.stderr.write(`          ${text}\n`);
}

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { concurrency: { type: 'string', default: '16' } },
  });
  const [command = '', url = ''] = positionals;
  const secret = process.env['OPERATOR_SECRET'];
  const concurrency = Number(values.concurrency);
  if (!['report', 'migrate'].includes(command) || !URL.canParse(url) || !(concurrency >= 1) || !secret)
    throw new Error('OPERATOR_SECRET=… node fleet.ts report|migrate https://… [--concurrency 16]');
  const operator = await Operator.of(new URL(url), secret);
  if (command === 'report') return report(operator);
  const { version, migrated, left, failures } = await migrateFleet(operator, {
    concurrency,
    onProgress: showProgress,
  });
  console.log(`schema version ${version ?? 'unknown'}: ${migrated} migrated, ${left} not tried`);
  for (const { tenant, error } of failures) console.log(`${tenant}: ${error}`);
  if (failures.length > 0) process.exitCode = 1;
}

if (process.argv[1] === import.meta.filename) await main();
