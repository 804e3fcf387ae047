import { createNodeBackend } from '../../src/node/index.ts';

/** Writes the file `a` again and again, as bytes and as a stream, each time a million times one byte, and says so. */
const files = createNodeBackend(process.argv[2] ?? '');
for (let version = 1; version < 256; version++) {
  const bytes = new Uint8Array(1_000_000).fill(version);
  const stream = new Response(bytes).body as ReadableStream<Uint8Array>;
  await files.write('a', version % 2 ? bytes : stream);
  process.stdout.write(`${version}\n`);
}
