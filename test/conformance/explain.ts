/** A run in words, for the message of a failure. */
import type { Encoding, Form } from './encode.ts';
import {
  AREA,
  EXIT,
  FLAGS,
  FX_FCW,
  FX_FSW,
  FX_FTW,
  FX_MXCSR,
  FX_ST,
  FX_XMM,
  NO_VECTOR,
  STACK,
  STACK_BYTES,
  VECTOR,
  WINDOW,
  WINDOW_BYTES,
} from './image.ts';

const NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'];

/** Little-endian bytes as one number. */
const hex = (image: Uint8Array, at: number, bytes: number): string =>
  Buffer.from(image.subarray(at, at + bytes))
    .reverse()
    .toString('hex');

/** Every named piece of an image. */
function* pieces(): Generator<readonly [string, number, number]> {
  for (const [i, name] of NAMES.entries()) yield [name, i * 8, 8];
  yield ['rflags', FLAGS, 4];
  yield ['exit', EXIT, 4];
  yield ['vector', VECTOR, 4];
  for (let i = 0; i < AREA; i += 8) yield [`[${(WINDOW + i).toString(16)}]`, WINDOW_BYTES + i, 8];
  for (let i = 0; i < AREA; i += 8) yield [`[${(STACK + i).toString(16)}]`, STACK_BYTES + i, 8];
  yield ['fcw', FX_FCW, 2];
  yield ['fsw', FX_FSW, 2];
  yield ['ftw', FX_FTW, 1];
  yield ['mxcsr', FX_MXCSR, 4];
  for (let i = 0; i < 8; i++) yield [`st${i}`, FX_ST + i * 16, 10];
  for (let i = 0; i < 16; i++) yield [`xmm${i}`, FX_XMM + i * 16, 16];
}

/** The code, and the pieces that changed or that differ; `wanted` is what the real CPU made of it, if that is known. */
export function explain(form: Form, encoding: Encoding, before: Uint8Array, after: Uint8Array, wanted: Uint8Array | undefined): string {
  const faulted = wanted !== undefined && new DataView(wanted.buffer).getUint32(VECTOR, true) !== NO_VECTOR;
  const lines = [
    `code ${Buffer.from(encoding.bytes).toString('hex')} (${form.row.mnemonic} ${form.row.operands.map((o) => o.text).join(', ')})`,
  ];
  for (const [name, at, bytes] of pieces()) {
    const [was, is, should] = [before, after, wanted ?? after].map((image) => hex(image, at, bytes)) as [string, string, string];
    const register = NAMES.indexOf(name);
    const used = (register >= 0 && (encoding.reg === register || encoding.rm === register)) || name === 'rflags';
    // A signal frame shows no x87 and SSE state, so the runner reports none.
    const differs = is !== should && !(faulted && at >= FX_FCW);
    if (was !== is || differs || used) lines.push(`  ${name}: ${was} -> ${is}${differs ? `, the real CPU: ${should}` : ''}`);
  }
  return lines.join('\n');
}
