/** LZMA2 (the .xz file format, version 1.1.0, 5.3.1): chunks, of which `lzma-code.ts` decodes those that are packed. */
import { DecodeError } from './error.ts';
import { type DecodeChunk, LASTING, LASTING_END, PROBABILITIES_END, lzmaModule } from './lzma-code.ts';

const INPUT = Math.ceil(LASTING_END / 0x1000) * 0x1000;
/** The decoder may go so far beyond input and output before it sees that it does. */
const MARGIN = 64;
const HALF = 1024;

let compiled: WebAssembly.Module | undefined;

/**
 * Decodes chunks from `at` that unpack to `size` bytes. What was decoded is the dictionary, so nothing is copied twice: a distance may be as long as there
 * is output. Returns the output, and where the chunks end. Throws a DecodeError.
 */
export function decodeLzma2(input: Uint8Array, at: number, size: number): { readonly data: Uint8Array; readonly end: number } {
  const output = INPUT + input.length + MARGIN;
  const pages = Math.ceil((output + size + MARGIN) / 0x10000);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  bytes.set(input, INPUT);
  compiled ??= new WebAssembly.Module(lzmaModule());
  const decodeChunk = new WebAssembly.Instance(compiled, { env: { memory } }).exports['decode'] as DecodeChunk;
  const probabilities = new Uint16Array(memory.buffer, 0, PROBABILITIES_END / 2);
  const lasting = new Uint32Array(memory.buffer, LASTING, (LASTING_END - LASTING) / 4);

  const damaged = (): never => {
    throw new DecodeError('it is damaged');
  };
  const byte = (): number => {
    if (at >= input.length) throw new DecodeError('it is truncated');
    return input[at++]!;
  };
  const number16 = (): number => byte() * 256 + byte();
  const has = (packed: number): void => {
    if (at + packed > input.length) throw new DecodeError('it is truncated');
  };
  let done = 0;
  let dictionary = 0;
  let [lc, lp, pb] = [0, 0, 0];
  let needsDictionary = true;
  let needsProperties = true;
  for (;;) {
    const control = byte();
    if (control === 0) break;
    if (control === 1 || control >= 0xe0) {
      dictionary = done;
      needsDictionary = false;
    }
    if (needsDictionary || (control > 2 && control < 0x80)) damaged();
    const unpacked = 1 + (control < 0x80 ? 0 : control & 0x1f) * 0x10000 + number16();
    if (done + unpacked > size) damaged();
    if (control < 0x80) {
      has(unpacked);
      bytes.set(input.subarray(at, at + unpacked), output + done);
      at += unpacked;
    } else {
      const packed = 1 + number16();
      if (control >= 0xc0) {
        const properties = byte();
        if (properties >= 9 * 5 * 5) damaged();
        lc = properties % 9;
        lp = Math.floor(properties / 9) % 5;
        pb = Math.floor(properties / 45);
        if (lc + lp > 4) damaged();
        needsProperties = false;
      }
      if (needsProperties || packed < 5) damaged();
      if (control >= 0xa0) {
        probabilities.fill(HALF);
        lasting.fill(0);
      }
      has(packed);
      const from = INPUT + at;
      const into = output + done;
      if (!decodeChunk(from, from + packed, into, into + unpacked, output + dictionary, lc, lp, pb)) damaged();
      at += packed;
    }
    done += unpacked;
  }
  if (done !== size) damaged();
  return { data: bytes.subarray(output, output + size), end: at };
}
