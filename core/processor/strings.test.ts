/** String instructions: done a page at a time, they must leave what doing them element by element leaves (SDM vol. 2, REP). */
import { beforeEach, describe, expect, test } from 'vitest';
import { CPUS, DS, EVENT_INTERRUPT, ES, PREFIX_ADDRESS, PREFIX_OPERAND, PREFIX_REP, PREFIX_REPNE, PREFIX_REXW } from '../state/index.ts';
import { CODE, RAX, RCX, RDI, RSI, Rig, reachOf } from './fixture.ts';

const CF = 1;
const PF = 4;
const AF = 0x10;
const ZF = 0x40;
const SF = 0x80;
const TF = 0x100;
const DF = 0x400;
const OF = 0x800;
const ARITHMETIC = CF | PF | AF | ZF | SF | OF;

const AREA = 0x100000;
const AREA_BYTES = 0x20000;

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});

function random(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Op = 'movs' | 'stos' | 'lods' | 'scas' | 'cmps';

interface Case {
  op: Op;
  size: 1 | 2 | 4 | 8;
  rep: 0 | typeof PREFIX_REP | typeof PREFIX_REPNE;
  backward: boolean;
  mask: number | bigint;
  rax: bigint;
  rcx: bigint;
  rsi: bigint;
  rdi: bigint;
  dsBase: number;
  esBase: number;
  dsLimit: number;
  esLimit: number;
}

interface State {
  rax: bigint;
  rcx: bigint;
  rsi: bigint;
  rdi: bigint;
  flags: number;
  fault: number | undefined;
  /** Instructions: iterations, or one for an instruction that has none. */
  count: number;
}

/** Flags of a - b in `size` bytes, by the definitions. */
function compareFlags(a: bigint, b: bigint, size: number): number {
  const bits = BigInt(size * 8);
  const mask = (1n << bits) - 1n;
  const result = (a - b) & mask;
  const sign = (v: bigint): boolean => ((v >> (bits - 1n)) & 1n) === 1n;
  let ones = 0;
  for (let i = 0n; i < 8n; i++) ones += Number((result >> i) & 1n);
  return (
    (a < b ? CF : 0) |
    (ones % 2 === 0 ? PF : 0) |
    ((a & 15n) < (b & 15n) ? AF : 0) |
    (result === 0n ? ZF : 0) |
    (sign(result) ? SF : 0) |
    (sign(a) !== sign(b) && sign(result) !== sign(a) ? OF : 0)
  );
}

/** One element after the other, on `bytes`, the guest's memory from AREA. */
function reference(c: Case, bytes: Uint8Array, flags: number): State {
  const mask = BigInt(c.mask);
  const s: State = { rax: c.rax, rcx: c.rcx, rsi: c.rsi, rdi: c.rdi, flags, fault: undefined, count: 0 };
  const part = (old: bigint, value: bigint): bigint => (mask === 0xffffn ? (old & ~0xffffn) | (value & mask) : value & mask);
  const step = BigInt(c.backward ? -c.size : c.size);
  const at = (base: number, index: bigint, limit: number): number | undefined => {
    const offset = index & mask;
    return offset + BigInt(c.size) - 1n > BigInt(limit) ? undefined : base + Number(offset) - AREA;
  };
  const get = (i: number): bigint => {
    let v = 0n;
    for (let n = c.size - 1; n >= 0; n--) v = (v << 8n) | BigInt(bytes[i + n]!);
    return v;
  };
  const put = (i: number, value: bigint): void => {
    for (let n = 0; n < c.size; n++) bytes[i + n] = Number((value >> BigInt(8 * n)) & 0xffn);
  };
  const low = (v: bigint): bigint => v & ((1n << BigInt(8 * c.size)) - 1n);
  let compared: number | undefined;
  for (;;) {
    if (c.rep && (s.rcx & mask) === 0n) {
      s.count ||= 1;
      break;
    }
    const from = c.op === 'stos' || c.op === 'scas' ? 0 : at(c.dsBase, s.rsi, c.dsLimit);
    const to = c.op === 'lods' ? 0 : at(c.esBase, s.rdi, c.esLimit);
    if (from === undefined || to === undefined) {
      s.fault = 13;
      // The flags are those from before the instruction.
      return s;
    }
    s.count++;
    let equal = false;
    if (c.op === 'movs') put(to, get(from));
    else if (c.op === 'stos') put(to, low(s.rax));
    else if (c.op === 'lods') s.rax = c.size === 1 || c.size === 2 ? (s.rax & ~((1n << BigInt(8 * c.size)) - 1n)) | get(from) : get(from);
    else {
      const [a, b] = c.op === 'scas' ? [low(s.rax), get(to)] : [get(from), get(to)];
      compared = compareFlags(a, b, c.size);
      equal = a === b;
    }
    if (c.op !== 'stos' && c.op !== 'scas') s.rsi = part(s.rsi, s.rsi + step);
    if (c.op !== 'lods') s.rdi = part(s.rdi, s.rdi + step);
    if (!c.rep) break;
    s.rcx = part(s.rcx, s.rcx - 1n);
    if ((c.op === 'scas' || c.op === 'cmps') && equal !== (c.rep === PREFIX_REP)) break;
  }
  if (compared !== undefined) s.flags = (s.flags & ~ARITHMETIC) | compared;
  return s;
}

const gpr = (register: number): bigint => rig.get64(register * 8);

/** Executes until the instruction is done or faults, as the run loop would: it is left, and entered again. */
function execute(c: Case, budget: () => number): State & { entries: number } {
  const prefixes = c.rep | (c.size === 2 ? PREFIX_OPERAND : c.size === 8 ? PREFIX_REXW : 0) | (c.mask === 0xffff ? PREFIX_ADDRESS : 0);
  let entries = 0;
  let count = 0;
  for (;;) {
    entries++;
    const given = budget();
    rig.state.budget = given;
    const fault = rig.execute(c.size === 1 ? `${c.op}b` : c.op, { prefixes, addressMask: Number(c.mask), segment: reachOf(DS) });
    // The block takes one by itself, but not from an instruction that faults.
    count += given - rig.state.budget + (fault ? 0 : 1);
    if (given > 1 && !fault) expect(rig.state.budget).toBeGreaterThanOrEqual(0);
    if (fault || rig.state.rip === CODE + 2) {
      return { count, rax: gpr(RAX), rcx: gpr(RCX), rsi: gpr(RSI), rdi: gpr(RDI), flags: rig.flags, fault: fault?.vector, entries };
    }
    expect(rig.state.rip).toBe(CODE);
  }
}

function load(c: Case, flags: number): void {
  rig.setSegment(DS, 0x10, c.dsBase, c.dsLimit, 0xc093);
  rig.setSegment(ES, 0x10, c.esBase, c.esLimit, 0xc093);
  rig.setFlags(flags);
  for (const [register, value] of [[RAX, c.rax], [RCX, c.rcx], [RSI, c.rsi], [RDI, c.rdi]] as const) rig.setGpr(register, value); // prettier-ignore
}

const area = (): Uint8Array => Uint8Array.from({ length: AREA_BYTES }, (_, i) => rig.read8(AREA + i));

describe('against one element after the other', () => {
  test.each(['movs', 'stos', 'lods', 'scas', 'cmps'] as const)('%s, every size, direction and prefix', (op) => {
    const next = random(op.charCodeAt(0) * 65537 + op.charCodeAt(1));
    const integer = (n: number): number => Math.floor(next() * n);
    const memory = Uint8Array.from({ length: AREA_BYTES }, () => (op === 'scas' || op === 'cmps' ? integer(2) : integer(256)));
    for (let i = 0; i < AREA_BYTES; i++) rig.write8(AREA + i, memory[i]!);
    rig.protect();
    let suspended = 0;
    let faults = 0;
    for (let i = 0; i < 400; i++) {
      const size = ([1, 2, 4] as const)[integer(3)]!;
      const narrow = next() < 0.25;
      const count = next() < 0.2 ? integer(6000) : integer(200);
      // Comparisons run on where memory is all the same.
      if (op === 'scas' || op === 'cmps') {
        const start = integer(AREA_BYTES - 0x5000);
        for (let k = 0; k < 0x4000; k++) {
          memory[start + k] = 7;
          rig.write8(AREA + start + k, 7);
        }
      }
      const backward = next() < 0.25;
      const esBase = AREA + integer(0x6000);
      const si = 0x6000 + integer(0x4000);
      const c: Case = {
        op,
        size,
        rep: ([0, PREFIX_REP, PREFIX_REPNE] as const)[integer(3)]!,
        backward,
        mask: narrow ? 0xffff : 0xffffffff,
        rax: next() < 0.5 ? 0x0707070707070707n : BigInt(integer(2 ** 31)) * 0x100000001n,
        rcx: BigInt(count) | (narrow ? 0xabcd0000n : 0n),
        rsi: BigInt(si) | (narrow ? 0x12340000n : 0n),
        // Often near the source, so that they overlap.
        rdi: BigInt(next() < 0.5 ? si + integer(40) - 20 : 0x6000 + integer(0x4000)) | (narrow ? 0x56780000n : 0n),
        dsBase: next() < 0.5 ? esBase : AREA + integer(0x6000),
        esBase,
        dsLimit: next() < 0.3 ? 0x6000 + integer(0x4000) : 0xffffffff,
        esLimit: next() < 0.3 ? 0x6000 + integer(0x4000) : 0xffffffff,
      };
      const flags = 2 | (backward ? DF : 0) | (integer(0x1000) & ARITHMETIC);
      load(c, flags);
      const most = ([1, 7, 300, 5000] as const)[integer(4)]!;
      const { entries, ...got } = execute(c, () => (most === 7 ? 1 + integer(most) : most));
      const wanted = reference(c, memory, flags);
      expect({ i, c, ...got }).toEqual({ i, c, ...wanted });
      if (entries > 1) suspended++;
      if (got.fault !== undefined) faults++;
      if (i % 20 === 0) expect(Buffer.compare(area(), memory)).toBe(0);
    }
    expect(Buffer.compare(area(), memory)).toBe(0);
    expect(suspended).toBeGreaterThan(0);
    expect(faults).toBeGreaterThan(5);
  });
});

describe('interruption', () => {
  const base: Case = {
    op: 'movs', size: 4, rep: PREFIX_REP, backward: false, mask: 0xffffffff, rax: 0n, rcx: 3000n, rsi: 0x100000n, rdi: 0x110000n,
    dsBase: 0, esBase: 0, dsLimit: 0xffffffff, esLimit: 0xffffffff,
  }; // prettier-ignore
  beforeEach(() => rig.protect());

  test('an event is seen at a page, with the registers at the next element', () => {
    load(base, 2);
    rig.state.event = EVENT_INTERRUPT;
    rig.state.budget = 2000;
    rig.execute('movs', { prefixes: PREFIX_REP, segment: reachOf(DS) });
    expect([rig.state.rip, rig.gpr(RCX), rig.gpr(RSI), rig.gpr(RDI)]).toEqual([CODE, 3000 - 1024, 0x101000, 0x111000]);
    // One is left for the block to take.
    expect(rig.state.budget).toBe(2000 - 1024 + 1);
  });

  test('with TF set there is one element at a time', () => {
    load({ ...base, rcx: 2n }, 2 | TF);
    rig.state.budget = 1000;
    rig.execute('movs', { prefixes: PREFIX_REP, segment: reachOf(DS) });
    expect([rig.state.rip, rig.gpr(RCX), rig.gpr(RDI)]).toEqual([CODE, 1, 0x110004]);
    rig.execute('movs', { prefixes: PREFIX_REP, segment: reachOf(DS) });
    expect([rig.state.rip, rig.gpr(RCX), rig.gpr(RDI)]).toEqual([CODE + 2, 0, 0x110008]);
  });

  test('in 64-bit mode a 32-bit count and index are zero-extended', () => {
    rig.protectLong();
    for (const [register, value] of [[RCX, 0xffffffff_00000002n], [RSI, 0xffffffff_00100000n], [RDI, 0xffffffff_00110000n]] as const) rig.setGpr(register, value); // prettier-ignore
    rig.write32(0x100000, 1, 2);
    rig.state.budget = 1000;
    rig.execute('movs', { prefixes: PREFIX_REP | PREFIX_ADDRESS, segment: reachOf(DS), addressMask: 0xffffffff });
    expect([gpr(RCX), gpr(RSI), gpr(RDI), rig.read32(0x110004)]).toEqual([0n, 0x100008n, 0x110008n, 2]);
    expect(rig.cpu).toBe(CPUS);
  });
});
