/** Entry of the desktop app. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as electron from 'electron';
import { UserError } from '../../core/host/api.ts';
import { createHost } from '../../core/host/host.ts';
import { stateFolder } from '../../core/host/library.ts';
import { startApp } from './app.ts';

const { app, dialog } = electron;
const here = path.dirname(fileURLToPath(import.meta.url));

if (app.requestSingleInstanceLock()) {
  app.enableSandbox();
  void app.whenReady().then(async () => {
    try {
      const host = await createHost({ folder: stateFolder() });
      startApp({ electron, host, renderer: path.join(here, '../renderer'), preload: path.join(here, 'preload.cjs') }).openMain();
    } catch (error) {
      dialog.showErrorBox('Ringside', error instanceof UserError ? error.message : String(error));
      app.exit(2);
    }
  });
} else {
  app.quit();
}
