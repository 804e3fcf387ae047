import { gunzipSync } from 'node:zlib';
import { parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { startApp, type LocalApp } from '@dotdo/example-shared/local/app';
import { bytesIn } from './bytes.ts';

const root = new URL('../..', import.meta.url).pathname;
/** Known here, so that a test can compute the hash of a person that it looks for. */
export const HASH_KEY = 'hashes the people of these tests';

/** The app with witnesses at its exits. */
export interface Witnessed extends LocalApp {
  /** Breaks `r2`, the `site` or its `answer`; mends all else. */
  break(what: string): Promise<void>;
  /** What has been sent so far, by where it went. */
  sent(): Promise<{ to: string; bytes: Buffer }[]>;
  /** Does one of the things that the witness can do. */
  ask<T>(path: string, body?: unknown): Promise<T>;
}

/** Starts the app with its witness, with storage that lasts until `harness.close()`. */
export async function startWitnessed(): Promise<Witnessed> {
  const { url, harness } = await startApp(root, {
    main: 'test/witness/witness.worker.ts',
    vars: { LOCAL_PLACEMENT: 'yes' },
    secrets: { HASH_KEY },
  });
  const ask = async <T>(path: string, body?: unknown): Promise<T> => {
    const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
    const response = await fetch(new URL(`/witness/${path}`, url), init);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  };
  return {
    url,
    harness,
    ask,
    async break(what) {
      await ask(`break?what=${what}`);
    },
    async sent() {
      const sent = await ask<{ to: string; bytes: string }[]>('sent');
      return sent.map(({ to, bytes }) => ({ to, bytes: Buffer.from(bytes, 'base64') }));
    },
  };
}

/** Which of the canaries some bytes hold: as they are, in hex, in base64, zipped, or in the cells of Parquet. */
export async function canariesIn(bytes: Uint8Array, canaries: readonly string[]): Promise<string[]> {
  const buffer = Buffer.from(bytes);
  const forms = [buffer, ...unzipped(buffer), ...(await cellsOf(buffer))];
  return canaries.filter((canary) =>
    writings(canary).some((writing) => forms.some((form) => form.includes(writing))),
  );
}

/** A text as it could be written: in small letters, as hex, and as base64 wherever in it the text begins. */
function writings(text: string): Buffer[] {
  const plain = Buffer.from(text);
  const encoded = [0, 1, 2].map((shift) => {
    const base64 = Buffer.concat([Buffer.alloc(shift), plain]).toString('base64');
    // Letters at the edges depend on what stands there, too.
    return base64.slice(shift === 0 ? 0 : shift + 1, Math.floor(((plain.length + shift) * 8) / 6) - 1);
  });
  const hex = plain.toString('hex');
  const ofHex = /^[\da-f]{32}$/.test(text) ? [Buffer.from(text, 'hex')] : [];
  return [
    plain,
    ...ofHex,
    ...[hex, hex.toUpperCase(), ...encoded, encodeURIComponent(text)].map((form) => Buffer.from(form)),
  ];
}

function unzipped(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (
    let at = bytes.indexOf('\x1f\x8b\b', 0, 'latin1');
    at >= 0;
    at = bytes.indexOf('\x1f\x8b\b', at + 1, 'latin1')
  )
    try {
      found.push(gunzipSync(bytes.subarray(at)));
    } catch {
      // These three bytes were nothing of gzip.
    }
  return found;
}

/** What every Parquet file in it says, cell by cell. */
async function cellsOf(bytes: Buffer): Promise<Buffer[]> {
  const [from, to] = [bytes.indexOf('PAR1'), bytes.lastIndexOf('PAR1')];
  if (from < 0 || to <= from) return [];
  const file = bytes.subarray(from, to + 4);
  const { buffer, byteOffset, length } = file;
  const rows = await parquetReadObjects({
    file: buffer.slice(byteOffset, byteOffset + length) as ArrayBuffer,
    compressors,
  });
  return [Buffer.from(bytesIn(rows))];
}
