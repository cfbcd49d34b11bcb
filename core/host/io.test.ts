/** The I/O thread itself, with a guest that is this test. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DATA, ParaFixture } from '../machine/para-devices-fixture.ts';
import { Para } from '../state/index.ts';
import * as xs from '../vmm/para/xenstore/wire.ts';
import { engineModules } from './assets.ts';
import { PcpuBlock, VmBlock } from './block.ts';
import { IoThread, ioModule } from './io.ts';

let folder: string;
let thread: IoThread;
const notes: string[] = [];
const woken: number[] = [];
const image = (name: string, byte: number): string => {
  const file = path.join(folder, name);
  writeFileSync(file, Buffer.alloc(64 * 512, byte));
  return file;
};

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'ringside-io-'));
  thread = new IoThread({
    module: ioModule(),
    modules: await engineModules(),
    note: (_vm, text) => notes.push(text),
    wake: (vm) => woken.push(vm),
    warn: (text) => notes.push(text),
  });
});
afterAll(async () => {
  await thread.close();
  rmSync(folder, { recursive: true, force: true });
});

const posted = (guest: ParaFixture, port: number): boolean =>
  (Atomics.load(guest.words, ((guest.para.address + Para.offsets.posted) >> 2) + (port >> 5)) & (1 << (port & 31))) !== 0;

test('serves rings of a VM, wakes its vCPU where it is, and gives and takes disks', async () => {
  const guest = new ParaFixture({ asynchrony: true, disks: [{ path: image('a.img', 0x11) }] });
  const block = VmBlock.create(1);
  const pcpu = new PcpuBlock();
  thread.pcpu(3, pcpu.buffer);
  thread.attach(7, { memory: guest.memory, block: block.buffer });

  const port = guest.connect();
  guest.grant(20, DATA);
  guest.put(ParaFixture.request(0, 5, 0, [{ ref: 20 }]));
  thread.bell.ring();
  // On no pCPU: the main thread is told.
  await expect.poll(() => woken, { timeout: 20_000 }).toContain(7);
  expect(guest.take()).toEqual([[5, 0, 0]]);
  expect([guest.bytes(DATA)[0], posted(guest, port)]).toEqual([0x11, true]);

  block.pcpu = 3;
  const { bell } = pcpu;
  guest.put(ParaFixture.request(0, 6, 8, [{ ref: 20 }]));
  thread.bell.ring();
  await expect.poll(() => pcpu.bell, { timeout: 20_000 }).toBeGreaterThan(bell);
  await expect.poll(() => guest.take()).toEqual([[6, 0, 0]]);

  const second = image('b.img', 0x22);
  expect(await thread.plug(7, { path: second, readonly: true })).toBe('xvdb');
  expect(guest.say(xs.XS_READ, 'device/vbd/51728/virtual-device\0')).toBe('51728');
  await expect(thread.plug(7, { path: path.join(folder, 'none.img') })).rejects.toThrow('there is no such file.');
  await expect(thread.unplug(7, 'xvdc')).rejects.toThrow('The guest has no disk xvdc.');
  guest.connect(51_728, { ref: 9, frame: 2 });
  const gone = thread.unplug(7, second);
  await expect.poll(() => guest.say(xs.XS_READ, '/local/domain/0/backend/vbd/1/51728/state\0')).toBe('5');
  guest.say(xs.XS_WRITE, 'device/vbd/51728/state\x006');
  expect(await gone).toBe(second);

  // What is asked for of a VM that ends is answered.
  const never = thread.unplug(7, 'xvda');
  thread.detach(7);
  await expect(never).rejects.toThrow('switched off');
  expect(notes).toEqual([]);
});
