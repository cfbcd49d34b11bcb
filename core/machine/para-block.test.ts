import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PGT_l1_page_table, PGT_writable_page } from '../state/index.ts';
import { GTF_readonly, GTF_reading, GTF_writing } from '../vmm/para/grants.ts';
import { diskCounts } from '../vmm/para/block/statistics.ts';
import * as xs from '../vmm/para/xenstore/wire.ts';
import { attachMachine } from './create.ts';
import { places } from './places.ts';
import { DATA, ParaFixture, sectorsOf } from './para-devices-fixture.ts';

const READ = 0;
const WRITE = 1;
const FLUSH = 3;
const INDIRECT = 6;
const OKAY = 0;
const ERROR = -1;
const UNSUPPORTED = -2;
const BACK = '/local/domain/0/backend/vbd/1/51712';
const SECTORS = 256;

let folder: string;
beforeAll(() => void (folder = mkdtempSync(path.join(tmpdir(), 'ringside-para-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Sector n is full of n + 1. */
function image(name = 'disk'): string {
  const file = path.join(folder, `${name}.img`);
  const data = Buffer.alloc(SECTORS * 512);
  for (let i = 0; i < SECTORS; i++) data.fill(i + 1, i * 512, (i + 1) * 512);
  writeFileSync(file, data);
  return file;
}

const { request, indirect, segment } = ParaFixture;
const guestWith = (options: { readonly?: boolean; asynchrony?: boolean } = {}): ParaFixture =>
  new ParaFixture({ disks: [{ path: image(), readonly: options.readonly }], asynchrony: options.asynchrony });

/** Puts a request, tells the backend, and takes what comes of it. */
function run(guest: ParaFixture, port: number, ...requests: Uint8Array[]): [number, number, number][] {
  let told = false;
  for (const one of requests) told = guest.put(one) || told;
  if (told) guest.channels.attach(3, guest.devices);
  if (told) guest.channels.sendFromGuest(port);
  return guest.take();
}

describe('a block device', () => {
  test('is found in xenstore, connects, and is told of its size', () => {
    const guest = guestWith();
    expect(guest.say(xs.XS_DIRECTORY, 'device/vbd\0')).toBe('51712|');
    expect(guest.say(xs.XS_READ, 'device/vbd/51712/backend\0')).toBe(BACK);
    expect(guest.say(xs.XS_READ, `${BACK}/state\0`)).toBe('2');
    expect(guest.say(xs.XS_READ, `${BACK}/feature-max-indirect-segments\0`)).toBe('256');
    guest.say(xs.XS_WATCH, `${BACK}/state\0back\0`);
    guest.watched();
    guest.connect();
    expect(guest.watched()).toEqual([`${BACK}/state|back|`]);
    expect(guest.say(xs.XS_READ, `${BACK}/state\0`)).toBe('4');
    expect(guest.say(xs.XS_READ, `${BACK}/sectors\0`)).toBe(String(SECTORS));
    expect(guest.say(xs.XS_READ, `${BACK}/info\0`)).toBe('0');
    expect(guest.say(xs.XS_WRITE, `${BACK}/params\0/etc/passwd`)).toBe('EACCES|');
    // The ring's page is the backend's too as long as it is connected.
    expect([guest.flags(8) & (GTF_reading | GTF_writing), guest.busy(guest.frame(1))]).toEqual([GTF_reading | GTF_writing, 1]);
    guest.say(xs.XS_WRITE, 'device/vbd/51712/state\x005');
    expect([guest.flags(8) & (GTF_reading | GTF_writing), guest.busy(guest.frame(1))]).toEqual([0, 0]);
    guest.say(xs.XS_WRITE, 'device/vbd/51712/state\x006');
    expect(guest.say(xs.XS_READ, `${BACK}/state\0`)).toBe('6');
    // A driver that is loaded again finds it as before.
    guest.say(xs.XS_WRITE, 'device/vbd/51712/state\x001');
    expect(guest.say(xs.XS_READ, `${BACK}/state\0`)).toBe('2');
    guest.connect();
    expect(guest.say(xs.XS_READ, `${BACK}/state\0`)).toBe('4');
  });

  test('reads and writes sectors in granted frames', () => {
    const guest = guestWith();
    const port = guest.connect();
    guest.grant(20, DATA);
    guest.grant(21, DATA + 2, 1 | GTF_readonly);
    expect(run(guest, port, request(READ, 7, 10, [{ ref: 20, first: 1, last: 2 }]))).toEqual([[7, READ, OKAY]]);
    const bytes = guest.bytes(DATA);
    expect([bytes[511], bytes[512], bytes[1023], bytes[1024], bytes[1535], bytes[1536]]).toEqual([0, 11, 11, 12, 12, 0]);
    expect(guest.written).toEqual([guest.frame(DATA)]);
    expect(guest.events.filter((event) => event === port)).toEqual([port]);

    guest.bytes(DATA + 2).fill(0xaa);
    expect(run(guest, port, request(WRITE, 8, 3, [{ ref: 21, first: 0, last: 1 }]))).toEqual([[8, WRITE, OKAY]]);
    const file = path.join(folder, 'disk.img');
    expect([...sectorsOf(file, 2, 4)].filter((_, i) => i % 512 === 0)).toEqual([3, 0xaa, 0xaa, 6]);
    expect(run(guest, port, request(FLUSH, 9, 0, []))).toEqual([[9, FLUSH, OKAY]]);
    const counts = { reads: 1, writes: 1, flushes: 1, errors: 0, bytes: 2048, notifications: 3, events: 3 };
    expect(diskCounts(guest.buffer, places(attachMachine(guest.memory).layout).para.vbds)).toEqual({ xvda: counts });
    // Nothing stays in use.
    expect([guest.flags(20), guest.flags(21), guest.busy(guest.frame(DATA)), guest.busy(guest.frame(DATA + 2))]).toEqual([1, 5, 0, 0]);
  });

  test('does requests with many segments in several frames, direct and indirect', () => {
    const guest = guestWith();
    const port = guest.connect();
    // Out of order in memory, and one next to another.
    const frames = [9, 4, 5, 6, 12, 11, 10, 13];
    frames.forEach((frame, i) => guest.grant(20 + i, frame));
    const refs = frames.map((_, i) => ({ ref: 20 + i }));
    expect(run(guest, port, request(READ, 1, 0, refs))).toEqual([[1, READ, OKAY]]);
    frames.forEach((frame, i) => expect([guest.bytes(frame)[0], guest.bytes(frame)[4095]]).toEqual([8 * i + 1, 8 * i + 8]));

    guest.grant(40, 20, 1 | GTF_readonly);
    const list = new DataView(guest.buffer, guest.bytes(20).byteOffset, 4096);
    Array.from({ length: 30 }, (_, i) => i).forEach((i) => {
      guest.grant(50 + i, 30 + i);
      segment(list, 8 * i, { ref: 50 + i });
    });
    expect(run(guest, port, indirect(READ, 2, 8, 30, [40]))).toEqual([[2, READ, OKAY]]);
    for (let i = 0; i < 30; i++) expect(guest.bytes(30 + i)[0]).toBe((8 + 8 * i + 1) & 0xff);
    expect([guest.flags(40), guest.flags(50), guest.busy(guest.frame(20))]).toEqual([5, 1, 0]);
  });

  test.each([
    ['a grant that is none', request(READ, 1, 0, [{ ref: 99 }]), ERROR],
    ['a grant beyond the table', request(READ, 1, 0, [{ ref: 0xffff_ffff }]), ERROR],
    ['a grant to read that would be written', request(READ, 1, 0, [{ ref: 21 }]), ERROR],
    ['a grant for another domain', request(READ, 1, 0, [{ ref: 22 }]), ERROR],
    ['a granted page table', request(READ, 1, 0, [{ ref: 23 }]), ERROR],
    ['a granted frame that is not the guest’s', request(READ, 1, 0, [{ ref: 24 }]), ERROR],
    ['a granted frame that is not there', request(READ, 1, 0, [{ ref: 25 }]), ERROR],
    ['sectors beyond the disk', request(READ, 1, SECTORS - 7, [{ ref: 20 }]), ERROR],
    ['sectors far beyond it', request(READ, 1, 2 ** 60, [{ ref: 20 }]), ERROR],
    ['a segment beyond its frame', request(READ, 1, 0, [{ ref: 20, last: 8 }]), ERROR],
    ['a segment that ends before it begins', request(READ, 1, 0, [{ ref: 20, first: 3, last: 2 }]), ERROR],
    ['no segment', request(READ, 1, 0, []), ERROR],
    [
      'too many segments',
      request(
        READ,
        1,
        0,
        Array.from({ length: 12 }, () => ({ ref: 20 })),
      ),
      ERROR,
    ],
    ['an indirect request that is neither read nor write', indirect(FLUSH, 1, 0, 1, [20]), ERROR],
    ['more indirect segments than there may be', indirect(READ, 1, 0, 257, [20]), ERROR],
    ['indirect segments in a frame that is not granted', indirect(READ, 1, 0, 1, [99]), ERROR],
    ['a barrier', request(2, 1, 0, [{ ref: 20 }]), UNSUPPORTED],
    ['an operation that there is not', request(77, 1, 0, [{ ref: 20 }]), UNSUPPORTED],
  ])('answers %s with an error, and goes on', (_what, bad, status) => {
    const guest = guestWith();
    const port = guest.connect();
    guest.grant(20, DATA);
    guest.grant(21, DATA, 1 | GTF_readonly);
    guest.grant(22, DATA, 1, 5);
    guest.grant(23, DATA + 1);
    guest.page(guest.frame(DATA + 1)).type = PGT_l1_page_table;
    guest.grant(24, -0x80);
    guest.grant(25, 0x7000_0000);
    expect(run(guest, port, bad)).toEqual([[1, bad[0] === INDIRECT ? bad[1] : bad[0], status]]);
    expect(guest.written).toEqual([]);
    expect(guest.flags(20)).toBe(1);
    expect(guest.busy(guest.frame(DATA + 1))).toBe(0);
    expect(run(guest, port, request(READ, 2, 0, [{ ref: 20 }]))).toEqual([[2, READ, OKAY]]);
  });

  test('that is read-only cannot be written', () => {
    const guest = guestWith({ readonly: true });
    const port = guest.connect();
    guest.grant(20, DATA);
    expect(guest.say(xs.XS_READ, `${BACK}/info\0`)).toBe('4');
    expect(run(guest, port, request(WRITE, 1, 0, [{ ref: 20 }]))).toEqual([[1, WRITE, ERROR]]);
    expect(run(guest, port, request(READ, 2, 0, [{ ref: 20 }]))).toEqual([[2, READ, OKAY]]);
  });

  test('whose image became shorter gives errors', () => {
    const guest = guestWith();
    const port = guest.connect();
    guest.grant(20, DATA);
    writeFileSync(path.join(folder, 'disk.img'), Buffer.alloc(512));
    expect(run(guest, port, request(READ, 1, 64, [{ ref: 20 }]))).toEqual([[1, READ, ERROR]]);
    expect(guest.notes.join()).toMatch(/became shorter/);
  });

  test('with persistent grants keeps frames until the ring is disconnected', () => {
    const guest = guestWith();
    const port = guest.connect(51_712, { persistent: true });
    guest.grant(20, DATA);
    expect(run(guest, port, request(READ, 1, 0, [{ ref: 20 }]), request(READ, 2, 8, [{ ref: 20 }]))).toHaveLength(2);
    expect(guest.bytes(DATA)[0]).toBe(9);
    expect([guest.flags(20), guest.busy(guest.frame(DATA))]).toEqual([1 | GTF_reading | GTF_writing, 1]);
    // Another thread knows of it.
    const other = guest.another();
    other.devices.notify(port);
    guest.say(xs.XS_WRITE, 'device/vbd/51712/state\x005');
    expect([guest.flags(20), guest.busy(guest.frame(DATA))]).toEqual([1, 0]);
  });

  test('a ring that says of more requests than it has room for is given up', () => {
    const guest = guestWith();
    const port = guest.connect();
    new Int32Array(guest.buffer, guest.bytes(1).byteOffset, 4)[0] = 33;
    guest.devices.notify(port);
    expect(guest.take()).toEqual([]);
    expect(guest.notes.join()).toMatch(/33 requests/);
  });

  test.each([
    ['a ring that is not granted', { ref: 300 }],
    ['a ring in a page table', { ref: 23 }],
  ])('does not connect to %s', (_what, options) => {
    const guest = guestWith();
    if (options.ref === 23) guest.page(guest.frame(1)).type = PGT_l1_page_table;
    guest.connect(51_712, options.ref === 300 ? { ref: 1500 } : options);
    expect(guest.say(xs.XS_READ, `${BACK}/state\0`)).toBe('5');
    expect(guest.busy(guest.frame(1))).toBe(0);
  });
});

describe('who serves the ring', () => {
  test('without asynchrony: the thread that sends the event, at once', () => {
    const guest = guestWith();
    const port = guest.connect();
    guest.grant(20, DATA);
    const rounds = [1, 2, 3].map((id) => run(guest, port, request(READ, id, 0, [{ ref: 20 }])).length);
    expect(rounds).toEqual([1, 1, 1]);
    expect(guest.rung).toBe(0);
  });

  test('with it: another, which is told only when it had nothing to do', () => {
    const guest = guestWith({ asynchrony: true });
    const port = guest.connect();
    guest.grant(20, DATA);
    const before = guest.rung;
    const other = guest.another();
    other.devices.serve();
    expect(guest.put(request(READ, 1, 0, [{ ref: 20 }]))).toBe(true);
    guest.devices.notify(port);
    expect([guest.rung - before, guest.take()]).toEqual([1, []]);
    // It has not begun: what comes now it finds by itself.
    for (let id = 2; id <= 32; id++) expect(guest.put(request(READ, id, 0, [{ ref: 20 }]))).toBe(false);
    expect(other.devices.serve()).toBe(true);
    expect(guest.take()).toHaveLength(32);
    // 32 requests were found at once.
    expect(Array.from({ length: 6 }, (_, i) => guest.para.ringDepths.get(i))).toEqual([0, 0, 0, 0, 0, 1]);
    // One event for all of them, for the guest had not looked.
    expect(other.events).toEqual([port]);
    expect(other.devices.serve()).toBe(false);
  });

  test('an event that was missed, for a guest’s barrier is none here, is sent at the next look', () => {
    const guest = guestWith({ asynchrony: true });
    const port = guest.connect();
    guest.grant(20, DATA);
    const other = guest.another();
    const ring = new Int32Array(guest.buffer, guest.bytes(1).byteOffset, 4);
    ring[3] = 2;
    guest.put(request(READ, 1, 0, [{ ref: 20 }]));
    other.devices.serve();
    expect(other.events).toEqual([]);
    // The guest's rsp_event comes to light only now.
    ring[3] = 1;
    other.devices.serve();
    other.devices.serve();
    expect(other.events).toEqual([port]);
  });
});

describe('disks come and go', () => {
  test('one is offered to a guest that runs, and goes when the guest has let go of it', () => {
    const guest = guestWith();
    guest.connect();
    guest.say(xs.XS_WATCH, 'device\0frontends\0');
    guest.watched();
    expect(guest.devices.attach({ path: image('second'), readonly: true })).toBe('xvdb');
    expect(guest.watched().some((event) => event.startsWith('device/vbd/51728'))).toBe(true);
    expect(guest.say(xs.XS_READ, 'device/vbd/51728/state\0')).toBe('1');
    const slot = guest.devices.find('xvdb');
    expect(guest.devices.find(path.join(folder, 'second.img'))).toBe(slot);

    guest.say(xs.XS_WRITE, 'device/vbd/51728/state\x004');
    guest.connect(51_728, { ref: 9 });
    guest.devices.detach(slot);
    const back = '/local/domain/0/backend/vbd/1/51728';
    expect([guest.say(xs.XS_READ, `${back}/state\0`), guest.say(xs.XS_READ, `${back}/online\0`)]).toEqual(['5', '0']);
    expect(guest.devices.find('xvdb')).toBe(slot);
    guest.say(xs.XS_WRITE, 'device/vbd/51728/state\x006');
    expect(guest.devices.find('xvdb')).toBe(-1);
    expect(guest.say(xs.XS_READ, 'device/vbd/51728/state\0')).toBe('ENOENT|');
    expect(guest.busy(guest.frame(1))).toBe(1);
    // Its place is free for another.
    expect(guest.devices.attach({ path: image('third') })).toBe('xvdb');
  });

  test('one that no driver has goes at once', () => {
    const guest = guestWith();
    guest.devices.detach(0);
    expect(guest.devices.find('xvda')).toBe(-1);
    expect(guest.say(xs.XS_DIRECTORY, 'device/vbd\0')).toBe('');
  });

  test('there is room for 16, and an image that is none is refused', () => {
    const guest = guestWith();
    expect(() => guest.devices.attach({ path: path.join(folder, 'nothing.img') })).toThrow(/no such file/);
    for (let i = 1; i < 16; i++) guest.devices.attach({ path: image(`many${i}`) });
    expect(() => guest.devices.attach({ path: image('more') })).toThrow(/at most 16/);
    for (let i = 0; i < 16; i++) guest.devices.detach(i);
    guest.devices.close();
  });

  test('a front end whose directory the guest removes is let go of', () => {
    const guest = guestWith();
    guest.connect();
    expect(guest.busy(guest.frame(1))).toBe(1);
    guest.say(xs.XS_RM, 'device/vbd/51712\0');
    expect(guest.busy(guest.frame(1))).toBe(0);
    expect(readFileSync(path.join(folder, 'disk.img'))).toHaveLength(SECTORS * 512);
  });
});

test('a frame in use by a backend is told by its count, and a writable one may be used', () => {
  const guest = guestWith();
  guest.grant(20, DATA);
  guest.page(guest.frame(DATA)).type = PGT_writable_page;
  const claim = guest.devices.grants.claim(20, true);
  if (typeof claim === 'number') throw new Error(`the claim was refused: ${claim}`);
  expect(guest.busy(claim.frame)).toBe(1);
  const again = guest.devices.grants.claim(20, false);
  if (typeof again === 'number') throw new Error(`the claim was refused: ${again}`);
  guest.devices.grants.release(claim);
  expect([guest.busy(claim.frame), guest.flags(20)]).toEqual([1, 1 | GTF_reading]);
  guest.devices.grants.release(again);
  expect([guest.busy(claim.frame), guest.flags(20)]).toEqual([0, 1]);
});
