/** The technique lab as the core tells it. */
import { defineStore } from 'pinia';
import { ref, shallowRef } from 'vue';
import type { LabState } from '../../electron/ipc.ts';
import { toCallError, useApi } from '../api.ts';

export const useLabStore = defineStore('lab', () => {
  const state = shallowRef<LabState>({ running: false });
  const error = ref('');
  let listening = false;

  async function asked(question: () => Promise<unknown>): Promise<void> {
    try {
      await question();
      error.value = '';
    } catch (reason) {
      error.value = toCallError(reason).message;
    }
  }

  const look = () => asked(async () => (state.value = await useApi().call('lab')));

  /** Follows the lab from now on. */
  async function follow(): Promise<void> {
    if (!listening) {
      listening = true;
      useApi().on('lab', (now) => (state.value = now));
      useApi().on('connection', ({ connected }) => void (connected && look()));
    }
    await look();
  }

  const start = () => asked(() => useApi().call('startLab'));
  const stop = () => asked(() => useApi().call('stopLab'));

  return { state, error, follow, start, stop };
});
