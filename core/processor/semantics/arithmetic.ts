/** Arithmetic, logic and moves (Intel SDM vol. 1, 5.1.1 to 5.1.4). */
import { Cpu } from '../../state/index.ts';
import { i32, i64, select } from '../../wasm/index.ts';
import { integer, constant, fit, signed, type Width } from './widths.ts';
import type { Emitter, Family } from './emitter.ts';

type Both = (e: Emitter, width: Width) => void;
const sized =
  (body: Both): Family =>
  (e) =>
    body(e, e.width(0));

const add = sized((e, w) => {
  const a = e.modify(0);
  const b = fit(e.read(1), w);
  const r = e.f.let(integer(w).add(a, b));
  e.write(0, r);
  e.flagsAdd(w, a, b, r);
});

const adc = sized((e, w) => {
  const t = integer(w);
  const a = e.modify(0);
  const b = fit(e.read(1), w);
  const r = e.f.let(t.add(t.add(a, b), fit(e.carry(), w)));
  e.write(0, r);
  e.flagsAdd(w, a, b, r);
});

const sub = sized((e, w) => {
  const a = e.modify(0);
  const b = fit(e.read(1), w);
  const r = e.f.let(integer(w).sub(a, b));
  e.write(0, r);
  e.flagsSub(w, a, b, r);
});

const sbb = sized((e, w) => {
  const t = integer(w);
  const a = e.modify(0);
  const b = fit(e.read(1), w);
  const r = e.f.let(t.sub(t.sub(a, b), fit(e.carry(), w)));
  e.write(0, r);
  e.flagsSub(w, a, b, r);
});

const cmp = sized((e, w) => {
  const a = e.read(0);
  const b = fit(e.read(1), w);
  e.flagsSub(w, a, b, e.f.let(integer(w).sub(a, b)));
});

const logic = (name: 'and' | 'or' | 'xor'): Family =>
  sized((e, w) => {
    const a = e.modify(0);
    const r = e.f.let(integer(w)[name](a, fit(e.read(1), w)));
    e.write(0, r);
    e.flagsLogic(w, r);
  });

const test = sized((e, w) => {
  const a = e.read(0);
  e.flagsLogic(w, e.f.let(integer(w).and(a, fit(e.read(1), w))));
});

const step = (down: boolean): Family =>
  sized((e, w) => {
    const t = integer(w);
    const a = e.modify(0);
    const r = e.f.let(down ? t.sub(a, constant(w, 1)) : t.add(a, constant(w, 1)));
    e.write(0, r);
    e.flagsIncrement(w, a, r, down);
  });

const not = sized((e, w) => e.write(0, integer(w).xor(e.modify(0), constant(w, -1))));

const neg = sized((e, w) => {
  const a = e.modify(0);
  const r = e.f.let(integer(w).sub(constant(w, 0), a));
  e.write(0, r);
  e.flagsSub(w, constant(w, 0), a, r);
});

const mov: Family = (e) => e.write(0, fit(e.read(1), e.width(0)));
const movzx: Family = (e) => e.write(0, fit(e.read(1), e.width(0)));
const movsx: Family = (e) => {
  const wide = signed(e.read(1), e.width(1));
  e.write(0, e.width(0) === 64 ? wide : i32.wrap(wide));
};

const xchg: Family = (e) => {
  // The register operand may be on either side; the memory operand is written first, for it may fault.
  const a = e.modify(0);
  const b = e.read(1);
  e.write(0, b);
  e.write(1, a);
};

const lea: Family = (e) => {
  const ea = e.effectiveAddress();
  e.write(0, e.width(0) === 64 ? ea : i32.wrap(ea));
};

const bswap: Family = (e) => {
  const w = e.width(0);
  const v = e.read(0);
  if (w === 64) {
    const a = v;
    const swap8 = e.f.let(
      i64.or(
        i64.and(i64.shr_u(a, i64.const(8)), i64.const(0x00ff00ff00ff00ffn)),
        i64.shl(i64.and(a, i64.const(0x00ff00ff00ff00ffn)), i64.const(8)),
      ),
    );
    const swap16 = e.f.let(
      i64.or(
        i64.and(i64.shr_u(swap8, i64.const(16)), i64.const(0x0000ffff0000ffffn)),
        i64.shl(i64.and(swap8, i64.const(0x0000ffff0000ffffn)), i64.const(16)),
      ),
    );
    e.write(0, i64.rotl(swap16, i64.const(32)));
    return;
  }
  // With a 16-bit operand the result is undefined; processors give zero.
  if (w === 16) return e.write(0, i32.const(0));
  e.write(0, i32.or(i32.and(i32.rotr(v, i32.const(8)), i32.const(0xff00ff00)), i32.and(i32.rotl(v, i32.const(8)), i32.const(0x00ff00ff))));
};

const movbe: Family = (e) => {
  const w = e.width(0);
  const v = e.read(1);
  if (w === 16) return e.write(0, i32.or(i32.shl(v, i32.const(8)), i32.shr_u(v, i32.const(8))));
  const swap32 = (x: typeof v): ReturnType<typeof i32.or> =>
    i32.or(i32.and(i32.rotr(x, i32.const(8)), i32.const(0xff00ff00)), i32.and(i32.rotl(x, i32.const(8)), i32.const(0x00ff00ff)));
  if (w === 32) return e.write(0, swap32(v));
  const low = e.f.let(i32.wrap(v));
  const high = e.f.let(i32.wrap(i64.shr_u(v, i64.const(32))));
  e.write(0, i64.or(i64.shl(i64.extend_u(swap32(low)), i64.const(32)), i64.extend_u(swap32(high))));
};

const cmpxchg = sized((e, w) => {
  const t = integer(w);
  const d = e.modify(0);
  const s = e.read(1);
  const a = e.f.let(e.gpr(0, w));
  const equal = e.f.let(t.eq(a, d));
  // The destination is written in either case (vol. 2, CMPXCHG).
  e.write(0, select(equal, s, d));
  // Not equal: the accumulator is loaded. Where both are one register, the write above must win, as it does when equal.
  e.f.if(i32.eqz(equal), () => e.setGpr(0, w, d));
  e.flagsSub(w, a, d, e.f.let(t.sub(a, d)));
});

const xadd = sized((e, w) => {
  const a = e.modify(0);
  const b = e.read(1);
  const r = e.f.let(integer(w).add(a, b));
  if (e.isMemory(0)) {
    e.write(0, r);
    e.write(1, a);
  } else {
    // XADD of a register with itself leaves the sum.
    e.write(1, a);
    e.write(0, r);
  }
  e.flagsAdd(w, a, b, r);
});

const cmovcc: Family = (e) => {
  // The source is read, and may fault, whatever the condition; a 32-bit destination is zero-extended in either case.
  const s = e.read(1);
  const d = e.read(0);
  e.write(0, select(e.condition(e.row.opcode & 15), s, d));
};

const setcc: Family = (e) => e.write(0, e.condition(e.row.opcode & 15));

const cbw: Family = (e) => {
  const half = (e.size / 2) as Width;
  const wide = signed(e.gpr(0, half), half);
  e.setGpr(0, e.size, e.size === 64 ? wide : i32.wrap(wide));
};

const cwd: Family = (e) => {
  const t = integer(e.size);
  const wide = e.size === 64 ? e.gpr(0, 64) : i32.wrap(signed(e.gpr(0, e.size), e.size));
  e.setGpr(2, e.size, t.shr_s(wide, constant(e.size, e.size === 64 ? 63 : 31)));
};

const salc: Family = (e) => e.setGpr(0, 8, i32.sub(i32.const(0), e.carry()));

const popcnt: Family = (e) => {
  const w = e.width(0);
  const r = e.f.let(integer(w).popcnt(e.read(1)));
  e.write(0, r);
  // Only ZF may be set; SF, PF, CF, OF, AF are cleared.
  clearButZero(e, w === 64 ? i64.eqz(r) : i32.eqz(r));
};

/** ZF as given, all other arithmetic flags 0. */
export function clearButZero(e: Emitter, zero: ReturnType<typeof i32.eqz>): void {
  const z = e.f.let(zero);
  // Result 0 or 1 << 8: the low byte is 0 either way, so PF must be inverted by its byte in the auxiliary word.
  e.flagsRaw(select(z, i64.const(0), i64.const(256)), i32.const(1 << 8));
}

const crc32: Family = (e) => {
  const bits = e.width(1);
  const data = e.read(1);
  const initial = e.f.let(fit(e.read(0), 32));
  const crc = e.helperValue('crc32', [initial, bits === 64 ? data : i64.extend_u(data), i32.const(bits)], 'i32');
  e.write(0, e.width(0) === 64 ? i64.extend_u(crc) : crc);
};

const nop: Family = () => {};

const lahf: Family = (e) => {
  const flags = e.helperValue('getFlags', [], 'i32');
  e.setGpr(4, 8, flags);
};
const sahf: Family = (e) => e.helper('setFlags', [e.gpr(4, 8), i32.const(0xd5)]);

const cmc: Family = (e) => e.setCarry(i32.eqz(e.carry()));
const clc: Family = (e) => e.setCarry(i32.const(0));
const stc: Family = (e) => e.setCarry(i32.const(1));

const DF = 0x400;
const cld: Family = (e) => e.store32(Cpu.offsets.eflags, i32.and(e.load32(Cpu.offsets.eflags), i32.const(~DF)));
const std: Family = (e) => e.store32(Cpu.offsets.eflags, i32.or(e.load32(Cpu.offsets.eflags), i32.const(DF)));

const xlat: Family = (e) => {
  const ea = i64.and(i64.add(e.gpr(3, 64), i64.extend_u(e.gpr(0, 8))), e.addressMask());
  e.setGpr(0, 8, e.loadAt(ea, 8));
};

const bound: Family = (e) => {
  const w = e.width(0);
  const index = e.f.let(signed(e.read(0), w));
  const lower = e.f.let(signed(e.read(1), w));
  const ea = i64.and(i64.add(e.effectiveAddress(), i64.const(w / 8)), e.addressMask());
  const upper = e.f.let(signed(e.loadAt(ea, w), w));
  e.f.if(i32.or(i64.lt_s(index, lower), i64.gt_s(index, upper)), () => e.fault(5));
};

const cmpxchg8b: Family = (e) => {
  const d = e.modify(0);
  const pair = (high: number, low: number): ReturnType<typeof i64.or> =>
    i64.or(i64.shl(i64.extend_u(e.gpr(high, 32)), i64.const(32)), i64.extend_u(e.gpr(low, 32)));
  const equal = e.f.let(i64.eq(pair(2, 0), d));
  e.write(0, select(equal, pair(1, 3), d));
  e.f.if(i32.eqz(equal), () => {
    e.setGpr(0, 32, i32.wrap(d));
    e.setGpr(2, 32, i32.wrap(i64.shr_u(d, i64.const(32))));
  });
  e.setZero(equal);
};

/** Through a helper: the only 16-byte integer operand. */
const cmpxchg16b: Family = (e) => e.helper('cmpxchg16b', [e.record]);

export const arithmetic: Record<string, Family> = {
  add, adc, sub, sbb, cmp, and: logic('and'), or: logic('or'), xor: logic('xor'), test, inc: step(false), dec: step(true), not, neg,
  mov, movnti: mov, movzx, movsx, xchg, lea, bswap, movbe, cmpxchg, xadd, cmovcc, setcc, cbw, cwd, salc, popcnt, crc32, nop, lahf, sahf, cmc, clc, stc, cld, std,
  lfence: nop, mfence: nop, sfence: nop, xlat, bound, cmpxchg8b, cmpxchg16b,
}; // prettier-ignore
