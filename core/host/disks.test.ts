import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Host } from './api.ts';
import { ask } from './control.ts';
import { createHost } from './host.ts';
import { holder } from './lock.ts';
import { FakeWindow } from './testing/memory.ts';

let folder: string;
let host: Host;
const image = (name: string): string => {
  const file = path.join(folder, name);
  writeFileSync(file, Buffer.alloc(1024));
  return file;
};
const disks = (): readonly unknown[] => host.list().vms[0]!.definition.disks;

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'ringside-disks-'));
  host = await createHost({
    folder: path.join(folder, 'state'),
    pcpus: 1,
    pool: {
      worker: new URL('./testing/worker.ts', import.meta.url),
      modules: {},
      memory() {
        const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
        return { memory, window: new FakeWindow(memory) };
      },
    },
  });
});
afterEach(async () => {
  await host.close();
  rmSync(folder, { recursive: true, force: true });
});

const make = async (): Promise<string> => {
  const draft = { name: 'a', source: { kind: 'builtin', append: 'echo' } as const, memory: 1, vcpus: 1, disks: [], serials: 1 };
  return (await host.create(draft)).definition.id;
};

test('a VM that is off is given disks and loses them, by path or by what a guest calls them', async () => {
  const id = await make();
  const [one, two] = [image('one.img'), image('two.img')];
  expect(await host.attachDisk(id, { path: one })).toBeUndefined();
  await host.attachDisk(id, { path: two, readonly: true });
  expect(disks()).toEqual([{ path: one }, { path: two, readonly: true }]);
  await expect(host.attachDisk(id, { path: one })).rejects.toThrow(`“a” has the disk ${one} already.`);
  await expect(host.attachDisk(id, { path: path.join(folder, 'none') })).rejects.toThrow('does not exist');
  await expect(host.detachDisk(id, '/nowhere')).rejects.toThrow('“a” has no disk /nowhere.');
  await host.detachDisk(id, 'xvdb');
  expect(disks()).toEqual([{ path: one }]);
  await host.detachDisk(id, one);
  expect(disks()).toEqual([]);
});

test('the command does the same through the running app', async () => {
  const id = await make();
  const one = image('one.img');
  const contact = (await holder(path.join(folder, 'state')))!;
  expect(await ask(contact, { command: 'attach', id, path: one, readonly: true })).toEqual({});
  expect(disks()).toEqual([{ path: one, readonly: true }]);
  await expect(ask(contact, { command: 'detach', id, disk: '/nowhere' })).rejects.toThrow('has no disk');
  await ask(contact, { command: 'detach', id, disk: one });
  expect(disks()).toEqual([]);
});

test('a VM that runs and is not paravirtualized keeps the disks that it has', async () => {
  const id = await make();
  await host.start(id);
  const one = image('one.img');
  await expect(host.attachDisk(id, { path: one })).rejects.toThrow('Only a VM of the technique "para"');
  expect(disks()).toEqual([]);
});
