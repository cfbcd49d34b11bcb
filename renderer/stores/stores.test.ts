import { createPinia, setActivePinia } from 'pinia';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { RingsideApi, VmDraft } from '../../electron/ipc.ts';
import { setApi } from '../api.ts';
import { mockApi } from '../mock/api.ts';
import { useEditsStore } from './edits.ts';
import { useLoadsStore } from './loads.ts';
import { useNewVmStore } from './new-vm.ts';
import { useNoticesStore } from './notices.ts';
import { systemLanguage } from './settings.ts';
import { toDraft, useVmsStore } from './vms.ts';

const builtin: VmDraft = { name: 'One', source: { kind: 'builtin' }, memory: 64, vcpus: 1, disks: [], serials: 1 };
let api: RingsideApi;

beforeEach(async () => {
  setActivePinia(createPinia());
  setApi((api = mockApi({})));
  const vms = useVmsStore();
  vms.start();
  useLoadsStore().start();
  await vms.load();
});

describe('vms', () => {
  it('follows what happens elsewhere: made, started, changed, deleted', async () => {
    const vms = useVmsStore();
    const { definition } = await api.call('create', { draft: builtin as never });
    expect(vms.list.map((vm) => vm.definition.name)).toEqual(['One']);
    await api.call('start', { id: definition.id });
    expect(vms.byId.get(definition.id)?.state).toBe('starting');
    await vi.waitFor(() => expect(vms.byId.get(definition.id)?.state).toBe('running'));
    expect(useNoticesStore().spoken).toBe('One: Running.');
    await vms.edit(definition.id, { ...builtin, name: 'Two' });
    expect(vms.list[0]?.definition.name).toBe('Two');
    await api.call('forceOff', { id: definition.id });
    await api.call('delete', { id: definition.id });
    expect(vms.list).toEqual([]);
  });

  it('does nothing that makes no sense in the present state', async () => {
    const vms = useVmsStore();
    const { definition } = await vms.create(builtin, false);
    expect(await vms.act('pause', definition.id)).toBe(false);
    expect(vms.byId.get(definition.id)?.state).toBe('off');
    expect(useNoticesStore().failures).toEqual([]);
  });

  it('tells a failure once, until it is dismissed', async () => {
    const vms = useVmsStore();
    const { definition } = await vms.create(builtin, false);
    setApi({ ...api, call: () => Promise.reject({ message: 'No memory.' }) });
    expect(await vms.act('start', definition.id)).toBe(false);
    expect(await vms.act('start', definition.id)).toBe(false);
    const notices = useNoticesStore();
    expect(notices.failures.map((n) => [n.title, n.text])).toEqual([['One', 'No memory.']]);
    notices.dismiss(notices.failures[0]!.key);
    expect(notices.failures).toEqual([]);
  });

  it('takes no more of a definition than can be changed', () => {
    const definition = { ...builtin, id: 'a', created: '2026-01-01T00:00:00Z', later: 'kept by the core' };
    expect(toDraft(definition)).toEqual(builtin);
  });
});

describe('new VM', () => {
  it('keeps what was typed when it is closed, and forgets it when the VM is made', async () => {
    const store = useNewVmStore();
    store.show();
    store.form.kind = 'kernel';
    store.form.kernel = '/srv/vmlinuz';
    store.hide();
    store.show();
    expect(store.kept).toBe(true);
    expect(store.form.kernel).toBe('/srv/vmlinuz');
    store.startNow = false;
    store.step = 'summary';
    store.proposeName();
    expect(store.form.name).toBe('vmlinuz');
    expect((await store.create())?.definition.source).toMatchObject({ kernel: '/srv/vmlinuz' });
    expect(store.open).toBe(false);
    store.show();
    expect(store.form.kernel).toBe('');
  });

  it('shows a mistake at its step and loses nothing', async () => {
    const store = useNewVmStore();
    store.show();
    store.form.memory = 5000;
    store.form.notes = 'typed';
    store.step = 'summary';
    expect(await store.create()).toBeUndefined();
    expect(store.error?.field).toBe('memory');
    expect(store.step).toBe('compute');
    expect(store.form).toMatchObject({ memory: 5000, notes: 'typed' });
    expect(store.open).toBe(true);
  });
});

describe('edits', () => {
  it('takes over a new name without touching what is being changed', () => {
    const edits = useEditsStore();
    const edit = edits.follow('a', builtin);
    edit.form.memory = 128;
    edit.form.kernel = '/typed for another source';
    const after = edits.follow('a', { ...builtin, name: 'Renamed' });
    expect(after.form).toMatchObject({ name: 'Renamed', memory: 128, kernel: '/typed for another source' });
    edits.revert('a');
    expect(after.form).toMatchObject({ name: 'Renamed', memory: 64 });
  });

  it('keeps a name that is being typed', () => {
    const edits = useEditsStore();
    edits.follow('a', builtin).form.name = 'Mine';
    expect(edits.follow('a', { ...builtin, name: 'Theirs' }).form.name).toBe('Mine');
  });
});

describe('loads', () => {
  it('joins the kept history and the samples that come meanwhile', async () => {
    const sample = (second: number) => ({
      id: 'a',
      time: second * 1000,
      interval: 1,
      technique: 'automatic',
      vcpus: [],
      exits: {},
      exitSeconds: {},
    });
    let answer: (samples: unknown) => void = () => {};
    let push: (sample: unknown) => void = () => {};
    setApi({
      shell: 'browser',
      call: () => new Promise((resolve) => (answer = resolve as typeof answer)),
      on: (_event, listener) => ((push = listener as typeof push), () => {}),
    } as RingsideApi);
    const loads = useLoadsStore();
    loads.start();
    const fetched = loads.fetch('a');
    push(sample(3));
    push(sample(4));
    answer([sample(1), sample(2), sample(3)]);
    await fetched;
    expect(loads.of('a').length).toBe(4);
  });
});

it('chooses the first of the system’s languages that it speaks', () => {
  expect(systemLanguage(['fr-FR', 'zh-TW', 'en'])).toBe('zh');
  expect(systemLanguage(['de'])).toBe('en');
});
