import { expect, test } from 'vitest';
import { CPUS, OWNER_SHARED, PAGE, PARA_BATCHING, PARA_GRANTS } from '../state/index.ts';
import { EFAULT, EINVAL, ENOSYS, Refusal } from '../vmm/para/errno.ts';
import { GrantTable } from '../vmm/para/grant-table-op.ts';
import { GuestMemory } from '../vmm/para/guest-memory.ts';
import { DATA, ParaFixture } from './para-devices-fixture.ts';

const SELF = 0x7ff0;
const LIST = DATA + 20;

/** The guest's kernel has its frames at their machine addresses. */
function tableOf(guest: ParaFixture) {
  const memory = new GuestMemory(guest.buffer, CPUS);
  memory.walker = {
    guestAddress: (_cpu, low, high) => (high === 0 && low >= 0x10_0000 && low < 0x50_0000 ? guest.ram.byteOffset + low : 0),
  };
  const table = new GrantTable({
    buffer: guest.buffer,
    memory,
    grants: guest.devices.grants,
    invalidate: (page) => void guest.written.push(page),
  });
  const pointer = BigInt(guest.frame(LIST) * PAGE);
  const entries = new DataView(guest.buffer, guest.bytes(LIST).byteOffset, PAGE);
  /** 0, what is left, or the (negative) error. */
  const operate = (command: number, count = 1, at = pointer) => {
    try {
      const result = table.operate(command, at, count);
      return result === 0 ? 0 : result;
    } catch (error) {
      if (error instanceof Refusal) return -error.errno;
      throw error;
    }
  };
  return { table, entries, operate, pointer };
}

test('the table is set up, and its frames are the guest’s to map', () => {
  const guest = new ParaFixture();
  const { table, entries, operate, pointer } = tableOf(guest);
  table.reset();
  entries.setUint16(0, SELF, true);
  entries.setUint32(4, 3, true);
  entries.setBigUint64(16, pointer + 1024n, true);
  expect([operate(2), entries.getInt16(8, true)]).toEqual([0, 0]);
  expect([0, 1, 2].map((i) => Number(entries.getBigUint64(1024 + 8 * i, true)))).toEqual([PARA_GRANTS, PARA_GRANTS + 1, PARA_GRANTS + 2]);
  expect(guest.page(PARA_GRANTS + 2).owner).toBe(OWNER_SHARED);
  expect(guest.page(PARA_GRANTS + 3).owner).not.toBe(OWNER_SHARED);
  entries.setUint32(4, 65, true);
  expect([operate(2), entries.getInt16(8, true)]).toEqual([0, -1]);
  entries.setUint16(0, 9, true);
  expect([operate(2), entries.getInt16(8, true)]).toEqual([0, -2]);
  entries.setUint16(0, 1, true);
  expect([operate(6), entries.getUint32(4, true), entries.getUint32(8, true), entries.getInt16(12, true)]).toEqual([0, 3, 64, 0]);
});

test('there is version 1, and no other', () => {
  const { entries, operate } = tableOf(new ParaFixture());
  const results = [1, 2, 3].map((version) => {
    entries.setUint32(0, version, true);
    return operate(8);
  });
  expect(results).toEqual([0, -ENOSYS, -EINVAL]);
  entries.setUint16(0, SELF, true);
  expect([operate(10), entries.getUint32(4, true)]).toEqual([0, 1]);
});

test('what nobody grants cannot be mapped, unmapped or transferred', () => {
  const { entries, operate } = tableOf(new ParaFixture());
  const results = [0, 1, 7].map((domain) => {
    entries.setUint16(16, domain, true);
    operate(0);
    return entries.getInt16(18, true);
  });
  expect(results).toEqual([-3, -1, -2]);
  expect([operate(1), entries.getInt16(20, true)]).toEqual([0, -4]);
  expect([operate(4), entries.getInt16(16, true)]).toEqual([0, -2]);
  expect([operate(13), operate(5, 0x8000_0000), operate(5, 1, 0x1234_5678_0000n)]).toEqual([-ENOSYS, -EINVAL, -EFAULT]);
});

/** A struct gnttab_copy: from and to are [frame or grant, domain, offset]. */
function copy(view: DataView, at: number, from: readonly number[], to: readonly number[], length: number, flags: number): void {
  for (const [place, [what, domain, offset]] of [
    [at, from],
    [at + 16, to],
  ] as const) {
    view.setBigUint64(place, BigInt(what!), true);
    view.setUint16(place + 8, domain!, true);
    view.setUint16(place + 10, offset!, true);
  }
  view.setUint16(at + 32, length, true);
  view.setUint16(at + 34, flags, true);
}

test('copies within the guest, by frame and by grant to itself', () => {
  const guest = new ParaFixture();
  const { entries, operate } = tableOf(guest);
  guest.bytes(DATA).fill(0x5a);
  guest.grant(30, DATA, 5, 1);
  guest.grant(31, DATA + 1, 1, 1);
  copy(entries, 0, [guest.frame(DATA), SELF, 8], [guest.frame(DATA + 1), SELF, 100], 16, 0);
  copy(entries, 40, [30, 1, 0], [31, SELF, 200], 8, 3);
  copy(entries, 80, [guest.frame(DATA), SELF, 4090], [guest.frame(DATA), SELF, 0], 8, 0);
  copy(entries, 120, [30, 1, 0], [30, 1, 0], 8, 3);
  copy(entries, 160, [30, 0, 0], [31, 1, 0], 8, 3);
  copy(entries, 200, [guest.frame(DATA), 0, 0], [31, 1, 0], 8, 2);
  copy(entries, 240, [1, SELF, 0], [guest.frame(DATA), SELF, 0], 8, 0);
  copy(entries, 280, [2 ** 40, SELF, 0], [guest.frame(DATA), SELF, 0], 8, 0);
  expect(operate(5, 8)).toBe(0);
  expect(Array.from({ length: 8 }, (_, i) => entries.getInt16(40 * i + 36, true))).toEqual([0, 0, -10, -1, -3, -8, -9, -9]);
  const target = guest.bytes(DATA + 1);
  expect([target[99], target[100], target[115], target[116], target[200], target[207], target[208]]).toEqual([
    0, 0x5a, 0x5a, 0, 0x5a, 0x5a, 0,
  ]);
  expect(guest.written).toEqual([guest.frame(DATA + 1), guest.frame(DATA + 1)]);
  expect([guest.flags(30), guest.flags(31), guest.busy(guest.frame(DATA)), guest.busy(guest.frame(DATA + 1))]).toEqual([5, 1, 0, 0]);
});

test('a long list is done in parts, one entry each without batching', () => {
  const guest = new ParaFixture();
  const { operate, pointer } = tableOf(guest);
  expect(operate(1, 300, BigInt(guest.frame(LIST) * PAGE))).toEqual({ pointer: pointer + 256n * 24n, count: 44 });
  guest.para.switches &= ~PARA_BATCHING;
  expect(operate(1, 3)).toEqual({ pointer: pointer + 24n, count: 2 });
  expect(operate(1, 0)).toBe(0);
});

test('entries that nobody uses are exchanged', () => {
  const guest = new ParaFixture();
  const { entries, operate } = tableOf(guest);
  guest.grant(30, DATA, 5);
  entries.setUint32(0, 30, true);
  entries.setUint32(4, 31, true);
  expect([operate(11), entries.getInt16(8, true), guest.flags(30), guest.flags(31)]).toEqual([0, 0, 0, 5]);
  const claim = guest.devices.grants.claim(31, false);
  expect([operate(11), entries.getInt16(8, true)]).toEqual([0, -12]);
  if (typeof claim !== 'number') guest.devices.grants.release(claim);
  entries.setUint32(4, 5000, true);
  expect([operate(11), entries.getInt16(8, true)]).toEqual([0, -3]);
});
