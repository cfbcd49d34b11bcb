/** The load of every VM that is or was on. The histories are not reactive (they are big): `tick` tells that one has changed. */
import { defineStore } from 'pinia';
import { ref } from 'vue';
import type { LoadSample } from '../../electron/ipc.ts';
import { useApi } from '../api.ts';
import { LoadHistory } from './load-history.ts';

export const useLoadsStore = defineStore('loads', () => {
  const histories = new Map<string, LoadHistory>();
  const fetched = new Set<string>();
  /** What comes while the kept history is on its way. */
  const meanwhile = new Map<string, LoadSample[]>();
  /** Grows with every sample of any VM: read it to depend on the histories. */
  const tick = ref(0);

  function of(id: string): LoadHistory {
    let history = histories.get(id);
    if (!history) histories.set(id, (history = new LoadHistory()));
    return history;
  }

  function start(): void {
    useApi().on('load', (sample) => {
      of(sample.id).push(sample);
      meanwhile.get(sample.id)?.push(sample);
      tick.value++;
    });
  }

  /** Gets what the core has kept, once for each VM: the window may have been opened long after the VM. */
  async function fetch(id: string): Promise<void> {
    if (fetched.has(id)) return;
    fetched.add(id);
    meanwhile.set(id, []);
    try {
      const kept = await useApi().call('history', { id });
      const whole = new LoadHistory();
      for (const sample of kept) whole.push(sample);
      for (const sample of meanwhile.get(id) ?? []) whole.push(sample);
      histories.set(id, whole);
      tick.value++;
    } catch {
      // The VM is gone, or the connection is: the live samples will do, and the next visit asks again.
      fetched.delete(id);
    } finally {
      meanwhile.delete(id);
    }
  }

  function forget(id: string): void {
    histories.delete(id);
    fetched.delete(id);
  }

  /** After a lost connection, what came meanwhile is missing. */
  function refetch(): void {
    fetched.clear();
  }

  return { tick, of, start, fetch, forget, refetch };
});
