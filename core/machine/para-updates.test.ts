/** The hypercalls that change page tables, and stores to these (xen.h), called as the dispatcher calls them. */
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  PARA_BATCHING, PARA_GUEST, PARA_SHARED_INFO, ParaVcpu, PGT_l1_page_table, PGT_l2_page_table, PGT_l4_page_table, PGT_none, PGT_writable_page,
} from '../state/index.ts'; // prettier-ignore
import { checkFlushed } from '../vmm/para/checker.ts';
import { A, D, DIRECT, P, ParaMemory, RW, US, preparePara } from './para-fixture.ts';

beforeAll(preparePara);
let m: ParaMemory;
/** Frames for use. */
let page: number;
let list: number;
let table: number;
beforeEach(() => {
  m = new ParaMemory();
  page = m.free + 8;
  list = m.free + 9;
  table = m.free + 10;
  expect(m.call('paraStart')).toBe(0);
});

const SELF = 0x7ff0n;
const PREEMPTED = 0x1_0000_0000n;
const CONTINUED = 0x8000_0000;
const GUEST_KERNEL = 1n << 52n;

const result = (value: number | bigint): number => Number(BigInt.asIntN(64, BigInt(value)));

/** Where an entry is, as struct mmu_update has it. */
const pointer = (frame: number, index: number, command = 0): bigint => BigInt(frame * 4096 + index * 8 + command);

/** HYPERVISOR_mmu_update with a list in the frame `list`; how many were done is stored after it. */
function updates(pairs: [bigint, bigint][], count = pairs.length, owner = SELF): [number, number] {
  pairs.forEach(([ptr, val], i) => (m.entry(list, 2 * i, ptr), m.entry(list, 2 * i + 1, val)));
  m.entry(list, 511, 0n);
  const r = result(m.call('mmuUpdate', m.at(list), count, m.at(list, 4088), Number(owner)));
  return [r, Number(m.entry(list, 511))];
}
const update = (frame: number, index: number, value: bigint, command = 0): number => updates([[pointer(frame, index, command), value]])[0];

function operation(command: number, first: number | bigint, second: number | bigint = 0): number {
  m.entry(list, 0, BigInt(command));
  m.entry(list, 1, BigInt(first));
  m.entry(list, 2, BigInt(second));
  return result(m.call('mmuextOp', m.at(list), 1, 0n, Number(SELF)));
}
const map = (frame: number, value: bigint, flags = 0n): number => result(m.call('updateVaMapping', m.at(frame), value, flags));
const args = (): bigint[] => Array.from({ length: 4 }, (_, i) => m.word(m.cpu.para.address + ParaVcpu.offsets.args + 8 * i));
/** The guest's kernel has touched a frame where it is mapped: its TLB knows it. */
const touch = (frame: number, write: 0 | 1): number => {
  const at = m.at(frame);
  return Number(m.call('guestAddress', Number(at & 0xffff_ffffn), Number(at >> 32n), write));
};
/** The frame is mapped nowhere for writing. */
const protect = (frame: number): void => expect(map(frame, m.to(frame, P))).toBe(0);

describe('mmu_update', () => {
  test('changes entries, and counts', () => {
    expect(
      updates([
        [pointer(m.l1, 200), m.to(page)],
        [pointer(m.l1, 201), 0n],
      ]),
    ).toEqual([0, 2]);
    expect(m.use(page)).toEqual([PGT_writable_page, 2, 2]);
    expect(m.use(m.l4 + 201)).toEqual([PGT_writable_page, 0, 0]);
    expect(m.check()).toEqual([]);
  });
  test('stops at the first that is refused', () => {
    const good: [bigint, bigint] = [pointer(m.l1, 200), m.to(page, P)];
    expect(updates([good, [pointer(m.l1, 201), m.to(m.l1)], good])).toEqual([-22, 1]);
    expect(m.check()).toEqual([]);
  });
  const refused: [string, () => [bigint, bigint]][] = [
    ['a writable mapping of a table', () => [pointer(m.l1, 5), m.to(m.l4)]],
    ["a mapping of the VMM's memory", () => [pointer(m.l1, 5), m.to(2, P)]],
    ['memory beyond the end', () => [pointer(m.l1, 5), m.to(m.para.frames, P)]],
    ['memory far beyond the end', () => [pointer(m.l1, 5), m.to(2 ** 40 - 1, P)]],
    ['a large page', () => [pointer(m.l2, 5), m.to(page) | 0x80n]],
    ['a table of no level', () => [pointer(m.l2, 5), m.to(page)]],
    ["an entry of the VMM's", () => [pointer(m.l4, 256), m.to(m.l3)]],
    ["the last entry of the VMM's", () => [pointer(m.l4, 271), 0n]],
    ['a table within itself', () => [pointer(m.l4, 5), m.to(m.l4)]],
    ["a table that is the VMM's", () => [pointer(2, 5), 0n]],
    ['a table beyond memory', () => [pointer(m.para.frames, 0), 0n]],
    ['a table at the end of the address space', () => [(1n << 64n) - 8n, 0n]],
    ['half an entry', () => [pointer(m.l1, 5) + 4n, 0n]],
    ["a place in memory of a frame of the VMM's", () => [pointer(2, 0, 1), 1n]],
  ];
  test.each(refused)('refuses %s', (_, one) => {
    const [ptr, value] = one();
    expect(updates([[ptr, value]])).toEqual([-22, 0]);
    expect(m.check()).toEqual([]);
  });
  test('keeps accessed and dirty bits if asked to', () => {
    m.entry(m.l1, 200, m.entry(m.l1, 200) | A | D);
    expect(update(m.l1, 200, m.to(m.l4 + 200, P | US), 2)).toBe(0);
    expect(m.entry(m.l1, 200)).toBe(m.to(m.l4 + 200, P | US | A | D));
    expect(update(m.l1, 200, m.to(m.l4 + 200, P | US))).toBe(0);
    expect(m.entry(m.l1, 200)).toBe(m.to(m.l4 + 200, P | US));
    expect(m.check()).toEqual([]);
  });
  test('says in an entry that it is for the kernel', () => {
    update(m.l1, 200, m.to(page, P | RW));
    expect(m.entry(m.l1, 200)).toBe(m.to(page) & ~A | GUEST_KERNEL); // prettier-ignore
    update(m.l1, 200, 0xff0n);
    expect(m.entry(m.l1, 200)).toBe(0xff0n);
  });
  test("changes the guest's place of a frame", () => {
    expect(updates([[pointer(page, 0, 1), 0x1234n]])).toEqual([0, 1]);
    expect(m.entry(m.para.m2p + ((page * 8) >> 12), page & 511)).toBe(0x1234n);
  });
  test('writes to what is no table', () => {
    expect(update(page, 7, 0x1234_5678_9abc_def0n)).toBe(0);
    expect(m.entry(page, 7)).toBe(0x1234_5678_9abc_def0n);
    expect(m.check()).toEqual([]);
  });
  test('has its list at any address, and only in memory that the kernel has', () => {
    m.entry(page + 1, 0, m.to(page, P));
    m.entry(page, 511, pointer(m.l1, 200));
    expect(result(m.call('mmuUpdate', m.at(page, 4088), 1, 0n, Number(SELF)))).toBe(0);
    expect(m.entry(m.l1, 200)).toBe(m.to(page, P | US) | GUEST_KERNEL);
    for (const at of [0n, 1n << 63n, 0xffff_8000_0000_0000n, (1n << 64n) - 8n, m.at(m.end - 1, 4088), 0x8000_0000_0000n - 8n])
      expect(result(m.call('mmuUpdate', at, 1, 0n, Number(SELF)))).toBe(-14);
    m.entry(list, 0, pointer(m.l1, 200));
    m.entry(list, 1, 0n);
    for (const at of [1n, 0xffff_8000_0000_0000n, m.at(m.l1)])
      expect(result(m.call('mmuUpdate', m.at(list), 1, at, Number(SELF)))).toBe(-14);
    expect(m.check()).toEqual([]);
  });
  test("is for the guest's own memory", () => {
    const one: [bigint, bigint][] = [[pointer(m.l1, 200), m.to(page, P)]];
    expect(updates(one, 1, 1n)[0]).toBe(0);
    expect(updates(one, 1, 0n)[0]).toBe(-1);
    expect(updates(one, 1, 5n)[0]).toBe(-3);
    expect(updates(one, 1, 0x7ff1n)[0]).toBe(-1);
    expect(updates(one, 1, 0x7ff2n)[0]).toBe(-1);
    expect(updates(one, 1, (2n << 16n) | SELF)[0]).toBe(-1);
  });
  test('goes on with long lists where it was', () => {
    const one: [bigint, bigint][] = Array.from({ length: 200 }, (_, i) => [pointer(m.l1, 100 + i), 0n]);
    m.para.switches &= ~PARA_BATCHING;
    let [r, done] = updates(one);
    let calls = 1;
    for (; BigInt(r) === PREEMPTED; calls++) {
      const [ptr, left, doneOut, owner] = args();
      expect(Number(left)).toBe(CONTINUED + 200 - done);
      r = result(m.call('mmuUpdate', ptr!, Number(left), doneOut!, Number(owner)));
      done = Number(m.entry(list, 511));
      if (calls > 200) break;
    }
    expect([calls, r, done]).toEqual([200, 0, 200]);
    expect(m.use(m.l4 + 299)).toEqual([PGT_writable_page, 0, 0]);
    m.para.switches |= PARA_BATCHING;
    expect(result(m.call('mmuUpdate', m.at(list), 0x7fff_ffff, 0n, Number(SELF)))).toBe(-22);
  });
});

describe('update_va_mapping', () => {
  test('changes the entry for an address', () => {
    expect(map(page, m.to(list, P))).toBe(0);
    expect(m.entry(m.l1, page - m.l4)).toBe(m.to(list, P | US) | GUEST_KERNEL);
    expect(map(page, m.to(m.l4))).toBe(-22);
    for (const at of [0n, 0x8000_0000_0000n, 0xffff_8000_0000_0000n, 0xffff_87ff_ffff_f000n, (1n << 64n) - 1n])
      expect(result(m.call('updateVaMapping', at, 0n, 0n))).toBe(-22);
    expect(m.check()).toEqual([]);
  });
  test('forgets the old translation if asked to', () => {
    const before = touch(page, 1);
    map(page, m.to(list), 2n);
    expect(touch(page, 1)).toBe(before + 4096);
    map(page, m.to(list + 1), 1n);
    expect(touch(page, 1)).toBe(before + 8192);
  });
});

describe('mmuext_op', () => {
  test('pins and unpins', () => {
    expect(operation(0, table)).toBe(-22);
    protect(table);
    expect(operation(0, table)).toBe(0);
    expect(m.use(table)).toEqual([PGT_l1_page_table, 1, 2]);
    expect(operation(0, table)).toBe(-22);
    expect(m.check()).toEqual([]);
    expect(map(table, m.to(table))).toBe(-22);
    expect(operation(4, table)).toBe(0);
    expect(operation(4, table)).toBe(-22);
    expect(m.use(table)).toEqual([PGT_none, 0, 1]);
    expect(map(table, m.to(table))).toBe(0);
    expect(m.check()).toEqual([]);
  });
  test('what is pinned has been validated', () => {
    m.entry(table, 3, m.to(m.l4));
    protect(table);
    expect(operation(0, table)).toBe(-22);
    m.entry(table, 3, m.to(page));
    expect(operation(0, table)).toBe(0);
    expect(m.use(page)).toEqual([PGT_writable_page, 2, 2]);
    expect(m.check()).toEqual([]);
  });
  test('a TLB that may write to a frame forgets that as it becomes a table', () => {
    // The same tables in the lower half of the address space, of which nobody keeps account.
    expect(update(m.l4, 0, m.to(m.l3))).toBe(0);
    const low = (frame: number): number => Number(m.call('guestAddress', (frame - PARA_GUEST) * 4096, 0, 1));
    // Mapped twice, so that there are several ways to it.
    for (const aliases of [false, true]) {
      if (aliases) expect(map(page, m.to(table), 1n)).toBe(0);
      const at = low(table);
      expect(at).not.toBe(0);
      if (aliases) expect(low(page)).toBe(at);
      protect(table);
      if (aliases) protect(page);
      // Not flushed: the kernel may go on writing, until the frame becomes a table.
      expect(low(table)).toBe(at);
      expect(operation(0, table)).toBe(0);
      expect(low(table)).toBe(0);
      if (aliases) expect(low(page)).toBe(0);
      expect(m.check()).toEqual([]);
      expect([operation(4, table), map(table, m.to(table)), map(page, m.to(page))]).toEqual([0, 0, 0]);
    }
  });
  test('a flush keeps what the kernel has, and leaves nothing that has changed', () => {
    const stays = touch(m.free, 1);
    expect(stays).not.toBe(0);
    for (const change of [
      () => map(page, m.to(list)),
      () => update(m.l1, page - m.l4, m.to(list + 1)),
      () => update(m.l1, page - m.l4, m.to(list + 1, P)),
      () => update(m.l2, 100, m.to(m.l1)) || update(m.l1, page - m.l4, m.to(list)),
      () => update(m.l2, 100, 0n),
      () => update(m.l4, 300, m.to(m.l3)) || update(m.l1, page - m.l4, m.to(list + 2)),
    ]) {
      touch(page, 1);
      expect(change()).toBe(0);
      expect(operation(6, 0)).toBe(0);
      expect(checkFlushed(m.buffer)).toEqual([]);
      expect(touch(m.free, 1)).toBe(stays);
    }
  });
  test('a walk does not go on from a table that is none any more', () => {
    protect(table);
    m.entry(table, 0, m.to(page));
    expect(update(m.l2, 100, m.to(table))).toBe(0);
    const at = DIRECT + (100n << 21n);
    const look = (): number => Number(m.call('guestAddress', Number(at & 0xffff_ffffn), Number(at >> 32n), 0));
    expect(look()).not.toBe(0);
    expect(update(m.l2, 100, 0n)).toBe(0);
    m.call('invalidatePage', at);
    expect(map(table, m.to(table))).toBe(0);
    m.entry(table, 0, m.to(0));
    expect(look()).toBe(0);
    expect(m.check()).toEqual([]);
  });
  test('other page tables come into use', () => {
    const other = table;
    for (let i = 0; i < 512; i++) m.entry(other, i, m.entry(m.l4, i));
    protect(other);
    expect(operation(5, page)).toBe(-22);
    expect(operation(5, other)).toBe(0);
    expect([m.cpu.para.kernelCr3, m.cpu.cr3]).toEqual([other * 4096, other * 4096]);
    expect(m.use(m.l4)).toEqual([PGT_l4_page_table, 1, 2]);
    expect(m.use(m.l3)[1]).toBe(2);
    expect(operation(15, m.l4)).toBe(0);
    expect(m.cpu.para.userCr3).toBe(m.l4 * 4096);
    expect(m.check()).toEqual([]);
    expect(operation(15, 0)).toBe(0);
    expect(operation(5, 0)).toBe(-22);
    expect(operation(5, 2 ** 52)).toBe(-22);
    expect(operation(5, m.l4)).toBe(0);
    expect(m.use(other)).toEqual([PGT_none, 0, 1]);
    expect(m.check()).toEqual([]);
  });
  test('clears and copies pages', () => {
    m.entry(page, 9, 77n);
    expect(operation(17, page + 1, page)).toBe(0);
    expect(m.entry(page + 1, 9)).toBe(77n);
    expect(operation(16, page)).toBe(0);
    expect(m.entry(page, 9)).toBe(0n);
    expect([
      operation(16, m.l4),
      operation(16, 2),
      operation(17, page, 2),
      operation(17, m.l2, page),
      operation(16, PARA_SHARED_INFO),
    ]).toEqual([-22, -22, -22, -22, -22]);
  });
  test('refuses what there is not', () => {
    expect([12, 18, 19, 20, 14, 21, 0xffff_ffff].map((command) => operation(command, 0))).toEqual([-13, -13, -95, -95, -38, -38, -38]);
    expect([operation(8, 0, 0), operation(8, 0, m.at(page)), operation(7, -1n), operation(13, 0x1000, 0xffff_ffff)]).toEqual([
      -14, 0, 0, -22,
    ]);
  });
});

describe('stores to page tables', () => {
  /** The kernel stores bytes at a frame's offset. Throws what a fault throws. */
  function stores(frame: number, offset: number, bytes: number[]): void {
    const bounce = m.cpu.address + m.bounce;
    bytes.forEach((byte, i) => new DataView(m.buffer).setUint8(bounce + i, byte));
    m.call('pageTableWrite', frame * 4096 + offset, bounce, bytes.length, m.at(frame, offset));
  }
  const bytesOf = (value: bigint): number[] => Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));

  test('are updates', () => {
    stores(m.l1, 200 * 8, bytesOf(m.to(page)));
    expect([m.entry(m.l1, 200), m.use(page)[1]]).toEqual([m.to(page), 2]);
    // LOCK AND byte, BTR of RW: what Linux does.
    stores(m.l1, 200 * 8, [Number(m.to(page) & 0xfdn)]);
    expect([m.entry(m.l1, 200), m.use(page)]).toEqual([m.to(page) & ~RW, [PGT_writable_page, 1, 2]]);
    stores(m.l1, 200 * 8 + 4, [0, 0, 0, 0x80]);
    expect(m.entry(m.l1, 200)).toBe((m.to(page) & ~RW) | (1n << 63n));
    expect(m.cpu.para.pageTableWrites).toBe(3);
    expect(m.check()).toEqual([]);
  });
  test('are page faults if they are refused', () => {
    const refused = (...args: Parameters<typeof stores>): number[] => {
      expect(() => stores(...args)).toThrow();
      const { faultVector, faultError, cr2 } = m.cpu;
      return [faultVector, faultError, cr2 - Number(m.at(args[0], args[1]))];
    };
    expect(refused(m.l1, 200 * 8, bytesOf(m.to(m.l2)))).toEqual([14, 3, 0]);
    expect(refused(m.l1, 200 * 8 + 4, [0, 0, 0, 0, 0, 0, 0, 0])).toEqual([14, 3, 0]);
    expect(refused(m.l2, 200 * 8, bytesOf(0n))).toEqual([14, 3, 0]);
    expect(refused(m.l4, 3, [7])).toEqual([14, 3, 0]);
    expect(m.use(m.l2)).toEqual([PGT_l2_page_table, 1, 2]);
    expect(m.check()).toEqual([]);
  });
});
