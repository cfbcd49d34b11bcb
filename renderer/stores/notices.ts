/** What is told to the user in passing: failures (shown until closed) and state changes (spoken by a screen reader). */
import { defineStore } from 'pinia';
import { ref } from 'vue';
import type { VmSummary } from '../../electron/ipc.ts';
import { i18n } from '../locales/index.ts';

export interface Notice {
  readonly key: number;
  readonly title: string;
  readonly text: string;
}

export const useNoticesStore = defineStore('notices', () => {
  const failures = ref<Notice[]>([]);
  /** Content of the live region. */
  const spoken = ref('');
  let key = 0;

  function fail(title: string, text: string): void {
    failures.value = [...failures.value.filter((n) => n.title !== title || n.text !== text), { key: ++key, title, text }];
  }

  function dismiss(which: number): void {
    failures.value = failures.value.filter((n) => n.key !== which);
  }

  function say(text: string): void {
    // The same words again would not be spoken: a live region speaks when its text changes.
    spoken.value = text === spoken.value ? `${text}\u00a0` : text;
  }

  function announceState(vm: VmSummary): void {
    const { t } = i18n.global;
    const text = t('announce.state', { name: vm.definition.name, state: t(`state.${vm.state}`) });
    say(vm.reason ? `${text} ${vm.reason}` : text);
  }

  return { failures, spoken, fail, dismiss, say, announceState };
});
