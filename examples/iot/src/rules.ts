import type { Database, Transaction } from '@dotdo/dosql';
import { HttpError, json, notFound, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import type { InferOutput } from 'valibot';
import { NewRule, RulePatch, type Reading } from './input.ts';
import type { Context } from './routes.ts';

/** More rules than this would make every reading dear. */
const MAX_RULES = 500;

/** When to raise an alert, as the table has it. */
export interface Rule extends Omit<InferOutput<typeof NewRule>, 'enabled'> {
  readonly id: number;
  readonly enabled: 0 | 1;
}

/** The bound that a value is beyond, by a rule; undefined when it is not. */
export function brokenBound(rule: Rule, value: number): number | undefined {
  const { condition, threshold_value: bound, threshold_min: min, threshold_max: max } = rule;
  if (condition === 'range_outside') {
    if (min !== null && value < min) return min;
    return max !== null && value > max ? max : undefined;
  }
  if (bound === null) return undefined;
  return COMPARISONS[condition](value, bound) ? bound : undefined;
}

const COMPARISONS = {
  gt: (value: number, bound: number) => value > bound,
  gte: (value: number, bound: number) => value >= bound,
  lt: (value: number, bound: number) => value < bound,
  lte: (value: number, bound: number) => value <= bound,
  eq: (value: number, bound: number) => value === bound,
  neq: (value: number, bound: number) => value !== bound,
};

/** The rules that are enabled, by what they are about: a reading looks at its own only. */
export class RuleBook {
  readonly #ofType: ReadonlyMap<string, readonly Rule[]>;
  readonly #ofSensor: ReadonlyMap<string, readonly Rule[]>;

  constructor(rules: readonly Rule[]) {
    const own = rules.filter((rule) => rule.enabled === 1);
    this.#ofType = Map.groupBy(
      own.filter((rule) => rule.sensor_id === null),
      (rule) => rule.sensor_type,
    );
    this.#ofSensor = Map.groupBy(
      own.filter((rule) => rule.sensor_id !== null),
      (rule) => `${rule.sensor_type} ${rule.sensor_id}`,
    );
  }

  /** The rules for a reading's sensor. */
  for({ sensor_type, sensor_id }: Pick<Reading, 'sensor_id' | 'sensor_type'>): readonly Rule[] {
    const ofType = this.#ofType.get(sensor_type) ?? NONE;
    const ofSensor =
      this.#ofSensor.size === 0 ? undefined : this.#ofSensor.get(`${sensor_type} ${sensor_id}`);
    return ofSensor === undefined ? ofType : [...ofType, ...ofSensor];
  }
}

const NONE: readonly Rule[] = [];

/** All rules, as floors are given them. */
export function allRules(db: Pick<Database | Transaction, 'query'>): Promise<Rule[]> {
  return db.query<Rule>('SELECT * FROM alert_rules ORDER BY id');
}

/** `GET /alerts/rules` */
export async function listRules({ db, query }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  return json({ rules: (await allRules(db)).map(shown) });
}

/** `POST /alerts/rules { sensor_type, condition, threshold_value, … }` */
export async function createRule(context: Context): Promise<Response> {
  const rule = parseInput(NewRule, await readJson(context.request));
  const created = await change(context, async (tx) => {
    const count = await tx.get<{ rules: number }>('SELECT count(*) AS rules FROM alert_rules');
    if (count !== null && count.rules >= MAX_RULES)
      throw new HttpError(409, `there are ${MAX_RULES} rules already: delete one first`);
    return tx.query<Rule>(
      `INSERT INTO alert_rules (sensor_id, sensor_type, condition, threshold_value, threshold_min, threshold_max,
         severity, cooldown_seconds, enabled)
       VALUES (:sensor_id, :sensor_type, :condition, :threshold_value, :threshold_min, :threshold_max,
         :severity, :cooldown_seconds, :enabled)
       RETURNING *`,
      rule,
    );
  });
  return json(shown(created), { status: 201 });
}

/** `PATCH /alerts/rules/:id { enabled?, severity?, cooldown_seconds? }` */
export async function updateRule(context: Context): Promise<Response> {
  const { enabled, severity, cooldown_seconds } = parseInput(RulePatch, await readJson(context.request));
  const updated = await change(context, (tx) =>
    tx.query<Rule>(
      `UPDATE alert_rules SET enabled = coalesce(:enabled, enabled), severity = coalesce(:severity, severity),
         cooldown_seconds = coalesce(:cooldown_seconds, cooldown_seconds)
       WHERE id = :id RETURNING *`,
      { enabled, severity, cooldown_seconds, id: context.id },
    ),
  );
  return json(shown(updated));
}

/** `DELETE /alerts/rules/:id`: the alerts that it raised stay. */
export async function deleteRule(context: Context): Promise<Response> {
  parseQuery(NoQuery, context.query);
  await change(context, (tx) =>
    tx.query<Rule>('DELETE FROM alert_rules WHERE id = ? RETURNING *', [context.id]),
  );
  return new Response(null, { status: 204 });
}

/** Changes one rule, tells the intake, and has the floors told: by a timer, until each has taken it. */
async function change(
  { db, telemetry, floors }: Context,
  work: (tx: Transaction) => Promise<Rule[]>,
): Promise<Rule> {
  return db.transaction(async (tx) => {
    const [rule] = await work(tx);
    if (rule === undefined) throw notFound('rule');
    await floors.sendRulesSoon();
    // Whatever reads them next does so after this transaction.
    telemetry.intake.forgetRules();
    return rule;
  });
}

function shown({ enabled, ...rule }: Rule): object {
  return { ...rule, enabled: enabled === 1 };
}
