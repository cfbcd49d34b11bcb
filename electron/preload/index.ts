/** Runs sandboxed before the renderer: gives it `window.ringside`, and nothing else of Electron. */
import { contextBridge, ipcRenderer, type IpcRendererEvent } from 'electron';
import { bridge } from './bridge.ts';

contextBridge.exposeInMainWorld(
  'ringside',
  bridge({
    invoke: (channel, ...args) => ipcRenderer.invoke(channel, ...args),
    on: (channel, listener) => {
      ipcRenderer.on(channel, (_event: IpcRendererEvent, ...args: unknown[]) => listener(...args));
    },
  }),
);
