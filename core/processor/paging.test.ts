/** Address translation in every paging mode, against a walker written from the manual's tables (SDM vol. 3A, 4.3 to 4.7). */
import { beforeEach, describe, expect, test } from 'vitest';
import { Cpu, FLAT, MIB, layout } from '../state/index.ts';
import { Rig, reachOf } from './fixture.ts';

type Mode = '32-bit' | 'PAE' | '4-level';
type Access = 'read' | 'write' | 'fetch';

interface Case {
  mode: Mode;
  linear: bigint;
  access: Access;
  user: boolean;
  wp: boolean;
  pse: boolean;
  nxe: boolean;
  smep: boolean;
  smap: boolean;
  ac: boolean;
}

interface Outcome {
  physical?: number;
  /** Error code of the page fault. */
  error?: number;
  /** Entries afterwards that differ from before. */
  marked: Record<string, bigint>;
}

const ROOT = 0x10000;
const LEVEL3 = 0x11000;
const LEVEL2 = 0x12000;
const LEVEL1 = 0x13000;
const MAXPHYADDR = 36n;

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});

/** Mulberry32: the same cases in every run. */
function random(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const bit = (value: bigint, n: number): boolean => ((value >> BigInt(n)) & 1n) === 1n;

/** Which entries a walk of `linear` reads, from the top: address, size in bytes, bits of the linear address below it. */
function levels(c: Case): { at: (table: bigint) => number; bytes: number; shift: number; name: string }[] {
  const index = (shift: number, bits: number): number => Number((c.linear >> BigInt(shift)) & ((1n << BigInt(bits)) - 1n));
  const level = (name: string, shift: number, bits: number, bytes: number) => ({
    at: (table: bigint) => Number(table) + index(shift, bits) * bytes,
    bytes,
    shift,
    name,
  });
  if (c.mode === '32-bit') return [level('PDE', 22, 10, 4), level('PTE', 12, 10, 4)];
  const low = [level('PDE', 21, 9, 8), level('PTE', 12, 9, 8)];
  if (c.mode === 'PAE') return [level('PDPTE', 30, 2, 8), ...low];
  return [level('PML4E', 39, 9, 8), level('PDPTE', 30, 9, 8), ...low];
}

const readEntry = (at: number, bytes: number): bigint => (bytes === 8 ? rig.read64(at) : BigInt(rig.read32(at)));

/** Bits that are reserved in an entry, were it to be used as a page or as a table. */
function reserved(c: Case, name: string, entry: bigint, large: boolean): boolean {
  const range = (high: number, low: number): boolean => ((entry >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n)) !== 0n;
  if (c.mode === '32-bit') return large && (bit(entry, 21) || range(20, Number(MAXPHYADDR) - 32 + 13));
  if (c.mode === 'PAE' && name === 'PDPTE') return false; // Found when it was loaded.
  if (range(51, Number(MAXPHYADDR))) return true;
  if (!c.nxe && bit(entry, 63)) return true;
  if (c.mode === 'PAE' && range(62, 52)) return true;
  if (name === 'PML4E' && bit(entry, 7)) return true;
  if (large && name === 'PDPTE') return range(29, 13);
  if (large && name === 'PDE') return range(20, 13);
  return false;
}

function expected(c: Case): Outcome {
  const fault = (bits: number): Outcome => {
    let error = bits;
    if (c.access === 'write') error |= 2;
    if (c.user) error |= 4;
    if (c.access === 'fetch' && (c.smep || (c.mode !== '32-bit' && c.nxe))) error |= 16;
    return { error, marked: {} };
  };
  let table = BigInt(ROOT);
  let writable = true;
  let user = true;
  let noExecute = false;
  const used: { at: number; bytes: number; leaf: boolean; pdpte: boolean }[] = [];
  for (const level of levels(c)) {
    const at = level.at(table);
    const entry = readEntry(at, level.bytes);
    if (!bit(entry, 0)) return fault(0);
    const canBeLarge =
      c.mode === '32-bit' ? level.name === 'PDE' && c.pse : level.name === 'PDE' || (level.name === 'PDPTE' && c.mode === '4-level');
    const large = canBeLarge && bit(entry, 7);
    if (reserved(c, level.name, entry, large)) return fault(1 | 8);
    const pdpte = c.mode === 'PAE' && level.name === 'PDPTE';
    if (!pdpte) {
      writable &&= bit(entry, 1);
      user &&= bit(entry, 2);
      if (level.bytes === 8) noExecute ||= bit(entry, 63);
    }
    const leaf = large || level.name === 'PTE';
    used.push({ at, bytes: level.bytes, leaf, pdpte });
    if (!leaf) {
      table = entry & ((1n << MAXPHYADDR) - 1n) & ~0xfffn;
      continue;
    }
    let allowed: boolean;
    if (c.user) allowed = user && (c.access !== 'write' || writable) && (c.access !== 'fetch' || !noExecute);
    else if (c.access === 'fetch') allowed = !noExecute && !(user && c.smep);
    else allowed = !(user && c.smap && !c.ac) && (c.access !== 'write' || writable || !c.wp);
    if (!allowed) return fault(1);
    const below = (1n << BigInt(level.shift)) - 1n;
    let base = entry & ((1n << MAXPHYADDR) - 1n) & ~below;
    if (large && c.mode === '32-bit') base = (entry & 0xffc00000n) | (((entry >> 13n) & 15n) << 32n);
    const marked: Outcome['marked'] = {};
    for (const e of used) {
      if (e.pdpte) continue;
      const before = readEntry(e.at, e.bytes);
      const after = before | 0x20n | (e.leaf && c.access === 'write' ? 0x40n : 0n);
      if (after !== before) marked[e.at.toString(16)] = after;
    }
    return { physical: Number(base | (c.linear & below)), marked };
  }
  throw new Error('a walk ends at a page');
}

function apply(c: Case): void {
  const { state } = rig;
  state.cr0 = 0x80000001 + (c.wp ? 0x10000 : 0);
  state.cr3 = ROOT;
  state.cr4 = (c.pse ? 0x10 : 0) | (c.mode === '32-bit' ? 0 : 0x20) | 0x80 | (c.smep ? 1 << 20 : 0) | (c.smap ? 1 << 21 : 0);
  state.efer = (c.mode === '4-level' ? 0x500 : 0) | (c.nxe ? 0x800 : 0);
  state.cpl = c.user ? 3 : 0;
  state.eflags = 2 | (c.ac ? 1 << 18 : 0);
  // A flat 32-bit or 64-bit code segment decides the code size.
  state.segments[1]!.attributes = c.mode === '4-level' ? 0xa09b : 0xc09b;
  rig.call('flushTlb', 0);
  if (c.mode === 'PAE') expect(rig.call('loadPdptes', BigInt(ROOT))).toBe(1);
  rig.update();
}

function attempt(c: Case): Outcome {
  const tables = [ROOT, LEVEL3, LEVEL2, LEVEL1];
  const before = tables.map((t) => Array.from({ length: 512 }, (_, i) => rig.read64(t + i * 8)));
  rig.state.faultPending = 0;
  const linear = BigInt.asIntN(64, c.linear);
  let outcome: Outcome;
  try {
    const { ram } = layout(1, 2 * MIB);
    let at: number;
    if (c.access === 'fetch') at = rig.call('fetchAddress', linear)! >>> 0;
    else at = (rig.call(c.access === 'read' ? 'readAddress' : 'storeAddress', reachOf(FLAT), linear, 1)! >>> 0) - ram;
    outcome = { physical: at, marked: {} };
  } catch (e) {
    if (!rig.state.faultPending) throw e;
    expect(rig.pending().vector).toBe(14);
    expect(rig.get64(Cpu.offsets.cr2)).toBe(c.linear);
    outcome = { error: rig.pending().error!, marked: {} };
  }
  tables.forEach((t, n) => {
    for (let i = 0; i < 512; i++) {
      const now = rig.read64(t + i * 8);
      if (now === before[n]![i]) continue;
      for (const [offset, bytes] of c.mode === '32-bit'
        ? [
            [0, 4],
            [4, 4],
          ]
        : [[0, 8]]) {
        // prettier-ignore
        const shift = BigInt(offset! * 8);
        const mask = (1n << BigInt(bytes! * 8)) - 1n;
        if (((now ^ before[n]![i]!) >> shift) & mask) outcome.marked[(t + i * 8 + offset!).toString(16)] = (now >> shift) & mask;
      }
    }
  });
  return outcome;
}

/** Clears the tables, then writes the entries of one walk; `pick(p)` is true with probability p. */
function build(c: Case, pick: (p: number) => boolean, integer: (n: number) => number): void {
  for (let at = ROOT; at < LEVEL1 + 0x1000; at += 8) rig.write64(at, 0n);
  const tables = [LEVEL3, LEVEL2, LEVEL1];
  let table = BigInt(ROOT);
  for (const level of levels(c)) {
    const at = level.at(table);
    const last = level.name === 'PTE';
    const pdpte = c.mode === 'PAE' && level.name === 'PDPTE';
    const next = last ? BigInt(0x100000 + integer(0x100) * 0x1000) : BigInt(tables.shift()!);
    let entry = next;
    if (pick(0.93)) entry |= 1n;
    if (!pdpte) {
      if (pick(0.7)) entry |= 2n;
      if (pick(0.7)) entry |= 4n;
      if (pick(0.5)) entry |= 0x20n;
      if (pick(0.5)) entry |= 0x40n;
      if (pick(0.3)) entry |= 0x100n;
      // A page's base must then be where there is RAM: at 0, for every size of large pages.
      if (!last && pick(0.3) && level.name !== 'PML4E') entry = (entry & 0xfffn) | 0x80n;
      if (level.name === 'PML4E' && pick(0.05)) entry |= 0x80n;
      if (last && pick(0.2)) entry |= 0x80n; // PAT
      if (level.bytes === 8) {
        if (pick(0.2)) entry |= 1n << 63n;
        if (pick(0.06)) entry |= 1n << BigInt(36 + integer(16));
        if (pick(0.06)) entry |= 1n << BigInt(52 + integer(11));
      }
      if (bit(entry, 7) && !last && pick(0.1)) entry |= 1n << BigInt(12 + integer(10));
    }
    if (level.bytes === 8) rig.write64(at, entry);
    else rig.write32(at, Number(entry & 0xffffffffn));
    table = next;
    // A large page without PSE is a table at 0, which is not there.
    if (bit(entry, 7) && !last) break;
  }
}

/** RAM ends at 2 MiB: what lies beyond is not what these tests are about. */
const inRam = ({ physical }: Outcome): boolean => physical === undefined || (physical >= 0x100000 && physical < 0x200000);

describe.each(['32-bit', 'PAE', '4-level'] as const)('%s paging', (mode) => {
  test('every right, reserved bit and page size, as the manual has it', () => {
    const next = random(mode.length * 7919);
    const pick = (p: number): boolean => next() < p;
    const integer = (n: number): number => Math.floor(next() * n);
    const seen = { pages: 0, faults: new Set<number>() };
    for (let i = 0; i < 1500; i++) {
      // Within the first 2 MiB of whatever page it is in, beyond the first: where there is RAM that is not ROM.
      const offset = BigInt(0x100000 + integer(0xff000));
      const high =
        mode === '4-level'
          ? BigInt.asUintN(64, BigInt.asIntN(48, BigInt(integer(512)) << 39n)) | (BigInt(integer(512)) << 30n)
          : BigInt(integer(4)) << 30n;
      const c: Case = {
        mode,
        linear: high | offset,
        access: (['read', 'write', 'fetch'] as const)[integer(3)]!,
        user: pick(0.5),
        wp: pick(0.5),
        pse: pick(0.8),
        nxe: pick(0.7),
        smep: pick(0.4),
        smap: pick(0.4),
        ac: pick(0.3),
      };
      build(c, pick, integer);
      const wanted = expected(c);
      if (!inRam(wanted)) continue;
      apply(c);
      const got = attempt(c);
      expect({ i, c, ...got }).toEqual({ i, c, ...wanted });
      if (wanted.physical === undefined) seen.faults.add(wanted.error!);
      else seen.pages++;
      // By the TLB: the same page, and every other kind of access as a walk would have it.
      for (const access of ['read', 'write', 'fetch'] as const) {
        const again = { ...c, access };
        const then = expected(again);
        if (!inRam(then)) continue;
        expect({ i, again, ...attempt(again) }).toEqual({ i, again, ...then });
      }
    }
    expect(seen.pages).toBeGreaterThan(200);
    expect(seen.faults.size).toBeGreaterThan(mode === '32-bit' ? 12 : 16);
  });
});

describe('what stays in the TLB', () => {
  const base: Case = {
    mode: '4-level', linear: 0x7f0000100000n, access: 'read', user: false, wp: true, pse: true, nxe: true, smep: false, smap: false, ac: false,
  }; // prettier-ignore
  const GLOBAL = 0x100n;

  function map(linear: bigint, physical: number, flags: bigint): void {
    const c = { ...base, linear };
    const [pml4, pdpt, pd, pt] = levels(c);
    rig.write64(pml4!.at(BigInt(ROOT)), BigInt(LEVEL3) | 7n);
    rig.write64(pdpt!.at(BigInt(LEVEL3)), BigInt(LEVEL2) | 7n);
    rig.write64(pd!.at(BigInt(LEVEL2)), BigInt(LEVEL1) | 7n);
    rig.write64(pt!.at(BigInt(LEVEL1)), BigInt(physical) | flags | 7n);
  }
  const where = (linear: bigint): number | undefined => attempt({ ...base, linear }).physical;

  beforeEach(() => {
    build(
      base,
      () => false,
      () => 0,
    );
    apply(base);
  });

  test('a page is found by the TLB until INVLPG', () => {
    map(base.linear, 0x150000, 0n);
    expect(where(base.linear)).toBe(0x150000);
    map(base.linear, 0x160000, 0n);
    expect(where(base.linear)).toBe(0x150000);
    rig.call('invalidatePage', base.linear + 0xabcn);
    expect(where(base.linear)).toBe(0x160000);
  });

  test('a load of CR3 keeps global pages, a change of CR4.PGE does not', () => {
    const other = base.linear + 0x1000n;
    map(base.linear, 0x150000, GLOBAL);
    map(other, 0x151000, 0n);
    expect([where(base.linear), where(other)]).toEqual([0x150000, 0x151000]);
    map(base.linear, 0x160000, GLOBAL);
    map(other, 0x161000, 0n);
    rig.call('setCr3', BigInt(ROOT));
    expect([where(base.linear), where(other)]).toEqual([0x150000, 0x161000]);
    rig.call('setCr4', BigInt(rig.state.cr4 & ~0x80));
    expect([where(base.linear), where(other)]).toEqual([0x160000, 0x161000]);
  });

  test.each([
    ['2 MiB', 2, 21],
    ['1 GiB', 1, 30],
  ])('INVLPG of any address of a %s page forgets all of it', (_, level, shift) => {
    const tables = [ROOT, LEVEL3, LEVEL2, LEVEL1];
    const start = (base.linear >> BigInt(shift)) << BigInt(shift);
    const pages = [start + 0x100000n, start + 0x123000n, start + 0x1ff000n];
    map(base.linear, 0x150000, 0n);
    const at = levels({ ...base, linear: start })[level]!.at(BigInt(tables[level]!));
    rig.write64(at, 0x87n);
    for (const page of pages) expect(where(page)).toBe(Number(page & 0x1fffffn));
    rig.write64(at, 0n);
    for (const page of pages) expect(where(page)).toBe(Number(page & 0x1fffffn));
    rig.call('invalidatePage', start + 0x5000n);
    for (const page of pages) expect(where(page)).toBeUndefined();
  });

  test('an address that is not canonical is #GP(0), and #SS(0) by the stack', () => {
    for (const [segment, vector] of [
      [3, 13],
      [2, 12],
    ] as const) {
      // prettier-ignore
      for (const linear of [0x800000000000n, 0x7ffffffffffdn]) {
        rig.state.faultPending = 0;
        expect(() => rig.call('readAddress', reachOf(segment), linear, 8)).toThrow();
        expect(rig.pending()).toEqual({ vector, error: 0, trap: false });
      }
    }
  });

  test('a write that crosses into a page that is not there changes nothing', () => {
    map(base.linear, 0x150000, 0n);
    rig.write32(0x150ffc, 0x11223344);
    rig.state.faultPending = 0;
    expect(() => rig.call('store64', reachOf(FLAT), base.linear + 0xffcn, -1n)).toThrow();
    expect([rig.pending().error, rig.get64(Cpu.offsets.cr2)]).toEqual([2, base.linear + 0x1000n]);
    expect(rig.read32(0x150ffc)).toBe(0x11223344);
    map(base.linear + 0x1000n, 0x180000, 0n);
    rig.call('store64', reachOf(FLAT), base.linear + 0xffcn, 0x0102030405060708n);
    expect([rig.read32(0x150ffc), rig.read32(0x180000)]).toEqual([0x05060708, 0x01020304]);
  });

  test('alignment is checked at CPL 3 with CR0.AM and EFLAGS.AC only', () => {
    map(base.linear, 0x150000, 0n);
    const load = (): number | undefined => {
      rig.state.faultPending = 0;
      try {
        rig.call('load32', reachOf(FLAT), base.linear + 2n);
        return undefined;
      } catch {
        return rig.pending().vector;
      }
    };
    const set = (am: boolean, ac: boolean, cpl: number): void => {
      rig.state.cr0 = 0x80010001 + (am ? 1 << 18 : 0);
      rig.state.cpl = cpl;
      rig.state.eflags = 2 | (ac ? 1 << 18 : 0);
      rig.update();
    };
    for (const am of [false, true])
      for (const ac of [false, true])
        for (const cpl of [0, 3]) {
          set(am, ac, cpl);
          const wanted = am && ac && cpl === 3 ? 17 : undefined;
          expect([am, ac, cpl, load(), load()]).toEqual([am, ac, cpl, wanted, wanted]);
        }
  });
});
