/** The engines that could be started, and for the others why not. */
export interface Peers<E> {
  readonly engines: readonly E[];
  readonly versions: Readonly<Record<string, string>>;
}

/** Starts each engine; one that is not installed is told of and left out. The first has to start. */
export async function startPeers<E extends { readonly name: string; readonly version: string }>(
  ours: E,
  peers: Readonly<Record<string, () => E | Promise<E>>>,
): Promise<Peers<E>> {
  const engines = [ours];
  const versions: Record<string, string> = { [ours.name]: ours.version };
  for (const [name, start] of Object.entries(peers)) {
    try {
      const engine = await start();
      engines.push(engine);
      versions[name] = engine.version;
    } catch (error) {
      const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
      versions[name] = `not measured: ${reason}`;
      console.log(`${name} is left out: ${reason}`);
    }
  }
  return { engines, versions };
}

/** The engines in an order that differs from round to round, so that none always comes first. */
export function inTurn<E>(engines: readonly E[], round: number): E[] {
  const first = round % engines.length;
  return [...engines.slice(first), ...engines.slice(0, first)];
}

/** Fails where an engine's answer is not the expected one: figures of wrong answers are worth nothing. */
export function expectSame(what: string, engine: string, actual: number, expected: number): void {
  if (actual !== expected)
    throw new Error(`${engine} answers ${actual} for ${what}, where ${expected} is right`);
}
