/** What the software TLB and the paging-structure cache may keep, and what makes them forget it (SDM vol. 3A, 4.10). */
import { beforeEach, describe, expect, test } from 'vitest';
import {
  CodePage, Control, FLAT, TLB_ENTRIES, TLB_ENTRY_SHIFT, TLB_MODES, TLB_SLOT_MASK, TLB_SLOT_SHIFT, TLB_SUPERVISOR, TLB_SUPERVISOR_SMAP, TLB_USER, TlbEntry,
} from '../state/index.ts'; // prettier-ignore
import { Rig, reachOf } from './fixture.ts';

const PML4 = 0x10000;
const PDPT = 0x11000;
const PD = 0x12000;
const PT = 0x13000;
const OTHER_PT = 0x14000;

const LINEAR = 0x7f0000000000n;
const GLOBAL = 0x100;
const ACCESSED = 0x20;
const DIRTY = 0x40;
/** Present, writable, the user's. */
const ALL = 7;

let rig: Rig;
let view: DataView;
let control: ReturnType<typeof Control.view>;

beforeEach(async () => {
  rig = await Rig.create();
  view = new DataView(rig.buffer);
  control = Control.view(rig.buffer, 0);
  rig.protectLong();
  rig.write64(PML4 + Number((LINEAR >> 39n) & 511n) * 8, BigInt(PDPT | ALL));
  rig.write64(PDPT, BigInt(PD | ALL));
  rig.write64(PD, BigInt(PT | ALL));
  Object.assign(rig.state, { cr0: 0x80010001, cr3: PML4, cr4: 0xa0, efer: 0x500 });
  rig.update();
});

const page = (n: number): bigint => LINEAR + BigInt(n) * 0x1000n;
function map(n: number, physical: number, flags = ALL): void {
  rig.write64(PT + n * 8, BigInt(physical | flags));
}
function as(cpl: 0 | 3): void {
  rig.state.cpl = cpl;
  rig.update();
}

/** RAM offset of an access, or `#PF` and its error code. */
function where(linear: bigint, write = false): number | string {
  rig.state.faultPending = 0;
  try {
    return (rig.call(write ? 'storeAddress' : 'readAddress', reachOf(FLAT), linear, 1)! >>> 0) - control.ram;
  } catch (e) {
    if (!rig.state.faultPending) throw e;
    return `#PF ${rig.pending().error}`;
  }
}

const TAGS = ['readTag', 'writeTag', 'execTag'] as const;
const entryAt = (mode: number, slot: number): number => control.tlbs + (mode * TLB_ENTRIES + slot) * TlbEntry.size;
const slotOf = (linear: bigint): number =>
  Number((BigInt.asUintN(32, linear) >> BigInt(TLB_SLOT_SHIFT)) & BigInt(TLB_SLOT_MASK)) >> TLB_ENTRY_SHIFT;
const tag = (mode: number, linear: bigint, name: (typeof TAGS)[number]): boolean =>
  view.getBigUint64(entryAt(mode, slotOf(linear)) + TlbEntry.offsets[name], true) === linear;

/** Pages that any array translates. */
function translated(): bigint[] {
  const found = new Set<bigint>();
  for (let mode = 0; mode < TLB_MODES; mode++)
    for (let slot = 0; slot < TLB_ENTRIES; slot++)
      for (const name of TAGS) {
        const value = view.getBigUint64(entryAt(mode, slot) + TlbEntry.offsets[name], true);
        if ((value & 0xfffn) === 0n && slotOf(value) === slot) found.add(value);
      }
  return [...found].sort((a, b) => (a < b ? -1 : 1));
}

test('a TLB of zeros with its first entries cleared translates nothing', () => {
  expect(translated()).toEqual([]);
});

test('two pages that share an entry are told apart', () => {
  const apart = BigInt(TLB_ENTRIES) * 0x1000n;
  const region = (linear: bigint): number => PD + Number((linear >> 21n) & 511n) * 8;
  rig.write64(region(LINEAR + apart), BigInt(OTHER_PT | ALL));
  rig.write64(OTHER_PT, BigInt(0x160000 | ALL));
  map(0, 0x150000);
  expect(slotOf(LINEAR + apart)).toBe(slotOf(LINEAR));
  for (let i = 0; i < 3; i++) expect([where(LINEAR), where(LINEAR + apart)]).toEqual([0x150000, 0x160000]);
});

describe('flushes', () => {
  test('leave nothing, or nothing but global pages, whatever was filled and replaced before', () => {
    const global = (n: number): boolean => n % 3 === 0;
    for (let n = 0; n < 512; n++) map(n, 0x100000 + (n & 0xff) * 0x1000, ALL | (global(n) ? GLOBAL : 0));
    const fill = (): void => {
      for (const cpl of [0, 3] as const) {
        as(cpl);
        for (let n = 0; n < 512; n += 5) where(page(n), n % 2 === 0);
      }
    };
    fill();
    // What was local becomes global, and the other way round, in entries that are listed already.
    for (let n = 0; n < 512; n += 10) {
      map(n, 0x100000, ALL | (global(n) ? 0 : GLOBAL));
      rig.call('invalidatePage', page(n));
    }
    fill();
    const isGlobal = (n: number): boolean => (n % 10 === 0 ? !global(n) : global(n));
    rig.call('setCr3', BigInt(PML4));
    expect(translated()).toEqual(Array.from({ length: 103 }, (_, i) => i * 5).filter(isGlobal).map(page)); // prettier-ignore
    fill();
    rig.call('flushTlb', 0);
    expect(translated()).toEqual([]);
    fill();
    rig.call('resetTlb');
    expect(translated()).toEqual([]);
  });

  test('many times over, do not run out of lists', () => {
    map(0, 0x150000);
    map(1, 0x151000, ALL | GLOBAL);
    for (let i = 0; i < 70_000; i++) {
      rig.call('readAddress', reachOf(FLAT), page(i & 1), 1);
      rig.call('invalidatePage', page(i & 1));
    }
    rig.call('flushTlb', 0);
    expect(translated()).toEqual([]);
  });
});

describe('what one privilege level has found', () => {
  test('serves the other, until INVLPG', () => {
    map(1, 0x150000);
    as(3);
    expect(where(page(1))).toBe(0x150000);
    map(1, 0x151000);
    as(0);
    expect(where(page(1))).toBe(0x150000);
    rig.call('invalidatePage', page(1));
    expect([where(page(1)), tag(TLB_USER, page(1), 'readTag')]).toEqual([0x151000, false]);
    as(3);
    expect(where(page(1))).toBe(0x151000);
  });

  test('permits nothing that the page does not', () => {
    map(1, 0x150000, 3);
    map(2, 0x151000, 5);
    expect([where(page(1), true), where(page(2))]).toEqual([0x150000, 0x151000]);
    as(3);
    expect([where(page(1)), where(page(1), true), where(page(2), true)]).toEqual(['#PF 5', '#PF 7', '#PF 7']);
    expect(where(page(2))).toBe(0x151000);
    as(0);
    expect(where(page(2), true)).toBe('#PF 3');
    rig.state.cr0 = 0x80000001;
    expect(where(page(2), true)).toBe(0x151000);
  });

  test('a first write sets the dirty bit, whoever has read before', () => {
    map(1, 0x150000);
    as(3);
    where(page(1));
    as(0);
    where(page(1));
    expect(rig.read64(PT + 8)).toBe(BigInt(0x150000 | ALL | ACCESSED));
    where(page(1), true);
    expect(rig.read64(PT + 8)).toBe(BigInt(0x150000 | ALL | ACCESSED | DIRTY));
    expect([tag(TLB_SUPERVISOR, page(1), 'writeTag'), tag(TLB_USER, page(1), 'writeTag')]).toEqual([true, false]);
  });

  test('with SMAP a user’s page stays closed to the kernel, and opens with AC', () => {
    map(1, 0x150000);
    rig.state.cr4 |= 1 << 21;
    as(3);
    expect(where(page(1))).toBe(0x150000);
    as(0);
    expect(where(page(1))).toBe('#PF 1');
    rig.setFlags(2 | (1 << 18));
    expect(where(page(1))).toBe(0x150000);
    rig.setFlags(2);
    expect(where(page(1))).toBe('#PF 1');
    // Code is found by one look at the array in use.
    map(2, 0x151000, 3);
    expect(rig.call('fetchAddress', page(2))).toBe(0x151000);
    expect(tag(TLB_SUPERVISOR_SMAP, page(2), 'execTag')).toBe(true);
  });
});

describe('page-directory entries', () => {
  beforeEach(() => {
    map(1, 0x150000);
    expect(where(page(1))).toBe(0x150000);
    rig.write64(OTHER_PT + 8, BigInt(0x171000 | ALL));
    rig.write64(OTHER_PT + 16, BigInt(0x172000 | ALL));
    map(2, 0x162000);
  });

  test('stay in use for other pages until INVLPG of any address', () => {
    rig.write64(PD, BigInt(OTHER_PT | ALL));
    expect(where(page(2))).toBe(0x162000);
    rig.call('invalidatePage', 0x12345000n);
    map(2, 0x163000);
    // The page itself is still in the TLB.
    expect([where(page(2)), where(page(1))]).toEqual([0x162000, 0x150000]);
    rig.call('invalidatePage', page(2));
    expect(where(page(2))).toBe(0x172000);
  });

  test('are forgotten by a load of CR3', () => {
    rig.write64(PD, BigInt(OTHER_PT | ALL));
    rig.call('setCr3', BigInt(PML4));
    expect([where(page(1)), where(page(2))]).toEqual([0x171000, 0x172000]);
  });

  test('keep the rights of all levels, and no page table entry that is not there', () => {
    rig.write64(PDPT, BigInt(PD | 5));
    rig.call('flushTlb', 0);
    expect(where(page(1))).toBe(0x150000);
    expect([where(page(1), true), where(page(2), true)]).toEqual(['#PF 3', '#PF 3']);
    expect(where(page(3))).toBe('#PF 0');
    map(3, 0x153000);
    expect(where(page(3))).toBe(0x153000);
  });

  test('get their accessed bit with the first walk that ends at a page, and by no other', () => {
    rig.write64(PD, BigInt(PT | ALL));
    rig.call('flushTlb', 0);
    expect(where(page(4))).toBe('#PF 0');
    expect(rig.read64(PD)).toBe(BigInt(PT | ALL));
    where(page(2));
    expect(rig.read64(PD)).toBe(BigInt(PT | ALL | ACCESSED));
  });
});

describe('what is jumped to by RIP alone', () => {
  /** Whether `work` ends it, for the privilege level that is current. */
  const ends = (work: () => void): boolean => {
    const before = rig.state.jumpStamp;
    work();
    return rig.state.jumpStamp !== before;
  };
  const fetch = (n: number): void => void rig.call('fetchAddress', page(n));
  const invalidate = (n: number) => () => rig.call('invalidatePage', page(n));
  const loadCr3 = (): void => void rig.call('setCr3', BigInt(PML4));
  beforeEach(() => {
    for (let n = 0; n < 8; n++) map(n, 0x150000 + n * 0x1000, ALL | (n < 4 ? GLOBAL : 0));
  });

  test('ends with INVLPG of a page that code was fetched from, and of no other', () => {
    where(page(1), true);
    where(page(5), true);
    fetch(2);
    fetch(6);
    expect([1, 5, 3, 2, 6].map((n) => ends(invalidate(n)))).toEqual([false, false, false, true, true]);
  });

  test('ends with INVLPG of code that was data first', () => {
    where(page(1));
    expect(ends(invalidate(1))).toBe(false);
    where(page(1));
    fetch(1);
    where(page(1), true);
    expect(ends(invalidate(1))).toBe(true);
  });

  test('survives a load of CR3 where the supervisor’s code is all global', () => {
    where(page(5), true);
    fetch(1);
    expect([ends(loadCr3), ends(loadCr3)]).toEqual([false, false]);
    fetch(5);
    expect([ends(loadCr3), ends(loadCr3)]).toEqual([true, false]);
    // Global pages stay, and it stays known that code was fetched from them.
    expect(ends(invalidate(1))).toBe(true);
    fetch(1);
    expect(ends(() => rig.call('flushTlb', 0))).toBe(true);
  });

  test('ends for the user with every load of CR3, and for the supervisor only if it fetched from the user’s page itself', () => {
    as(3);
    fetch(5);
    expect(ends(loadCr3)).toBe(true);
    as(0);
    fetch(1);
    const before = rig.state.jumpStamp;
    as(3);
    fetch(5);
    expect(ends(loadCr3)).toBe(true);
    as(0);
    expect(rig.state.jumpStamp).toBe(before);
    fetch(5);
    expect(ends(loadCr3)).toBe(true);
  });

  test('ends with INVLPG of any address in a large page that code was fetched from', () => {
    rig.write64(PD + 8, 0x87n);
    rig.call('fetchAddress', LINEAR + 0x200000n + 0x150000n);
    expect(ends(() => rig.call('invalidatePage', LINEAR + 0x200000n))).toBe(true);
  });
});

describe('a page that holds decoded code', () => {
  const codePage = (physical: number): ReturnType<typeof CodePage.view> =>
    CodePage.view(rig.buffer, control.codePages + (physical >> 12) * CodePage.size);

  test('is open to fast writes again when the code is gone', () => {
    map(1, 0x150000);
    codePage(0x150000).blocks = 1;
    expect([where(page(1), true), tag(TLB_SUPERVISOR, page(1), 'writeTag')]).toEqual([0x150000, false]);
    codePage(0x150000).blocks = 0;
    expect([where(page(1), true), tag(TLB_SUPERVISOR, page(1), 'writeTag')]).toEqual([0x150000, true]);
  });

  test('is closed in every array, and under every address', () => {
    map(1, 0x150000);
    map(2, 0x150000, ALL | GLOBAL);
    map(3, 0x151000);
    for (const cpl of [0, 3] as const) {
      as(cpl);
      for (const n of [1, 2, 3]) where(page(n), true);
    }
    const open = (): boolean[] => [1, 2, 3].flatMap((n) => [TLB_SUPERVISOR, TLB_USER].map((mode) => tag(mode, page(n), 'writeTag')));
    expect(open()).toEqual([true, true, true, true, true, true]);
    codePage(0x150000).blocks = 1;
    rig.helper('protectCodePage', 0x150);
    expect(open()).toEqual([false, false, false, false, true, true]);
  });
});
