import { scan } from '../sql/scan.ts';
import { nameOf, tokenize, isName, type Token } from '../sql/token.ts';

type Event = 'INSERT' | 'UPDATE' | 'DELETE';

interface Trigger {
  readonly on: string;
  /** What its body, or a foreign key's action, does to which table. */
  readonly does: readonly string[];
}

/**
 * Whether some trigger can fire itself, directly or through others and foreign key actions.
 *
 * Errs on the side of yes: conditions (WHEN, UPDATE OF) are not looked at.
 */
export function hasTriggerCycle(triggers: readonly string[], tables: readonly string[]): boolean {
  const edges: Trigger[] = [...triggers.map(triggerOf), ...tables.flatMap(actionsOf)];
  const visit = (node: string, path: ReadonlySet<string>, done: Set<string>): boolean => {
    if (path.has(node)) return true;
    if (done.has(node)) return false;
    done.add(node);
    const deeper = new Set([...path, node]);
    return edges.some(({ on, does }) => on === node && does.some((next) => visit(next, deeper, done)));
  };
  // A cycle of foreign key actions alone fires no trigger: it takes a trigger of the user's to matter.
  return triggers.some((sql) => visit(triggerOf(sql).on, new Set(), new Set()));
}

function node(table: string, event: Event): string {
  return `${event} ${table.toLowerCase()}`;
}

function triggerOf(sql: string): Trigger {
  const tokens = tokenize(sql);
  const on = tokens.findIndex((token) => token.text === 'ON');
  const events: Event[] = ['INSERT', 'UPDATE', 'DELETE'];
  const event = events.find((event) => tokens.slice(0, on).some((token) => token.text === event)) ?? 'UPDATE';
  const begin = tokens.findIndex((token) => token.text === 'BEGIN');
  const body = tokens.slice(begin + 1);
  const does = scan(sql, tokens).flatMap(({ kind, name, start }) => {
    if (kind === 'update') return [node(name, 'UPDATE')];
    if (kind === 'delete') return [node(name, 'DELETE')];
    if (kind !== 'into') return [];
    return [node(name, 'INSERT'), ...conflictEvents(body, start).map((event) => node(name, event))];
  });
  const table = tokens[on + 1];
  return { on: node(table === undefined ? '' : nameOf(sql, table), event), does };
}

/** What an INSERT whose table stands at `start` may do besides inserting. */
function conflictEvents(tokens: readonly Token[], start: number): Event[] {
  const at = tokens.findIndex((token) => token.start === start);
  const end = tokens.findIndex((token, i) => i > at && token.text === ';');
  const events: Event[] = [];
  if (tokens.slice(Math.max(0, at - 3), at).some((token) => token.text === 'REPLACE')) events.push('DELETE');
  if (tokens.slice(at, end < 0 ? undefined : end).some((token) => token.text === 'CONFLICT'))
    events.push('UPDATE');
  return events;
}

/** The foreign key actions that a CREATE TABLE declares: changes of the parent that change this table. */
function actionsOf(sql: string): Trigger[] {
  const tokens = tokenize(sql);
  const table = tokens.find((token, i) => i > 1 && isName(token) && tokens[i + 1]?.text === '(');
  const child = table === undefined ? '' : nameOf(sql, table);
  return tokens.flatMap((token, i): Trigger[] => {
    const parent = tokens[i + 1];
    if (token.text !== 'REFERENCES' || !isName(parent)) return [];
    const on = nameOf(sql, parent);
    return [
      { on: node(on, 'DELETE'), does: [node(child, 'DELETE'), node(child, 'UPDATE')] },
      { on: node(on, 'UPDATE'), does: [node(child, 'UPDATE')] },
    ];
  });
}
