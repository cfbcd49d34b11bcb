import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Host, LoadSample, VmDraft, VmSummary } from './api.ts';
import { ask } from './control.ts';
import { createHost } from './host.ts';
import { holder } from './lock.ts';
import { FakeWindow } from './testing/memory.ts';

let folder: string;
let host: Host;

const open = (pcpus = 2): Promise<Host> =>
  createHost({
    folder,
    pcpus,
    pool: {
      worker: new URL('./testing/worker.ts', import.meta.url),
      modules: {},
      memory() {
        const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
        return { memory, window: new FakeWindow(memory) };
      },
    },
  });

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'ringside-host-'));
  host = await open();
});
afterEach(async () => {
  await host.close();
  rmSync(folder, { recursive: true, force: true });
});

const draft = (append: string, name = append): VmDraft => ({
  name,
  source: { kind: 'builtin', append },
  memory: 1,
  vcpus: 1,
  disks: [],
  serials: 1,
});
const make = async (append: string): Promise<string> => (await host.create(draft(append))).definition.id;
const vm = (id: string): VmSummary => host.list().vms.find(({ definition }) => definition.id === id)!;

describe('life cycle', () => {
  test('start, pause, resume, reset, shut down; each told as a change', async () => {
    const states: string[] = [];
    const id = await make('echo');
    host.on('change', (changed, summary) => changed === id && states.push(summary?.state ?? 'gone'));
    await host.start(id);
    await expect(host.start(id)).rejects.toThrow('“echo” is running already.');
    host.write(id, 0, Buffer.from('one'));
    await expect.poll(() => Buffer.from(host.scrollback(id, 0).data).toString()).toBe('one');
    await host.pause(id);
    await expect(host.pause(id)).rejects.toThrow('paused already');
    await host.resume(id);
    await expect(host.resume(id)).rejects.toThrow('is not paused');
    await host.reset(id);
    host.write(id, 0, Buffer.from('two'));
    await expect.poll(() => Buffer.from(host.scrollback(id, 0).data).toString()).toBe('onetwo');
    expect(host.scrollback(id, 0).end).toBe(6);
    await host.shutdown(id);
    await expect.poll(() => vm(id).state).toBe('off');
    expect(states).toEqual(['starting', 'running', 'paused', 'running', 'starting', 'running', 'stopping', 'off']);
    expect(host.log(id).join('\n')).toMatch(/starting.*reset by the user.*power button.*powered off/s);
    await host.delete(id);
    expect(states.at(-1)).toBe('gone');
    expect(host.list().vms).toEqual([]);
    await expect(host.start(id)).rejects.toThrow(`There is no VM "${id}".`);
  });

  test('a running VM can be changed for its next start, not deleted', async () => {
    const id = await make('spin');
    await host.start(id);
    // A change of a running VM is kept for its next start; the run goes on.
    expect((await host.edit(id, draft('halt', 'renamed'))).definition.name).toBe('renamed');
    expect(vm(id).state).toBe('running');
    await expect(host.delete(id)).rejects.toThrow('switch it off');
    await host.forceOff(id);
    expect(vm(id).state).toBe('off');
    expect((await host.edit(id, draft('halt'))).definition.name).toBe('halt');
    await expect(host.forceOff(id)).rejects.toThrow('is not running');
  });

  test.each([
    ['triple', /triple fault/],
    ['throw', /the device is broken/],
  ])('%s: crashed, with the reason, while another VM goes on; it can be started again', async (what, reason) => {
    const other = await make('echo');
    await host.start(other);
    const id = await make(what);
    await host.start(id);
    await expect.poll(() => vm(id).state).toBe('crashed');
    expect(vm(id).reason).toMatch(reason);
    expect(host.log(id).at(-1)).toMatch(reason);
    host.write(other, 0, Buffer.from('alive'));
    await expect.poll(() => Buffer.from(host.scrollback(other, 0).data).toString()).toBe('alive');
    await host.start(id);
    await expect.poll(() => vm(id).state).toBe('crashed');
  });

  test('a system that cannot be loaded leaves the VM off, with the reason', async () => {
    const id = await make('bad');
    await expect(host.start(id)).rejects.toMatchObject({ message: 'It is not a kernel.', field: 'source.kernel' });
    expect(vm(id)).toMatchObject({ state: 'off', reason: 'It is not a kernel.' });
  });

  test('load is sampled once a second, and each sample’s parts add up to its interval', async () => {
    const id = await make('spin');
    const samples: LoadSample[] = [];
    host.on('load', (sample) => samples.push(sample));
    await host.start(id);
    await expect.poll(() => samples.length, { timeout: 5000 }).toBeGreaterThan(1);
    const { interval, vcpus, exits, exitSeconds, technique } = samples.at(-1)!;
    expect(technique).toBe('automatic');
    const [load] = vcpus;
    const sum = load!.guestUser + load!.guestKernel + load!.vmm + load!.ready + load!.blocked + load!.halted;
    expect(sum / interval).toBeCloseTo(1, 1);
    expect(load!.instructions).toBeGreaterThan(0);
    expect(load!.privileged / load!.instructions).toBeCloseTo(1 / 8, 1);
    expect(load!.sensitive / load!.instructions).toBeCloseTo(1 / 16, 1);
    // The scripted guest says that it interprets.
    expect(load!.activities.interpreted).toBeCloseTo(load!.guestUser + load!.guestKernel, 6);
    expect(load!.activities.devices).toBeCloseTo(load!.vmm, 6);
    expect(exits['budget']).toBeGreaterThan(0);
    // What the VMM took for exits is a part of its time, and of no reason that did not occur.
    expect(Object.keys(exits)).toEqual(expect.arrayContaining(Object.keys(exitSeconds)));
    expect(exitSeconds['budget']).toBeGreaterThan(0);
    expect(Object.values(exitSeconds).reduce((sum, seconds) => sum + seconds, 0)).toBeLessThan(interval);
    expect(host.history(id)).toEqual(samples);
  });

  test('what the engine did is told, and stays to be seen after the VM went off', async () => {
    const id = await make('spin');
    expect(host.execution(id)).toBeUndefined();
    await host.start(id);
    await expect.poll(() => host.execution(id)!.activities.interpreted).toBeGreaterThan(0.05);
    const running = host.execution(id)!;
    expect(running).toMatchObject({ engine: 'translator', shares: { interpreted: 0.75, translated: 0.25 } });
    await host.forceOff(id);
    const after = host.execution(id)!;
    const { innocuous, sensitive, privileged } = after.classes;
    expect(privileged).toBeGreaterThanOrEqual(running.classes.privileged);
    // What is counted while it runs is told at once, the number of instructions when a turn was looked at.
    expect(privileged / (innocuous + sensitive + privileged)).toBeCloseTo(1 / 8, 2);
    expect(host.execution(id)).toEqual(after);
  });
});

describe('one host for one folder', () => {
  test('the second says so; the lock file is only this user’s, and goes with the host', async () => {
    await expect(createHost({ folder, pcpus: 1, pool: { modules: {} } })).rejects.toThrow(/Another Ringside|already/);
    expect(statSync(path.join(folder, 'host.json')).mode & 0o777).toBe(0o600);
    await host.close();
    expect(readdirSync(folder)).not.toContain('host.json');
    host = await open();
  });

  test('a lock left by a process that died does not count', async () => {
    await host.close();
    writeFileSync(path.join(folder, 'host.json'), JSON.stringify({ pid: 2 ** 30, port: 1, token: 'x' }));
    expect(await holder(folder)).toBeUndefined();
    host = await open();
    expect((await holder(folder))?.pid).toBe(process.pid);
  });

  test('the command reaches it with the token, and nobody without', async () => {
    const contact = (await holder(folder))!;
    const { vm: made } = await ask(contact, { command: 'create', draft: draft('spin') });
    await ask(contact, { command: 'start', id: made!.definition.id });
    await expect(ask(contact, { command: 'start', id: made!.definition.id })).rejects.toThrow('is running already');
    expect((await ask(contact, { command: 'list' })).vms).toMatchObject([{ state: 'running' }]);
    await ask(contact, { command: 'forceOff', id: made!.definition.id });
    await expect(ask(contact, { command: 'create', draft: { ...draft('x'), memory: 0 } })).rejects.toMatchObject({ field: 'memory' });
    await expect(ask({ ...contact, token: 'guess' }, { command: 'list' })).rejects.toThrow('forbidden');
    const bare = await fetch(`http://127.0.0.1:${contact.port}/`, { method: 'POST', body: '{"command":"list"}' });
    expect(bare.status).toBe(403);
  });
});

test('settings are kept, told, and survive a damaged file', async () => {
  expect(host.settings()).toEqual({ language: 'system', theme: 'system' });
  const told: unknown[] = [];
  host.on('settings', (settings) => told.push(settings));
  await host.changeSettings({ language: 'zh' });
  expect(told).toEqual([{ language: 'zh', theme: 'system' }]);
  await host.close();
  host = await open();
  expect(host.settings().language).toBe('zh');
  await host.close();
  writeFileSync(path.join(folder, 'settings.json'), '{');
  host = await open();
  expect(host.settings().language).toBe('system');
});
