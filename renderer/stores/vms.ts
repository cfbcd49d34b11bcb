/** The library of VMs as the core tells it, and what the user does with it. */
import { defineStore } from 'pinia';
import { computed, ref, shallowRef } from 'vue';
import type { CallArgs, DamagedDefinition, VmDefinition, VmDraft, VmSummary } from '../../electron/ipc.ts';
import { toCallError, useApi } from '../api.ts';
import { whyNot } from './actions.ts';
import type { Action } from './actions.ts';
import { useLoadsStore } from './loads.ts';
import { useNoticesStore } from './notices.ts';

/** What of a definition the user can change, plain and alone: keys that only a later version knows stay in the core's file. */
export function toDraft(d: VmDefinition): VmDraft {
  return structuredClone({
    name: d.name,
    source: d.source,
    memory: d.memory,
    vcpus: d.vcpus,
    ...(d.cpu !== undefined && { cpu: d.cpu }),
    ...(d.technique !== undefined && { technique: d.technique }),
    ...(d.full !== undefined && { full: d.full }),
    ...(d.para !== undefined && { para: d.para }),
    ...(d.engine !== undefined && { engine: d.engine }),
    disks: d.disks,
    serials: d.serials,
    ...(d.notes !== undefined && { notes: d.notes }),
  });
}

/** The contract's types come from its checks, which know no `readonly`; a call copies what it is given. */
const mutable = (draft: VmDraft) => draft as CallArgs<'create'>['draft'];

export const useVmsStore = defineStore('vms', () => {
  const notices = useNoticesStore();
  const loads = useLoadsStore();
  const byId = shallowRef(new Map<string, VmSummary>());
  const damaged = ref<DamagedDefinition[]>([]);
  const loaded = ref(false);
  const connected = ref(true);
  const error = ref('');
  /** Calls under way, so that a second click does nothing: `ID action`. */
  const busy = ref(new Set<string>());

  /** Oldest first: the list stays put as states change. */
  const list = computed(() =>
    [...byId.value.values()].sort(
      (a, b) => a.definition.created.localeCompare(b.definition.created) || a.definition.id.localeCompare(b.definition.id),
    ),
  );

  async function load(): Promise<void> {
    try {
      const all = await useApi().call('list');
      byId.value = new Map(all.vms.map((vm) => [vm.definition.id, vm]));
      damaged.value = all.damaged;
      error.value = '';
      for (const vm of all.vms) void loads.fetch(vm.definition.id);
    } catch (reason) {
      error.value = toCallError(reason).message;
    } finally {
      loaded.value = true;
    }
  }

  function set(summary: VmSummary): void {
    byId.value = new Map(byId.value).set(summary.definition.id, summary);
  }

  function start(): void {
    const api = useApi();
    api.on('change', ({ id, summary }) => {
      const before = byId.value.get(id);
      if (summary) {
        set(summary);
        if (before && before.state !== summary.state) notices.announceState(summary);
      } else {
        const rest = new Map(byId.value);
        rest.delete(id);
        byId.value = rest;
        loads.forget(id);
      }
    });
    api.on('connection', (now) => {
      const back = now.connected && !connected.value;
      connected.value = now.connected;
      if (!back) return;
      loads.refetch();
      void load();
    });
  }

  /** Does what a button says; a failure becomes a notice. True if it was done. */
  async function act(action: 'start' | 'pause' | 'resume' | 'reset' | 'shutdown' | 'forceOff' | 'delete', id: string): Promise<boolean> {
    const key = `${id} ${action}`;
    const vm = byId.value.get(id);
    if (!vm || busy.value.has(key) || whyNot(action, vm.state) !== undefined) return false;
    busy.value.add(key);
    try {
      await useApi().call(action, { id });
      return true;
    } catch (reason) {
      notices.fail(vm.definition.name, toCallError(reason).message);
      return false;
    } finally {
      busy.value.delete(key);
    }
  }

  /** Throws what the core says about the draft (CallError). */
  async function create(draft: VmDraft, startNow: boolean): Promise<VmSummary> {
    const made = await useApi().call('create', { draft: mutable(draft), start: startNow });
    // The event that tells of it may come later than this answer; the state it carries is newer.
    if (!byId.value.has(made.definition.id)) set(made);
    return byId.value.get(made.definition.id) ?? made;
  }

  async function edit(id: string, draft: VmDraft): Promise<void> {
    set(await useApi().call('edit', { id, draft: mutable(draft) }));
  }

  const isBusy = (id: string, action: Action): boolean => busy.value.has(`${id} ${action}`);

  return { byId, list, damaged, loaded, connected, error, load, start, act, create, edit, isBusy };
});
