import { evictDurableObject } from 'cloudflare:test';
import { expect, it } from 'vitest';
import { newObject } from './support/database.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';
import { readAll, withStreams, type StreamBench } from './support/streams.ts';

/** A stream as it should be. */
interface Model {
  readonly name: string;
  readonly source: Model | undefined;
  /** All that its readers see. */
  readonly messages: unknown[];
  /** The offsets that clients were given, by how many messages lie before them. */
  readonly offsets: Map<number, string>;
  forks: number;
  isDeleted: boolean;
}

/** Streams that are made, forked, appended to, deleted and read at random, beside a model of them. */
class Run {
  readonly #random: Random;
  readonly #live = new Map<string, Model>();
  #count = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  async step(bench: StreamBench): Promise<void> {
    const name = `s${this.#random.int(6)}`;
    const there = this.#live.get(name);
    const roll = this.#random.next();
    if (there === undefined) return await this.#create(bench, name);
    if (there.isDeleted) return await this.#gone(bench, there);
    if (roll < 0.5) return await this.#append(bench, there);
    if (roll < 0.85) return await this.#read(bench, there);
    if (roll < 0.95) return await this.#delete(bench, there);
    await bench.streams.expire(1 + this.#random.int(3));
  }

  /** Now and then a message is larger than a row. */
  #messages(): unknown[] {
    return this.#random.times(this.#random.int(5), () => {
      const text = this.#random.chance(0.02) ? '🦉'.repeat(140_000) : 'x'.repeat(this.#random.int(300));
      return [this.#count++, text, null];
    });
  }

  async #create(bench: StreamBench, name: string): Promise<void> {
    const sources = [...this.#live.values()].filter(({ isDeleted }) => !isDeleted);
    if (sources.length === 0 || this.#random.chance(0.3)) {
      const messages = this.#messages();
      const response = await bench.send('PUT', name, { body: JSON.stringify(messages) });
      expect(response.status).toBe(201);
      const offset = response.headers.get('stream-next-offset') as string;
      return this.#add(name, undefined, messages, new Map([[messages.length, offset]]));
    }
    const source = this.#random.pick(sources);
    const [before, offset] = this.#random.pick([...source.offsets]);
    const more = this.#random.int(source.messages.length - before + 1);
    const own = this.#random.chance(0.5) ? this.#messages() : [];
    const response = await bench.send('PUT', name, {
      ...(own.length === 0 ? {} : { body: JSON.stringify(own) }),
      headers: {
        'stream-forked-from': `/streams/${source.name}`,
        'stream-fork-offset': offset,
        'stream-fork-sub-offset': String(more),
      },
    });
    expect([response.status, await response.text()]).toEqual([201, '']);
    const messages = [...source.messages.slice(0, before + more), ...own];
    const offsets = new Map([...source.offsets].filter(([count]) => count <= before + more));
    offsets.set(messages.length, response.headers.get('stream-next-offset') as string);
    source.forks++;
    this.#add(name, source, messages, offsets);
  }

  #add(name: string, source: Model | undefined, messages: unknown[], offsets: Map<number, string>): void {
    this.#live.set(name, { name, source, messages, offsets, forks: 0, isDeleted: false });
  }

  async #append({ send }: StreamBench, stream: Model): Promise<void> {
    const messages = this.#messages();
    const response = await send('POST', stream.name, { body: JSON.stringify(messages) });
    expect(response.status).toBe(messages.length === 0 ? 400 : 204);
    if (messages.length === 0) return;
    stream.messages.push(...messages);
    stream.offsets.set(stream.messages.length, response.headers.get('stream-next-offset') as string);
  }

  async #read(bench: StreamBench, { name, messages, offsets }: Model): Promise<void> {
    const [before, offset] = this.#random.pick([[0, '-1'] as const, ...offsets]);
    expect(await readAll(bench, name, offset)).toEqual(messages.slice(before));
    const inOrder = [...offsets].toSorted(([a], [b]) => a - b).map(([, text]) => text);
    expect(inOrder).toEqual(inOrder.toSorted());
  }

  async #gone({ send }: StreamBench, { name }: Model): Promise<void> {
    expect((await send('GET', name)).status).toBe(410);
    expect((await send('PUT', name)).status).toBe(409);
  }

  async #delete({ send }: StreamBench, stream: Model): Promise<void> {
    expect((await send('DELETE', stream.name)).status).toBe(204);
    stream.isDeleted = true;
    for (let at: Model | undefined = stream; at?.isDeleted === true && at.forks === 0; at = at.source) {
      this.#live.delete(at.name);
      if (at.source !== undefined) at.source.forks--;
    }
  }

  /** Reads all, deletes all, and finds nothing left of them. */
  async end(bench: StreamBench): Promise<void> {
    for (const stream of this.#live.values())
      if (!stream.isDeleted) {
        await this.#read(bench, stream);
        await this.#delete(bench, stream);
      }
    while ((await bench.streams.expire(50)).hasMore);
    for (const table of ['dosql_stream', 'dosql_stream_message', 'dosql_stream_producer'])
      expect(await bench.db.query(`SELECT * FROM ${table}`)).toEqual([]);
  }
}

it.each(seeds(4_417))('streams and their forks are as a model of them says, seed %i', async (seed) => {
  const run = new Run(seed);
  const stub = newObject();
  const options = { pageBytes: 1_000 };
  for (let i = 0; i < 6; i++) {
    await withStreams(
      async (bench) => {
        for (let j = 0; j < 60; j++) await run.step(bench);
      },
      options,
      stub,
    );
    await evictDurableObject(stub);
  }
  await withStreams((bench) => run.end(bench), options, stub);
});
