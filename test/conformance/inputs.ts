/** The state before each run of an instruction: drawn from the form's name alone, so that nothing of it needs storing. */
import { SETS, STRING, type Encoding, type Form } from './encode.ts';
import {
  AREA,
  ARITHMETIC,
  BRANCH,
  CODE,
  DF,
  FLAGS,
  FX_FCW,
  FX_FSW,
  FX_FTW,
  FX_MXCSR,
  FX_ST,
  FX_XMM,
  IF,
  IMAGE,
  STACK_BYTES,
  STACK_MIDDLE,
  WINDOW,
  WINDOW_BYTES,
} from './image.ts';
import { Rng } from './rng.ts';
import { decimal, float32, float64, float80, integer, lanes } from './values.ts';

const [AX, CX, DX, BX, SP, BP, SI, DI] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
const COUNTS = [0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 255];

const laneKind = (mnemonic: string, rng: Rng): 'integer' | 'f32' | 'f64' => {
  const wanted = /(PS|SS|CVTPS2.*|CVTTPS2.*|CVTSS2.*|CVTTSS2.*)$/.test(mnemonic) && !/^P/.test(mnemonic) ? 'f32' : /(PD|SD|CVTPD2.*|CVTTPD2.*|CVTSD2.*|CVTTSD2.*)$/.test(mnemonic) && !/^P/.test(mnemonic) ? 'f64' : 'integer'; // prettier-ignore
  return rng.one(6) ? rng.pick(['integer', 'f32', 'f64'] as const) : wanted;
};

/** What a helper needs to write registers of an image. */
class Registers {
  readonly view: DataView;
  readonly #wide: boolean;

  constructor(view: DataView, mode: number) {
    this.view = view;
    this.#wide = mode === 64;
  }

  set(index: number, low: number, high = low < 0 ? 0xffffffff : 0): void {
    this.view.setUint32(index * 8, low >>> 0, true);
    this.view.setUint32(index * 8 + 4, this.#wide ? high >>> 0 : 0, true);
  }

  low(index: number): number {
    return this.view.getUint32(index * 8, true);
  }

  copy(index: number, from: number): void {
    this.set(index, this.view.getUint32(from, true), this.view.getUint32(from + 4, true));
  }
}

/** x87 and MMX state: mostly a full stack, sometimes with gaps; all exceptions masked. */
function fillFpu(v: DataView, form: Form, rng: Rng): void {
  const round = rng.one(2) ? 0 : rng.below(4);
  const precision = rng.one(2) ? 3 : rng.pick([0, 2, 3]);
  v.setUint16(FX_FCW, 0x7f | (precision << 8) | (round << 10), true);
  v.setUint16(FX_FSW, (rng.below(8) << 11) | (rng.u32() & 0x4700) | (rng.one(3) ? rng.u32() & 0x3f : 0), true);
  v.setUint8(FX_FTW, rng.one(2) ? 0xff : rng.one(2) ? rng.u32() & 0xff : 0x3f);
  for (let i = 0; i < 8; i++) {
    if (form.row.unit === 'mmx') {
      const kind = laneKind(form.row.mnemonic, rng);
      if (kind === 'f64') integer(v, FX_ST + i * 16, 8, rng);
      else if (kind === 'f32') for (const at of [0, 4]) float32(v, FX_ST + i * 16 + at, rng);
      else for (const bytes of [rng.pick([1, 2, 4])]) for (let at = 0; at < 8; at += bytes) integer(v, FX_ST + i * 16 + at, bytes, rng);
      v.setUint16(FX_ST + i * 16 + 8, 0xffff, true);
    } else float80(v, FX_ST + i * 16, rng);
  }
  const xmms = form.mode === 64 ? 16 : 8;
  for (let i = 0; i < xmms; i++) lanes(v, FX_XMM + i * 16, laneKind(form.row.mnemonic, rng), rng);
  const modes = (rng.one(2) ? 0 : rng.below(4) << 13) | (rng.one(8) ? 0x8000 : 0) | (rng.one(8) ? 0x40 : 0);
  v.setUint32(FX_MXCSR, 0x1f80 | modes, true);
}

/** What the memory operand holds, by what the row reads from it. */
function fillWindow(v: DataView, form: Form, at: number, rng: Rng): void {
  const { row } = form;
  for (let i = 0; i < AREA; i += 8) integer(v, WINDOW_BYTES + i, rng.pick([1, 2, 4, 8]) === 8 ? 8 : 4, rng);
  for (let i = 0; i < AREA; i += 16) if (rng.one(2)) for (let b = 0; b < 16; b += 4) integer(v, WINDOW_BYTES + i + b, 4, rng);
  if (row.unit === 'simd' || row.unit === 'mmx') for (let i = 0; i < 32; i += 16) lanes(v, at + i, laneKind(row.mnemonic, rng), rng);
  if (row.unit === 'x87' && !/^FI|^FLDCW|^FLDENV|^FRSTOR/.test(row.mnemonic)) {
    const size = row.operands.find((o) => o.kind === 'm' || o.kind === 'rm')?.size;
    if (size === 32) float32(v, at, rng);
    else if (size === 64) float64(v, at, rng);
    else if (/^FB/.test(row.mnemonic)) decimal(v, at, rng);
    else if (size === 80) float80(v, at, rng);
  }
}

/** Pointers, counts and other registers that a row uses in its own way. */
function prepare(form: Form, encoding: Encoding, v: DataView, rng: Rng): void {
  const { row, mode, size } = form;
  const r = new Registers(v, mode);
  const name = row.mnemonic;
  const operand = WINDOW_BYTES + encoding.operand;
  const stack = STACK_BYTES + AREA / 2;
  const target = CODE + (rng.one(2) ? BRANCH : -BRANCH);
  const word = mode === 64 ? 8 : 4;
  const setWord = (at: number, value: number): void => {
    v.setUint32(at, value, true);
    if (word === 8) v.setUint32(at + 4, 0, true);
  };
  if (/^(RO[LR]|RC[LR]|SH[LR]|SA[LR]|SH[LR]D)$/.test(name)) v.setUint8(CX * 8, rng.one(3) ? rng.below(256) : rng.pick(COUNTS));
  if (/^BT/.test(name) && form.memory && row.immediates.length === 0) {
    // A bit offset reaches up to 32 bytes to both sides of the operand.
    const offset = rng.below(512) - 256;
    const low = size === 16 ? ((rng.u32() << 16) | (offset & 0xffff)) >>> 0 : offset;
    r.set(encoding.reg, low, offset < 0 && size !== 32 ? 0xffffffff : size === 32 ? rng.u32() : 0);
  }
  if (/^I?DIV$/.test(name) && !rng.one(4)) {
    if (row.operands[0]!.size === 8) v.setUint16(AX * 8, name === 'DIV' ? rng.below(0x400) : (rng.below(0x400) - 0x200) & 0xffff, true);
    else if (name === 'DIV') r.set(DX, rng.below(4), 0);
    else if (size === 64) r.set(DX, (v.getInt32(AX * 8 + 4, true) >> 31) ^ (rng.one(8) ? 1 : 0));
    else r.set(DX, size === 16 ? v.getInt16(AX * 8, true) >> 15 : v.getInt32(AX * 8, true) >> 31);
  }
  if (/^CMPXCHG$/.test(name) && rng.one(2)) r.copy(AX, form.memory ? operand : encoding.rm * 8);
  if (/^CMPXCHG(8|16)B$/.test(name) && rng.one(2)) {
    const half = name === 'CMPXCHG8B' ? 4 : 8;
    r.set(AX, v.getUint32(operand, true), half === 8 ? v.getUint32(operand + 4, true) : 0);
    r.set(DX, v.getUint32(operand + half, true), half === 8 ? v.getUint32(operand + 12, true) : 0);
  }
  if (name === 'BOUND' && rng.one(2)) {
    if (size === 16) v.setUint32(operand, (30000 << 16) | (-100 & 0xffff), true);
    else {
      v.setInt32(operand, -100, true);
      v.setInt32(operand + 4, 0x70000000, true);
    }
  }
  if (name === 'XLAT' || name === 'XLATB') r.set(BX, WINDOW + 16);
  if (STRING.test(name)) {
    r.set(SI, WINDOW + 32);
    r.set(DI, WINDOW + 72 + (rng.one(3) ? -40 : 0));
    r.set(CX, rng.below(5));
    if (rng.one(2)) {
      // Runs that compare equal for a while
      const value = v.getUint32(WINDOW_BYTES + 32, true);
      for (let i = 0; i < AREA; i += 4) if (!rng.one(5)) v.setUint32(WINDOW_BYTES + i, value, true);
      if (/^SCAS/.test(name)) r.copy(AX, WINDOW_BYTES + 32);
    }
    v.setUint32(FLAGS, v.getUint32(FLAGS, true) | (rng.one(2) ? DF : 0), true);
  }
  if (/^MASKMOV/.test(name)) r.set(DI, WINDOW + 32 + rng.below(8));
  if (/^(LOOP|J[CER]*CXZ)/.test(name) && rng.one(2)) r.set(CX, rng.below(3), rng.one(4) ? 1 : 0);
  if (name === 'LEAVE') r.set(BP, STACK_MIDDLE + 8 * (rng.below(6) - 3));
  if (name === 'ENTER') r.set(BP, STACK_MIDDLE + 32 + rng.below(8));
  if (name === 'RET') setWord(stack, target);
  if (/^(JMP|CALL)$/.test(name) && row.digit !== undefined) {
    if (form.memory) setWord(operand, target);
    else r.set(encoding.rm, target);
  }
  // No trap flag, alignment check, nested task: those would not end with the instruction.
  if (/^POPF/.test(name)) v.setUint32(stack, v.getUint32(stack, true) & (ARITHMETIC | IF | DF), true);
  if (/^PCMP[EI]STR/.test(name)) for (const index of [AX, DX]) r.set(index, rng.below(40) - 20);
  if (name === 'LDMXCSR' && !rng.one(4)) v.setUint32(operand, v.getUint32(operand, true) & 0xffff, true);
  if (name.startsWith('FXRSTOR') && !rng.one(4)) v.setUint32(operand + 24, v.getUint32(operand + 24, true) & 0xffff, true);
  if (name === 'FLDCW' && !rng.one(4)) v.setUint8(operand, v.getUint8(operand) | 0x3f);
}

/** Image number `i` of encoding `n` of a form. */
export function input(form: Form, n: number, encoding: Encoding, i: number): Uint8Array {
  const image = new Uint8Array(IMAGE);
  const v = new DataView(image.buffer);
  const rng = new Rng(`${form.name} ${n} ${i} of ${SETS}`);
  const registers = form.mode === 64 ? 16 : 8;
  for (let index = 0; index < registers; index++) {
    if (form.mode === 64) integer(v, index * 8, form.row.operands.some((o) => o.size === 8) && rng.one(2) ? 1 : 8, rng);
    else integer(v, index * 8, 4, rng);
  }
  // Equal operands: what compares and subtracts to zero.
  if (rng.one(8)) v.setUint32(DX * 8, v.getUint32(AX * 8, true), true);
  if (encoding.reg >= 0 && encoding.rm >= 0 && rng.one(8)) new Registers(v, form.mode).copy(encoding.reg % 16, (encoding.rm % 16) * 8);
  v.setUint32(FLAGS, (rng.u32() & ARITHMETIC) | IF | 2, true);
  fillFpu(v, form, rng);
  for (let b = 0; b < AREA; b += 8) integer(v, STACK_BYTES + b, 8, rng);
  fillWindow(v, form, WINDOW_BYTES + encoding.operand, rng);
  const r = new Registers(v, form.mode);
  prepare(form, encoding, v, rng);
  r.set(SP, STACK_MIDDLE, 0);
  for (const [index, low, high] of encoding.pointers) r.set(index, low, low > 0xffffffff || low < 0 ? 0xffffffff : high);
  return image;
}
