/** Near branches and the stack (Intel SDM vol. 1, 6 and 7.3.8). */
import { Cpu, Record as DecodedRecord } from '../../state/index.ts';
import { i32, i64, op, type Expr } from '../../wasm/index.ts';
import type { Emitter, Family } from './emitter.ts';
import { fit, type Width } from './widths.ts';

const wide = (value: Expr): Expr => (value.type === 'i64' ? value : i64.extend_u(value));

const jcc: Family = (e) => e.f.if(e.condition(e.row.opcode & 15), () => e.jumpRelative(0));

const jmp: Family = (e) => e.jumpRelative(0);
const jmpRm: Family = (e) => e.jump(wide(e.read(0)));

/** The return address at the operand size. */
const returnAddress = (e: Emitter): Expr => fit(e.nextRip(), e.size);

const call: Family = (e) => {
  e.push(returnAddress(e), e.size);
  e.jumpRelative(0);
};

const callRm: Family = (e) => {
  const target = e.read(0);
  e.push(returnAddress(e), e.size);
  e.jump(wide(target));
};

const ret: Family = (e) => {
  const target = e.peek(0, e.size);
  const extra = e.row.operands.length ? i64.extend_u(i32.and(e.read(0), i32.const(0xffff))) : i64.const(0);
  // The target is checked by `jump` before RSP would be seen changed: a fault there must find it as it was.
  e.jumpAfter(wide(target), () => e.adjustStack(i64.add(extra, i64.const(e.size / 8))));
};

/** CX, ECX or RCX by address size: its value as i64. */
const counter = (e: Emitter): Expr => i64.and(e.gpr(1, 64), e.addressMask());

const loop =
  (zero: boolean | undefined): Family =>
  (e) => {
    const mask = e.f.let(e.addressMask());
    const rcx = e.f.let(e.gpr(1, 64));
    const n = e.f.let(i64.and(i64.sub(rcx, i64.const(1)), mask));
    // A 16-bit count leaves the rest of RCX; a 32-bit one clears the upper half.
    const kept = i64.and(rcx, i64.xor(mask, i64.const(-1)));
    const is16 = i64.eq(mask, i64.const(0xffff));
    e.f.if(
      is16,
      () => e.setGpr(1, 64, i64.or(kept, n)),
      () => e.setGpr(1, 64, n),
    );
    const more = i64.ne(n, i64.const(0));
    const taken = zero === undefined ? more : i32.and(more, zero ? e.condition(4) : e.condition(5));
    e.f.if(taken, () => e.jumpRelative(0));
  };

const jcxz: Family = (e) => e.f.if(i64.eqz(counter(e)), () => e.jumpRelative(0));

const push: Family = (e) => e.push(e.read(0), e.size);
/** PUSH imm: sign-extended to the operand size. */
const pushImm: Family = (e) => {
  const immediate = op('i64.load', [e.record], DecodedRecord.offsets.immediate);
  e.push(fit(immediate, e.size), e.size);
};

const pop: Family = (e) => {
  const bytes = i64.const(e.size / 8);
  const value = e.peek(0, e.size);
  if (!e.isMemory(0)) {
    e.adjustStack(bytes);
    return e.write(0, value);
  }
  // The address is computed with the RSP after the pop; a fault must find the one before.
  const before = e.f.let(e.gpr(4, 64));
  e.adjustStack(bytes);
  e.effectiveAddress();
  const after = e.f.let(e.gpr(4, 64));
  e.setGpr(4, 64, before);
  e.write(0, value);
  e.setGpr(4, 64, after);
};

const leave: Family = (e) => {
  const rsp = e.f.let(e.gpr(4, 64));
  const mask = e.f.let(e.load64(Cpu.offsets.stackMask));
  const merged = (by: Expr): Expr => i64.or(i64.and(rsp, i64.xor(mask, i64.const(-1))), i64.and(by, mask));
  const frame = e.f.let(e.gpr(5, 64));
  const delta = e.f.let(i64.sub(frame, rsp));
  const value = e.peek(delta, e.size);
  e.setGpr(4, 64, merged(i64.add(frame, i64.const(e.size / 8))));
  e.setGpr(5, e.size, value);
};

const ORDER = [0, 1, 2, 3, 4, 5, 6, 7];

/** PUSHA, POPA: everything is read and checked before anything changes. `probeStack` faults where one of the pushes would. */
const pusha: Family = (e) => {
  const w = e.size;
  const values = ORDER.map((r) => e.f.let(e.gpr(r, w)));
  e.helper('probeStack', [i32.const(w), i32.const(8)]);
  for (const v of values) e.push(v, w);
};

const popa: Family = (e) => {
  const w = e.size as Width;
  const values = ORDER.map((r) => e.peek((7 - r) * (w / 8), w));
  e.adjustStack(i64.const(8 * (w / 8)));
  for (const r of ORDER) if (r !== 4) e.setGpr(r, w, values[r]!);
};

const enter: Family = (e) => e.helper('enter', [e.record, i32.const(e.size)]);

/** #UD by design (UD0, UD1, UD2). */
const undefinedOpcode: Family = (e) => e.fault(6);

export const flow: Record<string, Family> = {
  jcc, jmp, jmp_rm: jmpRm, call, call_rm: callRm, ret, loop: loop(undefined), loope: loop(true), loopne: loop(false), jcxz,
  push, push_imm: pushImm, pop, leave, pusha, popa, enter, undefined: undefinedOpcode,
}; // prettier-ignore
