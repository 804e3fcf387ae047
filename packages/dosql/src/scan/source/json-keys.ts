import { TextFault } from './text-fault.ts';

/** More different keys than tables have columns: objects that are used as maps. */
const MAX_KEYS = 5_000;

const QUOTE = 34;

const utf8 = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

/** The keys of objects, each with the slot that its values go to. */
export class JsonKeys {
  /** All keys that were met, in order, where they are asked for. */
  readonly names: string[] = [];
  readonly #wanted: ReadonlyMap<string, number>;
  readonly #written: Uint8Array[] = [];
  readonly #slots: number[] = [];
  readonly #known = new Map<string, number>();

  constructor(wanted: readonly string[]) {
    this.#wanted = new Map(wanted.map((name, slot) => [name, slot]));
  }

  /** The slot of a key; -1 where it is not wanted. */
  slotOf(key: number): number {
    return this.#slots[key] ?? -1;
  }

  /**
   * The quote that ends the key which begins at `start`, where that is the key number `guess`; -1 where it is another.
   * In most files all objects have the same keys in the same order, so that a key is known by comparing it with the
   * one that came there before.
   */
  endOf(bytes: Uint8Array, start: number, guess: number): number {
    const expected = this.#written[guess];
    if (expected === undefined) return -1;
    const { length } = expected;
    if (bytes[start + length] !== QUOTE) return -1;
    for (let i = 0; i < length; i++) if (expected[i] !== bytes[start + i]) return -1;
    return start + length;
  }

  /** The number of a key. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const written = utf8.decode(bytes.subarray(start, end));
    const known = this.#known.get(written);
    if (known !== undefined) return known;
    const name = written.includes('\\') ? unescaped(written, start) : written;
    const slot = this.#wanted.get(name) ?? -1;
    if (this.#written.length >= MAX_KEYS && slot < 0) return -1;
    const key = this.#written.length;
    this.#known.set(written, key);
    this.#written.push(bytes.slice(start, end));
    this.#slots.push(slot);
    if (!this.names.includes(name)) this.names.push(name);
    return key;
  }
}

/**
 * The text of what stands between quotes.
 *
 * @throws TextFault
 */
export function unescaped(written: string, at: number): string {
  try {
    return JSON.parse(
      `"${written.replace(/[\n\r\t]/g, (each) => JSON.stringify(each).slice(1, -1))}"`,
    ) as string;
  } catch {
    throw new TextFault(at, `${JSON.stringify(written.slice(0, 60))} is no JSON string`);
  }
}
