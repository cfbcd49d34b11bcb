/**
 * Outcomes as they are stored. Of each run four 16-bit hashes, of the normalized parts of the image, each XORed with the hash that the
 * unchanged input would have: what an instruction leaves alone is zero and compresses to nothing. The inputs are drawn again.
 *
 * vectors.bin.gz: u32 length of a JSON list of [form's name, hash of its encodings, bytes that follow for it], the list, the data.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { parseRows, rowSets } from '../../core/spec/index.ts';
import { ENCODINGS, SETS, encode, formsOf, type Encoding, type Form } from './encode.ts';
import { EXIT, FLAGS, FX, FX_ST, FX_XMM, GPR, IMAGE, WINDOW_BYTES } from './image.ts';
import { hash } from './rng.ts';
import { approximate, normalize, recordable } from './undefined.ts';

export const RUNS = ENCODINGS * SETS;
export const PARTS = ['registers', 'flags, exit or exception', 'memory', 'x87, MMX or XMM state'] as const;

const FILE = new URL('vectors.bin.gz', import.meta.url);

const fold = (h: number): number => (h ^ (h >>> 16)) & 0xffff;

/** Hashes of the four parts of a normalized image. */
export function digest(image: Uint8Array): [number, number, number, number] {
  return [
    fold(hash(image, GPR, FLAGS)),
    fold(hash(image, FLAGS, EXIT + 8)),
    fold(hash(image, WINDOW_BYTES, FX)),
    fold(hash(image, FX, IMAGE)),
  ];
}

/** Digest of what `before` would be if the instruction did nothing. */
export function digestUnchanged(form: Form, encoding: Encoding, before: Uint8Array): [number, number, number, number] {
  const image = before.slice();
  // As an outcome: fell through, no exception.
  image.fill(0xff, EXIT + 4, EXIT + 8);
  normalize(form, encoding, before, image);
  return digest(image);
}

/** Bytes of a form's data: hashes, and for inexact rows what came out. */
export const RAW = { x87: 20, xmm: 16 } as const;

/** Takes the raw result of an inexact row out of an outcome that is not yet normalized. */
export function rawResult(form: Form, encoding: Encoding, after: Uint8Array): Uint8Array | undefined {
  const how = approximate(form);
  if (how === 'x87') return Uint8Array.from([...after.subarray(FX_ST, FX_ST + 10), ...after.subarray(FX_ST + 16, FX_ST + 26)]);
  if (how === 'xmm') return after.slice(FX_XMM + encoding.reg * 16, FX_XMM + encoding.reg * 16 + 16);
  return undefined;
}

export interface Recorded {
  /** Of its encodings: if the encoder or the row changed, the vectors are stale. */
  readonly encodings: number;
  /** RUNS * 4, XORed as said above, in columns of a part each; none if the CPU that recorded did not know the instruction. */
  readonly hashes: Uint16Array;
  readonly raw: Uint8Array;
}

export const encodingsOf = (form: Form): Encoding[] => Array.from({ length: ENCODINGS }, (_, n) => encode(form, n));
export const encodingsHash = (encodings: readonly Encoding[]): number =>
  hash(Uint8Array.from(encodings.flatMap((e) => [e.bytes.length, ...e.bytes])));

/** Every form of every row that can be recorded, 64-bit first. */
export function allForms(): Form[] {
  const rows = rowSets.flatMap(parseRows);
  return ([64, 32] as const).flatMap((mode) => rows.flatMap((row) => formsOf(row, mode))).filter(recordable);
}

export function readVectors(): Map<string, Recorded> {
  const out = new Map<string, Recorded>();
  if (!existsSync(FILE)) return out;
  const bytes = gunzipSync(readFileSync(FILE));
  const length = bytes.readUInt32LE(0);
  const index = JSON.parse(bytes.subarray(4, 4 + length).toString()) as [string, number, number][];
  let at = 4 + length;
  for (const [name, encodings, size] of index) {
    const data = bytes.subarray(at, at + size);
    const hashes = new Uint16Array(size === 0 ? 0 : RUNS * 4);
    for (let i = 0; i < hashes.length; i++) hashes[i] = data.readUInt16LE(i * 2);
    out.set(name, { encodings, hashes, raw: data.subarray(hashes.length * 2) });
    at += size;
  }
  return out;
}

export function writeVectors(vectors: ReadonlyMap<string, Recorded>): number {
  const index = [...vectors].map(([name, { encodings, hashes, raw }]) => [name, encodings, hashes.length * 2 + raw.length]);
  const text = Buffer.from(JSON.stringify(index));
  const head = Buffer.alloc(4);
  head.writeUInt32LE(text.length);
  const parts = [head, text];
  for (const { hashes, raw } of vectors.values()) {
    const bytes = Buffer.alloc(hashes.length * 2);
    hashes.forEach((h, i) => bytes.writeUInt16LE(h, i * 2));
    parts.push(bytes, Buffer.from(raw));
  }
  const packed = gzipSync(Buffer.concat(parts), { level: 9 });
  writeFileSync(FILE, packed);
  return packed.length;
}
