/** Preferences: language and theme are kept by the shell (every window follows), the console's looks by this browser. */
import { defineStore } from 'pinia';
import { computed, ref, watch } from 'vue';
import type { Settings } from '../../electron/ipc.ts';
import { toCallError, useApi } from '../api.ts';
import type { Language } from '../locales/index.ts';

export const FONT_SIZE_MIN = 8;
export const FONT_SIZE_MAX = 32;
export const FONT_SIZE_DEFAULT = 14;

/** The best of our languages for the system's, in its order of preference. */
export function systemLanguage(preferred: readonly string[]): Language {
  for (const tag of preferred) {
    const base = tag.toLowerCase().split('-')[0];
    if (base === 'zh' || base === 'en') return base;
  }
  return 'en';
}

const FONT_KEY = 'ringside.console.fontSize';
const READER_KEY = 'ringside.console.screenReader';

function readFontSize(): number {
  const stored = Number(globalThis.localStorage?.getItem(FONT_KEY));
  return Number.isInteger(stored) && stored >= FONT_SIZE_MIN && stored <= FONT_SIZE_MAX ? stored : FONT_SIZE_DEFAULT;
}

export const useSettingsStore = defineStore('settings', () => {
  const chosen = ref<Settings>({ language: 'system', theme: 'system' });
  const systemDark = ref(false);
  const languages = ref<readonly string[]>(globalThis.navigator?.languages ?? ['en']);
  const fontSize = ref(readFontSize());
  /** The console as text for screen readers: off, since keeping it costs at every line that a guest prints. */
  const screenReader = ref(globalThis.localStorage?.getItem(READER_KEY) === 'on');
  const error = ref('');

  const language = computed<Language>(() => (chosen.value.language === 'system' ? systemLanguage(languages.value) : chosen.value.language));
  const dark = computed(() => (chosen.value.theme === 'system' ? systemDark.value : chosen.value.theme === 'dark'));

  async function load(): Promise<void> {
    const api = useApi();
    const query = matchMedia('(prefers-color-scheme: dark)');
    systemDark.value = query.matches;
    query.addEventListener('change', (event) => (systemDark.value = event.matches));
    addEventListener('languagechange', () => (languages.value = navigator.languages));
    api.on('settings', (settings) => (chosen.value = settings));
    try {
      chosen.value = await api.call('getSettings');
    } catch (reason) {
      error.value = toCallError(reason).message;
    }
  }

  /** Shown at once; the shell keeps it and tells the other windows. */
  async function change(part: Partial<Settings>): Promise<void> {
    chosen.value = { ...chosen.value, ...part };
    try {
      chosen.value = await useApi().call('setSettings', part);
      error.value = '';
    } catch (reason) {
      error.value = toCallError(reason).message;
    }
  }

  function setFontSize(size: number): void {
    fontSize.value = Math.min(FONT_SIZE_MAX, Math.max(FONT_SIZE_MIN, Math.round(size)));
  }

  watch(fontSize, (size) => globalThis.localStorage?.setItem(FONT_KEY, String(size)));

  watch(screenReader, (on) => globalThis.localStorage?.setItem(READER_KEY, on ? 'on' : 'off'));

  return { chosen, language, dark, fontSize, screenReader, error, load, change, setFontSize };
});
