import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type * as doltlite from '@dolthub/doltlite';
import { memoryFolder } from './report.ts';

type Doltlite = typeof doltlite;

/**
 * Loads DoltLite.
 *
 * Its binary for Linux is linked against glibc 2.38, of which it uses nothing but two names of `strtol` and
 * `strtoll` as C23 has them (they also take `0b` digits). On an older glibc a copy is loaded that asks for the
 * plain ones.
 */
export function loadDoltlite(): Doltlite {
  const require = createRequire(import.meta.url);
  try {
    return require('@dolthub/doltlite') as Doltlite;
  } catch (error) {
    if (!(error instanceof Error && error.message.includes('GLIBC_2.38') && process.arch === 'x64'))
      throw error;
  }
  const installed = join(dirname(require.resolve('@dolthub/doltlite')), 'prebuilds/linux-x64/doltlite.node');
  const copy = join(memoryFolder, `doltlite-${process.pid}.node`);
  writeFileSync(copy, forOlderGlibc(readFileSync(installed)));
  try {
    const module = { exports: {} };
    process.dlopen(module, copy);
    return module.exports as Doltlite;
  } finally {
    rmSync(copy);
  }
}

/** A shared object that needs GLIBC_2.2.5 in place of GLIBC_2.38. */
function forOlderGlibc(binary: Buffer): Buffer {
  for (const name of ['strtol', 'strtoll']) {
    const at = binary.indexOf(`\0__isoc23_${name}\0`);
    if (at !== -1) binary.write(`\0${name}\0`, at);
  }
  const plain = neededVersion(binary, 'GLIBC_2.2.5');
  const newer = neededVersion(binary, 'GLIBC_2.38');
  binary.copy(binary, newer, plain, plain + 4);
  binary.copy(binary, newer + 8, plain + 8, plain + 12);
  return binary;
}

/**
 * Where the object's record of a symbol version that it needs begins: the hash of the version's name, two
 * bytes of flags, two of index, and where the name is (Elf64_Vernaux, https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html).
 */
function neededVersion(binary: Buffer, name: string): number {
  const hash = Buffer.alloc(4);
  hash.writeUInt32LE(elfHash(name));
  for (let at = binary.indexOf(hash); at !== -1; at = binary.indexOf(hash, at + 1))
    if (at % 4 === 0) return at;
  throw new Error(`DoltLite's binary does not mention ${name}`);
}

function elfHash(name: string): number {
  let hash = 0;
  for (const byte of Buffer.from(name)) {
    hash = ((hash << 4) + byte) >>> 0;
    const high = hash & 0xf000_0000;
    hash = (hash ^ (high >>> 24) ^ high) >>> 0;
  }
  return hash;
}
