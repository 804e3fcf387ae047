import { afterAll, beforeAll, expect, it } from 'vitest';
import { counted } from '../support/counted.ts';
import { Random } from '../support/random.ts';
import type { Reply } from './base.ts';
import type { TieredOp } from './tiered.ts';
import { until } from './until.ts';
import { Workerd } from './workerd.ts';

const KILLS = Number(process.env['DOSQL_KILLS'] ?? 12);
const SEED = Number(process.env['DOSQL_SEED'] ?? Date.now() % 1_000_000);
const CLIENTS = 3;
const KINDS = [
  'insert',
  'insert',
  'insert',
  'update',
  'update',
  'delete',
  'transfer',
  'transaction',
] as const;

let workerd: Workerd;
beforeAll(async () => {
  workerd = await Workerd.create();
});
afterAll(() => workerd.dispose());

it(
  `keeps every row once through ${KILLS} kills while rows become cold and hot`,
  { timeout: 120_000 + KILLS * 5_000 },
  async () => {
    console.log(`seed ${SEED}: DOSQL_SEED=${SEED} DOSQL_KILLS=${KILLS}`);
    const random = new Random(SEED);
    const acknowledged: number[] = [];
    const points: number[] = [];
    const wrong: string[] = [];
    let next = 0;
    let cold = 0;
    let refused = 0;
    const check = async (isLast: boolean): Promise<void> => {
      const body = { points: points.slice(-8), isLast };
      const answer = await workerd.ask<{ wrong: string[]; done: number[]; cold: number }>(
        'Tiered',
        'one',
        'check',
        body,
      );
      if (answer.status !== 200) throw new Error(`check answered ${JSON.stringify(answer)}`);
      wrong.push(...answer.body.wrong);
      cold = Math.max(cold, answer.body.cold);
      const done = new Set(answer.body.done);
      for (const n of acknowledged) if (!done.has(n)) wrong.push(`${n} was acknowledged and is not done`);
    };
    for (let kill = 0; kill < KILLS && wrong.length === 0; kill++) {
      await workerd.start();
      const killed = new AbortController();
      const client = async (): Promise<void> => {
        while (!killed.signal.aborted) {
          const n = ++next;
          const op: TieredOp = { kind: random.pick(KINDS), id: random.int(150), other: random.int(150), n };
          const answer = await workerd.ask<Reply>('Tiered', 'one', 'op', op).catch(() => undefined);
          if (answer === undefined) return;
          if (answer.body.ok) {
            acknowledged.push(n);
            if (random.chance(0.1)) points.push(Number(answer.body.lsn));
          } else if (/UNIQUE|UNAVAILABLE/.test(String(answer.body.code))) refused++;
          else if (!killed.signal.aborted) wrong.push(JSON.stringify(answer.body));
        }
      };
      const passes = async (): Promise<void> => {
        while (!killed.signal.aborted) {
          const answer = await workerd.ask<Reply>('Tiered', 'one', 'pass').catch(() => undefined);
          if (answer === undefined) return;
          if (!answer.body.ok && !killed.signal.aborted) wrong.push(JSON.stringify(answer.body));
        }
      };
      const load = [...random.times(CLIENTS, client), passes(), passes()];
      const before = acknowledged.length;
      await until(() => acknowledged.length >= before + 5 || wrong.length > 0);
      await new Promise((resolve) => setTimeout(resolve, random.int(300)));
      await workerd.kill();
      killed.abort();
      await Promise.all(load);
      await workerd.start();
      await check(false);
      await workerd.kill();
    }
    await workerd.start();
    await check(true);
    counted('kills in tiers', {
      kills: KILLS,
      acknowledged: acknowledged.length,
      refused,
      wrong: wrong.length,
    });
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(acknowledged.length).toBeGreaterThan(KILLS);
    expect(cold).toBeGreaterThan(10);
  },
);
