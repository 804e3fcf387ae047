import type { Database } from '@dotdo/dosql';
import { Draft, Refused } from './draft.ts';
import type { Line } from './line.ts';
import type { ClientMessage } from './messages.ts';
import { takeBack } from './undo.ts';
import { write, type Deed } from './write.ts';

/** What a client asks to have done. */
export interface Asked {
  readonly userId: string;
  /** The user and the client, so that nobody can speak for another's. */
  readonly client: string;
  readonly message: Extract<ClientMessage, { seq: number }>;
}

/** What became of it: done, had been done before, or why it was not done. */
export interface Done {
  readonly asked: Asked;
  readonly refused?: string;
}

/**
 * Does what clients ask, in the order in which it came: in rounds, each one write, in which no block is changed twice,
 * so that each change in the log is one person's. The caller holds the document's turn.
 */
export async function doAsked(main: Database, line: Line, asked: readonly Asked[]): Promise<Done[]> {
  const done: Done[] = [];
  const seqs = await seqsOf(
    main,
    asked.map(({ client }) => client),
  );
  let deeds: Deed[] = [];
  let busy = new Set<string>();
  const finishRound = async (): Promise<void> => {
    if (deeds.length > 0) await write(main, line, deeds);
    deeds = [];
    busy = new Set();
  };
  for (const one of asked) {
    const { client, message } = one;
    if (message.seq <= (seqs.get(client) ?? 0)) {
      done.push({ asked: one });
      continue;
    }
    seqs.set(client, message.seq);
    // What takes a place among the others has to see theirs, and undoing all that was done.
    const isAlone = message.type !== 'edit' || message.operations.some((operation) => 'after' in operation);
    const ids = message.type === 'edit' ? message.operations.map(({ id }) => id) : [];
    if (isAlone || ids.some((id) => busy.has(id))) await finishRound();
    try {
      const deed = await deedOf(main, line, one);
      if (deed === undefined) throw new Refused(`there is nothing to ${message.type}`);
      deeds.push({ ...deed, client, seq: message.seq });
      for (const id of ids) busy.add(id);
      done.push({ asked: one });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      done.push({ asked: one, refused: error.message });
    }
    if (isAlone) await finishRound();
  }
  await finishRound();
  return done;
}

/** The last message of each client that has been done. */
export async function seqsOf(main: Database, clients: readonly string[]): Promise<Map<string, number>> {
  const rows = await main.query<{ id: string; seq: number }>(
    'SELECT id, seq FROM clients WHERE id IN (SELECT value FROM json_each(?))',
    [JSON.stringify(clients)],
  );
  return new Map(rows.map(({ id, seq }) => [id, seq]));
}

/** What one message comes to; undefined where there is nothing to take back. */
async function deedOf(
  main: Database,
  line: Line,
  { client, message, userId }: Asked,
): Promise<Pick<Deed, 'run' | 'draft'> | undefined> {
  if (message.type !== 'edit') return takeBack(main, line, userId, message.type);
  if (message.base > line.db.lsn()) throw new Refused('the base lies in the future');
  const run = { id: `${client}/${message.run}`, userId, kind: 'edit' } as const;
  const draft = await Draft.open(line, message.operations);
  await draft.operate(message.operations, message.base, run.id);
  return { run, draft };
}
