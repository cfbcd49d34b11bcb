/** Which question is open: one at a time. */
import { defineStore } from 'pinia';
import { ref } from 'vue';

export type Question = { readonly kind: 'forceOff' | 'reset' | 'delete' | 'rename'; readonly id: string };

export const useDialogsStore = defineStore('dialogs', () => {
  const question = ref<Question>();
  const preferences = ref(false);

  function ask(kind: Question['kind'], id: string): void {
    question.value = { kind, id };
  }

  function close(): void {
    question.value = undefined;
  }

  return { question, preferences, ask, close };
});
