import { createPinia } from 'pinia';
import { createApp } from 'vue';
import App from './App.vue';
import { setApi } from './api.ts';
import { installElement } from './element.ts';
import './styles/theme.css';
import './styles/base.css';
import { i18n } from './locales/index.ts';
import { startRouter } from './router.ts';
import { useHostStore } from './stores/host.ts';
import { useLoadsStore } from './stores/loads.ts';
import { useSettingsStore } from './stores/settings.ts';
import { useVmsStore } from './stores/vms.ts';

async function start(): Promise<void> {
  // The mock stands in where there is no shell (`vite dev` alone); the production bundle is without it.
  const api = import.meta.env.DEV && !window.ringside ? (await import('./mock/api.ts')).mockApi() : window.ringside;
  setApi(api);
  const app = createApp(App);
  app.use(createPinia());
  app.use(i18n);
  installElement(app);
  startRouter();

  // Listeners first, then the questions: what changes in between is not missed.
  const vms = useVmsStore();
  vms.start();
  useLoadsStore().start();
  await useSettingsStore().load();
  app.mount('#app');
  await Promise.all([vms.load(), useHostStore().load()]);
}

void start();
