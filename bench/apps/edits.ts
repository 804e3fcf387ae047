import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';

/** Edits of a document over many sockets. */
export interface Edits {
  readonly sockets: number;
  /** Edits a second of each; a socket that still waits for an answer skips its turn. */
  readonly perSecond: number;
  readonly ms: number;
}

/** What came of them. */
export interface EditsOutcome {
  /** Edits that were answered. */
  readonly operations: number;
  readonly ms: number;
  /** ms from an edit to its arrival in another window. */
  readonly p50: number;
  readonly p99: number;
}

interface Frame {
  readonly type: string;
  readonly lsn: number;
  readonly changes?: readonly { readonly id: string; readonly text?: unknown }[];
  readonly ack?: number;
  readonly refused?: string;
  /** Of the object that only answers: whose words these were. */
  readonly from?: number;
}

interface Window {
  readonly index: number;
  readonly socket: WebSocket;
  readonly block: string;
  lsn: number;
  seq: number;
  isWaiting: boolean;
}

const blockOf = (index: number): string => `block-${String(index).padStart(4, '0')}`;

/**
 * Opens windows of a document, edits in each a block of its own, and watches from the first one. An object that only
 * answers does so by the edit itself.
 */
export async function edit(
  url: string,
  token: string,
  { sockets, perSecond, ms }: Edits,
  isEchoed: boolean,
): Promise<EditsOutcome> {
  const sentAt = new Map<string, number>();
  const took: number[] = [];
  let operations = 0;
  const problems: string[] = [];
  let isCounting = false;

  const hear = (window: Window, text: string): void => {
    const frame = JSON.parse(text) as Frame;
    if (frame.refused !== undefined) problems.push(frame.refused);
    const own = frame.from === window.index || frame.ack !== undefined;
    if (frame.lsn !== undefined) window.lsn = frame.lsn;
    if (own && window.isWaiting) {
      window.isWaiting = false;
      if (isCounting) operations++;
    }
    if (window.index !== 0) return;
    const changed =
      frame.from === undefined ? (frame.changes ?? []).map(({ id }) => id) : [blockOf(frame.from)];
    for (const id of changed) {
      const began = sentAt.get(id);
      if (began !== undefined && isCounting && id !== window.block) took.push(performance.now() - began);
      sentAt.delete(id);
    }
  };
  const open = async (index: number): Promise<Window> => {
    const client = `window-${String(index).padStart(4, '0')}`;
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/live?client=${client}`, [
      'collab',
      `bearer.${token}`,
    ]);
    const window = { index, socket, block: blockOf(index), lsn: 0, seq: 0, isWaiting: false };
    socket.addEventListener('message', ({ data }) => hear(window, String(data)));
    socket.addEventListener('close', ({ code, reason }) => {
      if (code !== 1000) problems.push(`closed: ${code} ${reason}`);
    });
    await once(socket, 'open');
    return window;
  };
  const send = (window: Window, edits: readonly object[]): void => {
    window.isWaiting = true;
    const { index, lsn } = window;
    const message = { type: 'edit', seq: ++window.seq, base: lsn, run: 1, operations: edits };
    // An object that only answers does not know whose words they are.
    window.socket.send(JSON.stringify(isEchoed ? { ...message, from: index } : message));
  };

  const windows: Window[] = [];
  for (let i = 0; i < sockets; i++) windows.push(await open(i));
  await wait(300);
  const [first] = windows;
  if (first === undefined) throw new Error('no windows');
  send(
    first,
    windows.map(({ block: id }) => ({
      op: 'insert',
      id,
      after: null,
      kind: 'paragraph',
      text: 'a paragraph of some words '.repeat(10),
      properties: {},
    })),
  );
  while (first.isWaiting && problems.length === 0) await wait(10);
  await wait(300);

  isCounting = true;
  const started = performance.now();
  const type = async (window: Window): Promise<void> => {
    const period = 1_000 / perSecond;
    let next = started + (window.index / sockets) * period;
    for (let now = started; now < started + ms && problems.length === 0; now = performance.now()) {
      if (!window.isWaiting && now >= next) {
        next = Math.max(next + period, now);
        sentAt.set(window.block, now);
        send(window, [{ op: 'edit', id: window.block, change: [[3, 1, 'abcdefgh'[window.seq % 8]]] }]);
      }
      await wait(Math.max(1, next - performance.now()));
    }
  };
  await Promise.all(windows.map(type));
  isCounting = false;
  const taken = performance.now() - started;
  for (const { socket } of windows) socket.close(1000);
  if (problems.length > 0) throw new Error(problems.join('; '));
  took.sort((a, b) => a - b);
  const at = (share: number): number => took[Math.floor(took.length * share)] ?? Number.NaN;
  return { operations, ms: taken, p50: at(0.5), p99: at(0.99) };
}
