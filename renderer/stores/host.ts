import { defineStore } from 'pinia';
import { ref } from 'vue';
import type { HostInfo } from '../../electron/ipc.ts';
import { toCallError, useApi } from '../api.ts';

/** What this host is and can do. */
export const useHostStore = defineStore('host', () => {
  const info = ref<HostInfo>();
  const error = ref('');

  async function load(): Promise<void> {
    try {
      info.value = await useApi().call('info');
      error.value = '';
    } catch (reason) {
      error.value = toCallError(reason).message;
    }
  }

  return { info, error, load };
});
