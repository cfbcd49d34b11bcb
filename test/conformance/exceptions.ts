/**
 * Floating point with exceptions unmasked: which are reported, what stays as it was, when a store or a pop does not happen. Inputs as in
 * inputs.ts with other control words. `node test/conformance/exceptions.ts` records what the CPU under us does into exceptions.bin.gz: of
 * each run a 16-bit hash.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { SETS, type Encoding, type Form } from './encode.ts';
import { EXIT, FX, FX_FCW, FX_FSW, FX_MXCSR, IMAGE, NO_VECTOR, VECTOR } from './image.ts';
import { input } from './inputs.ts';
import { buildNative } from './native.ts';
import { Rng, hash } from './rng.ts';
import { approximate, normalize } from './undefined.ts';
import { allForms, encodingsOf } from './vectors.ts';

const FILE = new URL('exceptions.bin.gz', import.meta.url);

/** x87 and SSE arithmetic in 64-bit mode; approximations are the business of the other vectors. */
export function exceptionForms(): Form[] {
  return allForms().filter(
    (form) =>
      form.mode === 64 &&
      approximate(form) === undefined &&
      (form.row.unit === 'x87' ||
        /^(ADD|SUB|MUL|DIV|SQRT|MIN|MAX|CMP|U?COMI|CVT|ROUND|DP|ADDSUB|HADD|HSUB)[A-Z0-9]*[SP][SDI]/.test(form.row.mnemonic)),
  );
}

/** Masks and flags drawn anew; no x87 exception is pending before. */
export function exceptionInput(form: Form, n: number, encoding: Encoding, i: number): Uint8Array {
  const image = input(form, n, encoding, i);
  const v = new DataView(image.buffer);
  const rng = new Rng(`exceptions of ${form.name} ${n} ${i}`);
  const masks = rng.one(4) ? 0 : rng.u32() & 0x3f;
  v.setUint16(FX_FCW, (v.getUint16(FX_FCW, true) & 0xff40) | masks, true);
  v.setUint16(FX_FSW, v.getUint16(FX_FSW, true) & 0x7f40 & ~0x80, true);
  const modes = (rng.one(2) ? 0 : rng.below(4) << 13) | (rng.one(5) ? 0x8000 : 0) | (rng.one(5) ? 0x40 : 0);
  v.setUint32(FX_MXCSR, (masks << 7) | modes | (rng.one(2) ? 0x20 : rng.u32() & 0x3f), true);
  return image;
}

/** An outcome as it is stored. After a fault only the general registers count: a signal frame shows no more. */
export function outcome(form: Form, encoding: Encoding, before: Uint8Array, after: Uint8Array): number {
  const image = after.slice();
  const v = new DataView(image.buffer);
  if (v.getUint32(VECTOR, true) !== NO_VECTOR) {
    image.fill(0, FX, IMAGE);
    image.fill(0, EXIT, EXIT + 4);
  }
  normalize(form, encoding, before, image);
  const h = hash(image, 0, IMAGE);
  return (h ^ (h >>> 16)) & 0xffff;
}

/** Hashes by the form's name. */
export function readExceptions(): Map<string, Uint16Array> {
  const out = new Map<string, Uint16Array>();
  if (!existsSync(FILE)) return out;
  const bytes = gunzipSync(readFileSync(FILE));
  const length = bytes.readUInt32LE(0);
  let at = 4 + length;
  for (const [name, count] of JSON.parse(bytes.subarray(4, 4 + length).toString()) as [string, number][]) {
    out.set(
      name,
      Uint16Array.from({ length: count }, (_, i) => bytes.readUInt16LE(at + 2 * i)),
    );
    at += 2 * count;
  }
  return out;
}

function record(): void {
  const native = buildNative();
  const index: [string, number][] = [];
  const hashes: number[] = [];
  for (const form of exceptionForms()) {
    const encodings = encodingsOf(form);
    const jobs = encodings.map((encoding, n) => ({
      code: encoding.bytes,
      images: Array.from({ length: SETS }, (_, i) => exceptionInput(form, n, encoding, i)),
    }));
    const outcomes = native.run(form.mode, jobs);
    jobs.forEach(({ images }, n) => hashes.push(...images.map((before, i) => outcome(form, encodings[n]!, before, outcomes[n]![i]!))));
    index.push([form.name, encodings.length * SETS]);
  }
  native.close();
  const text = Buffer.from(JSON.stringify(index));
  const head = Buffer.alloc(4);
  head.writeUInt32LE(text.length);
  const packed = gzipSync(Buffer.concat([head, text, Buffer.from(Uint16Array.from(hashes).buffer)]), { level: 9 });
  writeFileSync(FILE, packed);
  console.log(`${index.length} forms, ${hashes.length} runs, ${(packed.length / 1024).toFixed(0)} KiB`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) record();
