/**
 * Records vectors from the CPU under us: `node test/conformance/record.ts [--all] [PATTERN]`.
 * Without --all only forms that are new or whose encodings changed; PATTERN (a regular expression on form names) narrows it.
 */
import os from 'node:os';
import { input } from './inputs.ts';
import { EXIT, FX, IMAGE, NO_VECTOR, VECTOR } from './image.ts';
import { SETS } from './encode.ts';
import { buildNative, type Job, type Native } from './native.ts';
import { normalize } from './undefined.ts';
import type { Form } from './encode.ts';
import {
  RUNS,
  allForms,
  digest,
  digestUnchanged,
  encodingsHash,
  encodingsOf,
  rawResult,
  readVectors,
  writeVectors,
  type Recorded,
} from './vectors.ts';

const UD = 6;

/** Runs a form natively. No hashes: this CPU does not know the instruction. */
function record(native: Native, form: Form): Recorded {
  const encodings = encodingsOf(form);
  const jobs: Job[] = encodings.map((encoding, n) => ({
    code: encoding.bytes,
    images: Array.from({ length: SETS }, (_, i) => input(form, n, encoding, i)),
  }));
  const outcomes = native.run(form.mode, jobs);
  const hashes = new Uint16Array(RUNS * 4);
  const raw: number[] = [];
  let unknown = 0;
  jobs.forEach(({ images }, n) =>
    images.forEach((before, i) => {
      const after = outcomes[n]![i]!;
      const vector = new DataView(after.buffer).getUint32(VECTOR, true);
      if (vector === UD) unknown++;
      // A fault leaves the state as it was; the signal frame shows only the registers of it.
      if (vector !== NO_VECTOR) after.set(before.subarray(FX, IMAGE), FX);
      if (vector !== NO_VECTOR) after.fill(0, EXIT, EXIT + 4);
      const result = rawResult(form, encodings[n]!, after);
      if (result) raw.push(...result);
      normalize(form, encodings[n]!, before, after);
      const unchanged = digestUnchanged(form, encodings[n]!, before);
      digest(after).forEach((h, part) => (hashes[part * RUNS + n * SETS + i] = h ^ unchanged[part]!));
    }),
  );
  if (unknown === RUNS && form.row.family !== 'undefined')
    return { encodings: encodingsHash(encodings), hashes: new Uint16Array(0), raw: new Uint8Array(0) };
  return { encodings: encodingsHash(encodings), hashes, raw: Uint8Array.from(raw) };
}

const all = process.argv.includes('--all');
const pattern = new RegExp(process.argv.slice(2).find((argument) => !argument.startsWith('--')) ?? '');
const native = buildNative();
const known = readVectors();
const kept = new Map<string, Recorded>();
let recorded = 0;
const refused: string[] = [];
for (const form of allForms()) {
  const old = known.get(form.name);
  const stale = old === undefined || old.encodings !== encodingsHash(encodingsOf(form));
  if (!pattern.test(form.name) || !(all || stale)) {
    if (old) kept.set(form.name, old);
    continue;
  }
  try {
    const made = record(native, form);
    kept.set(form.name, made);
    if (made.hashes.length === 0) refused.push(form.name);
    recorded++;
  } catch (error) {
    console.error(`${form.name}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
native.close();
const size = writeVectors(kept);
console.log(
  `${recorded} forms recorded on ${os.cpus()[0]?.model}, ${kept.size} in all, ${kept.size * RUNS} vectors, ${(size / 1024).toFixed(0)} KiB`,
);
if (refused.length > 0) console.log(`this CPU does not know:\n  ${refused.join('\n  ')}`);
