/** What frames of a paravirtualized guest are used for: types, counts, owners, page tables. */
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  OWNER_FREE, OWNER_GUEST, PARA_SHARED_INFO, PGT_l1_page_table, PGT_l2_page_table, PGT_l4_page_table, PGT_none, PGT_seg_desc_page,
  PGT_writable_page,
} from '../state/index.ts'; // prettier-ignore
import { P, ParaMemory, RW, US, XD, preparePara } from './para-fixture.ts';

beforeAll(preparePara);
let m: ParaMemory;
beforeEach(() => {
  m = new ParaMemory();
});

const GUEST_KERNEL = 1n << 52n;

describe('the first page tables', () => {
  test('are validated, pinned and in use', () => {
    expect(m.call('paraStart')).toBe(0);
    expect(m.check()).toEqual([]);
    expect(m.use(m.l4)).toEqual([PGT_l4_page_table, 2, 3]);
    expect(m.use(m.l2)).toEqual([PGT_l2_page_table, 1, 2]);
    expect(m.use(m.l1)).toEqual([PGT_l1_page_table, 1, 2]);
    expect(m.use(m.free)).toEqual([PGT_writable_page, 1, 1]);
  });
  const wrong: [string, () => void][] = [
    ['a writable mapping of a table', () => m.entry(m.l1, 2, m.to(m.l2))],
    ['a writable mapping of the table itself', () => m.entry(m.l1, 3, m.to(m.l1))],
    ["a frame of the VMM's", () => m.entry(m.l1, 9, m.to(0, P))],
    ['the machine-to-physical table', () => m.entry(m.l1, 9, m.to(m.para.m2p, P | US))],
    ['a frame beyond memory', () => m.entry(m.l1, 9, m.to(m.para.frames, P))],
    ['a frame far beyond memory', () => m.entry(m.l1, 9, m.to(m.free + 2 ** 32, P))],
    ['a free frame', () => (m.info(m.free).owner = OWNER_FREE)],
    ['a large page', () => m.entry(m.l2, 5, m.to(m.free) | 0x80n)],
    ['a large page of the level above', () => m.entry(m.l3, 5, m.to(m.free) | 0x80n)],
    ['a level-4 table within itself', () => m.entry(m.l4, 3, m.to(m.l4))],
    ['a level-2 table within itself', () => m.entry(m.l2, 3, m.to(m.l2))],
    ['memory that is not cached', () => m.entry(m.l1, 9, m.to(m.free) | 0x10n)],
    ['a table of the wrong level', () => m.entry(m.l4, 3, m.to(m.l1))],
  ];
  test.each(wrong)('with %s are refused, and nothing is left of them', (_, spoil) => {
    spoil();
    expect(m.call('paraStart')).toBe(-22);
    for (let frame = 0; frame < m.para.frames; frame++) {
      const [type, ...counts] = m.use(frame);
      expect([PGT_none, PGT_writable_page], `frame ${frame}`).toContain(type);
      expect(counts, `frame ${frame}`).toEqual([0, 0]);
    }
  });
  test('may be mapped for reading, by themselves too', () => {
    m.entry(m.l1, 3, m.to(m.l1, P | XD));
    expect(m.call('paraStart')).toBe(0);
    expect(m.check()).toEqual([]);
  });
  test("have the user's right, and say where it was not given", () => {
    m.entry(m.l1, 300, m.to(m.free, P | RW));
    m.entry(m.l4, 272, m.to(m.l3, P | RW));
    m.call('paraStart');
    expect(m.entry(m.l1, 300)).toBe(m.to(m.free, P | RW | US) | GUEST_KERNEL);
    expect(m.entry(m.l1, 301)).toBe(m.to(m.l1 + 298, P | RW | US));
    expect(m.entry(m.l4, 272)).toBe(m.to(m.l3, P | RW | US));
  });
  test("have nothing where the VMM's entries are", () => {
    m.entry(m.l4, 256, m.to(m.l3));
    m.entry(m.l4, 271, -1n);
    expect(m.call('paraStart')).toBe(0);
    expect([m.entry(m.l4, 256), m.entry(m.l4, 271)]).toEqual([0n, 0n]);
    expect(m.check()).toEqual([]);
  });
  test('may have shared_info', () => {
    m.entry(m.l1, 300, m.to(PARA_SHARED_INFO));
    expect(m.call('paraStart')).toBe(0);
    expect(m.check()).toEqual([]);
  });
});

describe('references', () => {
  beforeEach(() => {
    m.call('paraStart');
  });
  test('of types that exclude each other', () => {
    const frame = m.l1 + 1;
    expect(m.call('getPageType', frame, PGT_writable_page)).toBe(0);
    expect(m.call('getPageType', frame, PGT_l2_page_table)).toBe(0);
    expect(m.call('getPageType', m.free, PGT_seg_desc_page)).toBe(0);
    expect(m.call('getPageType', m.free, PGT_writable_page)).toBe(1);
    expect(m.check([{ frame: m.free, type: PGT_writable_page }])).toEqual([]);
    m.call('putPageType', m.free);
    expect(m.call('getPage', m.para.frames)).toBe(0);
    expect(m.call('getPage', 0)).toBe(0);
    expect(m.call('getPage', m.free)).toBe(1);
    m.call('putPage', m.free);
    expect(m.check()).toEqual([]);
  });
  test('keep a frame, and what is free can be had again', () => {
    const total = m.para.totalPages;
    expect(m.call('releaseFrame', m.free)).toBe(-16);
    expect(m.call('releaseFrame', 0)).toBe(-22);
    expect(m.call('releaseFrame', 0xffff_ffff)).toBe(-22);
    expect(m.call('allocateFrame')).toBe(0);
    // The last mapping is taken away, as if by an update.
    m.entry(m.l1, m.free - m.l4, 0n);
    Object.assign(m.info(m.free), { count: 0, typeCount: 0 });
    expect(m.call('releaseFrame', m.free)).toBe(0);
    expect([m.para.totalPages, m.info(m.free).owner]).toEqual([total - 1, OWNER_FREE]);
    expect(m.check()).toEqual([]);
    m.entry(m.free, 7, 7n);
    expect(m.call('allocateFrame')).toBe(m.free);
    expect([m.para.totalPages, m.info(m.free).owner, m.entry(m.free, 7)]).toEqual([total, OWNER_GUEST, 0n]);
    expect(m.check()).toEqual([]);
  });
  test('are not given while a backend uses the frame', () => {
    m.entry(m.l1, m.free - m.l4, 0n);
    Object.assign(m.info(m.free), { count: 0, typeCount: 0 });
    const busy = new Uint8Array(m.buffer, m.para.busy, m.para.frames);
    busy[m.free] = 1;
    expect(m.call('getPageType', m.free, PGT_l1_page_table)).toBe(0);
    expect(m.call('releaseFrame', m.free)).toBe(-16);
    busy[m.free] = 0;
    expect(m.call('getPageType', m.free, PGT_l1_page_table)).toBe(1);
    expect(m.check([{ frame: m.free, type: PGT_l1_page_table }])).toEqual([]);
  });
  test('of descriptor pages: nothing of the VMM', () => {
    m.entry(m.l1, m.free - m.l4, 0n);
    Object.assign(m.info(m.free), { count: 0, typeCount: 0 });
    // A data segment of level 0, one that is not present, a call gate.
    m.entry(m.free, 1, 0x00cf_9300_0000_ffffn);
    m.entry(m.free, 2, 0x00cf_1300_0000_ffffn);
    m.entry(m.free, 3, 0x0000_ec00_0008_0000n);
    expect(m.call('getPageType', m.free, PGT_seg_desc_page)).toBe(0);
    m.entry(m.free, 3, 0n);
    expect(m.call('getPageType', m.free, PGT_seg_desc_page)).toBe(1);
    expect(m.entry(m.free, 1)).toBe(0x00cf_f300_0000_ffffn);
    expect(m.entry(m.free, 2)).toBe(0x00cf_1300_0000_ffffn);
  });
});

test('the checker finds what is wrong', () => {
  m.call('paraStart');
  m.entry(m.l1, 300, m.to(m.l2));
  m.entry(m.l1, 301, m.to(m.para.m2p, P));
  m.entry(m.l4, 260, m.to(m.l3));
  const findings = m.check().join('\n');
  expect(findings).toContain(`entry 300 of frame ${m.l1} (level 1) refers to frame ${m.l2} as type 7, others as type 2`);
  expect(findings).toContain(`frame ${m.para.m2p} is referred to, and is the VMM's`);
  expect(findings).toContain(`entry 260 of frame ${m.l4} (level 4) is the VMM's`);
  expect(findings).toContain(`frame ${m.l3} has count 2, and is referred to 3 times`);
});
